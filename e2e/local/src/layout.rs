//! Knows where everything lies: the tree, the cache outside it, the state of each stack. Touches no network.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folders that this program reads and writes.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The project's tree.
    pub root: PathBuf,
    /// Fetched and built parts, shared by all stacks and all clones; safe to delete while no stack runs.
    pub cache: PathBuf,
    /// One folder per stack.
    pub state: PathBuf,
}

impl Layout {
    pub fn find() -> Result<Self> {
        // `cargo run` says where the package lies now; a binary started by hand only knows where it was compiled.
        let package = env::var_os("CARGO_MANIFEST_DIR")
            .map(PathBuf::from)
            .filter(|folder| folder.ends_with("e2e/local"))
            .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
        let root = package.ancestors().nth(2).context("e2e/local lies two folders deep")?;
        Ok(Self {
            root: root.to_path_buf(),
            cache: below_home("XDG_CACHE_HOME", ".cache")?,
            state: below_home("XDG_STATE_HOME", ".local/state")?,
        })
    }

    /// Pinned versions and lock files.
    pub fn pins(&self) -> PathBuf {
        self.root.join("e2e/parts")
    }

    /// Where cargo puts release binaries.
    pub fn binaries(&self) -> PathBuf {
        env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| self.root.join("target"), |set| self.root.join(set))
            .join("release")
    }

    /// Logs of fetching and building, by step.
    pub fn build_log(&self, step: &str) -> PathBuf {
        self.cache.join("logs").join(format!("{step}.log"))
    }

    pub fn stack_home(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }
}

fn below_home(variable: &str, fallback: &str) -> Result<PathBuf> {
    let base = match env::var_os(variable).map(PathBuf::from) {
        Some(set) if set.is_absolute() => set,
        _ => {
            let home = env::var_os("HOME").context("HOME is not set")?;
            Path::new(&home).join(fallback)
        }
    };
    Ok(base.join("medallion"))
}
