//! Programs of the release build as Lambda starts them. Touches no network.

use std::path::PathBuf;

use anyhow::Result;
use tokio::process::Command;

use super::function::{EXPORTER, Function, GATEWAY};
use super::runtime;
use crate::cache;
use crate::digest;
use crate::layout::Layout;
use crate::run;
use crate::stack::document::Functions;

/// Those of the release build, each checked against what Lambda's runtime has.
pub async fn bootstraps(layout: &Layout) -> Result<Functions> {
    Ok(Functions {
        gateway: bootstrap(layout, &GATEWAY).await?,
        exporter: bootstrap(layout, &EXPORTER).await?,
    })
}

async fn bootstrap(layout: &Layout, function: &Function) -> Result<Option<PathBuf>> {
    let built = layout.binaries().join(function.program);
    if !built.exists() {
        return Ok(None);
    }
    let mut digest = digest::of_file(&built)?;
    digest.truncate(12);
    let name = format!("function-{}", function.worker);
    let place = cache::once(layout, &name, &digest, |making| async move {
        let bootstrap = making.join("bootstrap");
        run::output(Command::new("strip").arg("-o").arg(&bootstrap).arg(&built)).await?;
        runtime::check(&bootstrap).await.map(drop)
    });
    Ok(Some(place.await?.join("bootstrap")))
}
