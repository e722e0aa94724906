//! Mounts, by what they are for. Touches no network.

use std::path::Path;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};

/// Makes a folder or file appear in a second place.
pub fn bind(from: &Path, to: &Path) -> Result<()> {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .with_context(|| format!("cannot bind {} to {}", from.display(), to.display()))
}

pub fn tmpfs(on: &Path, options: &str) -> Result<()> {
    mount_as("tmpfs", on, options)
}

pub fn mount_as(kind: &str, on: &Path, options: &str) -> Result<()> {
    mount(Some(kind), on, Some(kind), MsFlags::empty(), Some(options))
        .with_context(|| format!("cannot mount {kind} on {}", on.display()))
}
