//! The cache outside the tree: a folder per part and digest of its inputs, published whole or not at all. Touches no network.

use std::fs::{self, File, OpenOptions};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::layout::Layout;
use crate::progress::Step;

/// Says in an in-place folder that it is whole.
const WHOLE: &str = ".whole";

/// An exclusive lock that ends with the process at the latest.
pub struct Lock {
    _held: Flock<File>,
}

/// Waits for a lock without blocking the other steps.
pub async fn lock(path: &Path, step: &Step) -> Result<Lock> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => return Ok(Lock { _held: held }),
            Err((back, Errno::EAGAIN)) => {
                step.say(format!(
                    "waiting for another `cargo local` that holds {}",
                    path.display()
                ));
                file = back;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err((_, error)) => return Err(error).with_context(|| format!("cannot lock {}", path.display())),
        }
    }
}

/// Where a part with this digest lies, there or not.
pub fn place(layout: &Layout, name: &str, digest: &str) -> PathBuf {
    layout.cache.join("parts").join(format!("{name}-{digest}"))
}

/// Makes a part in a folder of its own and renames it into place, unless it is there.
pub async fn once<F>(layout: &Layout, name: &str, digest: &str, make: impl FnOnce(PathBuf) -> F) -> Result<PathBuf>
where
    F: Future<Output = Result<()>>,
{
    let place = place(layout, name, digest);
    if place.exists() {
        return Ok(place);
    }
    let making = layout
        .cache
        .join("making")
        .join(format!("{name}-{digest}-{}", std::process::id()));
    clear(&making)?;
    fs::create_dir_all(&making)?;
    let result = make(making.clone()).await;
    if result.is_err() {
        clear(&making)?;
    }
    result?;
    fs::create_dir_all(layout.cache.join("parts"))?;
    match fs::rename(&making, &place) {
        Ok(()) => Ok(place),
        // Another process was faster with the same inputs.
        Err(_) if place.exists() => clear(&making).map(|()| place),
        Err(error) => Err(error).with_context(|| format!("cannot put {} in place", place.display())),
    }
}

/// As `once`, for what knows its own path and cannot be renamed: a marker written last says that it is whole.
pub async fn once_in_place<F>(
    layout: &Layout,
    name: &str,
    digest: &str,
    make: impl FnOnce(PathBuf) -> F,
) -> Result<PathBuf>
where
    F: Future<Output = Result<()>>,
{
    let place = place(layout, name, digest);
    if place.join(WHOLE).exists() {
        return Ok(place);
    }
    clear(&place)?;
    fs::create_dir_all(&place)?;
    make(place.clone()).await?;
    File::create(place.join(WHOLE))?;
    Ok(place)
}

/// Removes a folder or file if it is there.
pub fn clear(path: &Path) -> Result<()> {
    let removed = if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
