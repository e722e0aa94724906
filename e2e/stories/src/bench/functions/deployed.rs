//! A function as users deploy it: packed from the pipeline's manifest, started with an environment. Touches processes of this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::function::{Function, package};
use crate::shop::Shop;
use crate::stack::Stack;

/// What each invocation may take.
const TIMEOUT: Duration = Duration::from_secs(10);

pub struct Deployed<'s> {
    stack: &'s Stack,
    stage: &'static str,
    program: PathBuf,
    zip: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl<'s> Deployed<'s> {
    pub async fn pack(
        shop: &Shop<'s>,
        stage: &'static str,
        program: Option<&PathBuf>,
        environment: Vec<(&'static str, String)>,
    ) -> Result<Self> {
        let program = program
            .with_context(|| format!("the workspace has no function for {stage}; `cargo local up` builds it"))?;
        Ok(Self {
            stack: &shop.world.stack,
            stage,
            program: program.clone(),
            zip: package(shop, stage, program).await?,
            environment,
        })
    }

    /// The package and the program in it.
    pub fn megabytes(&self) -> Result<(f64, f64)> {
        Ok((megabytes(&self.zip)?, megabytes(&self.program)?))
    }

    /// An emulator of its own for the function, whose process begins with the first event.
    pub async fn start(&self) -> Result<Function> {
        let name = format!("bench-{}", self.stage);
        Function::start(self.stack, &name, &self.zip, TIMEOUT, &self.environment).await
    }
}

fn megabytes(file: &Path) -> Result<f64> {
    let bytes = u32::try_from(fs::metadata(file)?.len())?;
    Ok(f64::from(bytes) / 1e6)
}
