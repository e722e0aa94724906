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
                step.say(format!("for another `cargo local` that holds {}", path.display()));
                file = back;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err((_, error)) => return Err(error).with_context(|| format!("cannot lock {}", path.display())),
        }
    }
}

/// Removes what was being made by processes that were killed over it.
pub fn sweep(layout: &Layout) -> Result<()> {
    let Ok(making) = fs::read_dir(layout.cache.join("making")) else {
        return Ok(());
    };
    for entry in making.flatten() {
        let maker = maker(&entry.file_name().to_string_lossy());
        if maker.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            clear(&entry.path())?;
        }
    }
    Ok(())
}

/// The process that makes a part in the folder of this name.
fn maker(folder: &str) -> Option<u32> {
    folder.rsplit_once('-')?.1.parse().ok()
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
        // Its end is read again by `maker`.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(folder: &Path) -> Layout {
        Layout {
            root: folder.into(),
            cache: folder.into(),
            state: folder.into(),
        }
    }

    #[test]
    fn only_what_the_dead_were_making_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let making = folder.path().join("making");
        let mine = making.join(format!("kafka-0123456789ab-{}", std::process::id()));
        // No process has this id: it is larger than the kernel's largest.
        let left = making.join("kafka-0123456789ab-4194305");
        let other = making.join("helm-home");
        for part in [&mine, &left, &other] {
            fs::create_dir_all(part.join("bin")).unwrap();
        }
        sweep(&layout(folder.path())).unwrap();
        assert!(mine.exists() && other.exists());
        assert!(!left.exists());
    }

    #[tokio::test]
    async fn what_fails_half_way_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let layout = layout(folder.path());
        let half = once(&layout, "part", "1", |making| async move {
            fs::write(making.join("half"), "")?;
            anyhow::bail!("interrupted")
        });
        assert!(half.await.is_err());
        let whole = once(&layout, "part", "1", |making| async move {
            Ok(fs::write(making.join("whole"), "")?)
        });
        let place = whole.await.unwrap();
        assert!(place.join("whole").exists() && !place.join("half").exists());
        let again = once(&layout, "part", "1", |_| async { anyhow::bail!("made twice") });
        assert_eq!(again.await.unwrap(), place);
    }
}
