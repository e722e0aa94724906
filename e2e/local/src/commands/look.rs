//! `env` and `logs`: how to look at a running stack. Touches no network.

use std::fs::File;
use std::io;

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::stack::{ACCESS_KEY, REGION, SECRET_KEY};

/// Lines that a shell evaluates.
pub fn environment(context: &Context) -> Result<()> {
    let stack = context.running()?;
    println!("export MEDALLION_STACK={}", stack.json().display());
    println!("export KUBECONFIG={}", stack.kubeconfig().display());
    println!("export KUBECACHEDIR={}", stack.home.join("kubectl-cache").display());
    println!(
        "export PATH={}:{}:$PATH",
        stack.fetched.kubernetes.display(),
        stack.fetched.helm.display()
    );
    println!("export AWS_REGION={REGION} AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY}");
    println!("export DATABASE_URL={}", stack.postgres_url());
    Ok(())
}

pub fn log(context: &Context, part: &str) -> Result<()> {
    let path = context.home().join("logs").join(format!("{part}.log"));
    let mut log = File::open(&path).with_context(|| format!("no log {}", path.display()))?;
    io::copy(&mut log, &mut io::stdout())?;
    Ok(())
}
