//! Compiles the few classes of our own that a Java part is given. Touches no network.

use std::path::{Path, PathBuf};

use anyhow::Result;
use tokio::process::Command;

use crate::cache;
use crate::digest::Digester;
use crate::layout::Layout;
use crate::progress::Progress;
use crate::run;

/// The classes of all sources in `e2e/parts/<part>/<folder>`, against the part's own jars.
pub async fn compile(layout: &Layout, progress: &Progress, part: &str, folder: &str, jars: &Path) -> Result<PathBuf> {
    let sources = layout.pins().join(part).join(folder);
    let name = format!("{part}-{folder}");
    // The folder of the jars is named by their digest.
    let digest = Digester::default()
        .folder(&sources)?
        .text(&jars.display().to_string())
        .short();
    let log = layout.build_log(&name);
    cache::once(layout, &name, &digest, |making| async move {
        progress
            .step(format!("{part} {folder} (javac)"), |step| async move {
                let mut javac = Command::new("javac");
                javac
                    .args(["-Xlint:all", "-Werror", "--release", "17", "-d"])
                    .arg(&making)
                    .arg("-classpath")
                    .arg(format!("{}/*", jars.display()));
                for source in std::fs::read_dir(&sources)? {
                    javac.arg(source?.path());
                }
                run::logged(&javac, &log, &step).await
            })
            .await
    })
    .await
}
