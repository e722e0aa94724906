//! A stack's own cgroup in every hierarchy, at its root: joined before the namespaces are made, emptied and removed at the end. Touches no network.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::run::POLL;

/// Below the stack's cgroup, where cgroup2 is all there is.
pub const LEAF: &str = "stack";

/// Controllers without which kubelet does not start.
const NEEDED: [&str; 4] = ["cpuset", "cpu", "memory", "pids"];

/// One mounted hierarchy.
pub struct Hierarchy {
    pub mounted: PathBuf,
    pub unified: bool,
    pub options: String,
}

/// The hierarchies that this process sees.
pub fn hierarchies() -> Result<Vec<Hierarchy>> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    Ok(parse(&mounts))
}

fn parse(mounts: &str) -> Vec<Hierarchy> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (mounted, kind, options) = (words.next()?, words.next()?, words.next()?);
            matches!(kind, "cgroup" | "cgroup2").then(|| Hierarchy {
                mounted: mounted.into(),
                unified: kind == "cgroup2",
                options: options.to_owned(),
            })
        })
        .collect()
}

/// Makes the cgroup everywhere and moves this process into it.
pub fn join(name: &str) -> Result<()> {
    let hierarchies = hierarchies()?;
    let only_unified = hierarchies.iter().all(|hierarchy| hierarchy.unified);
    for hierarchy in hierarchies {
        if hierarchy.unified && only_unified {
            enable_controllers(&hierarchy.mounted)?;
        }
        let folder = hierarchy.mounted.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make cgroup {}", folder.display()))?;
        // A cpuset without processors and memory takes no process.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let parent = hierarchy.mounted.join(file);
            if parent.exists() && !hierarchy.unified {
                fs::write(folder.join(file), fs::read(parent)?)?;
            }
        }
        fs::write(folder.join("cgroup.procs"), "0").with_context(|| format!("cannot join {}", folder.display()))?;
    }
    Ok(())
}

/// Hands the controllers that kubelet needs, and what else there is, to the children of a cgroup2 folder.
pub fn enable_controllers(folder: &Path) -> Result<()> {
    let controllers = fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
    for controller in controllers.split_whitespace() {
        let enabled = fs::write(folder.join("cgroup.subtree_control"), format!("+{controller}"));
        if NEEDED.contains(&controller) {
            enabled.with_context(|| format!("cannot enable {controller} below {}", folder.display()))?;
        }
    }
    Ok(())
}

/// Where cgroup2 is all there is, only a cgroup without processes can hand controllers down: the stack's outermost
/// process, which cannot be seen from inside, moves to the leaf where process 1 will go.
pub fn leave_root(name: &str, pid: i32) -> Result<()> {
    let hierarchies = hierarchies()?;
    if let [only] = hierarchies.as_slice()
        && only.unified
    {
        let leaf = only.mounted.join(name).join(LEAF);
        fs::create_dir_all(&leaf)?;
        fs::write(leaf.join("cgroup.procs"), pid.to_string())?;
    }
    Ok(())
}

/// Every process of a stack, those in its pods included.
pub fn members(name: &str) -> Result<BTreeSet<i32>> {
    let roots = hierarchies()?.into_iter().map(|hierarchy| hierarchy.mounted.join(name));
    let folders = roots.flat_map(|root| deepest_first(&root));
    Ok(folders.flat_map(|folder| processes(&folder)).map(Pid::as_raw).collect())
}

/// Kills everything in the stack's cgroups and removes them; nothing there is fine.
pub fn clear(name: &str) -> Result<()> {
    let deadline = Duration::from_secs(20);
    let begun = Instant::now();
    loop {
        let roots = hierarchies()?
            .into_iter()
            .map(|h| h.mounted.join(name))
            .filter(|root| root.exists())
            .collect::<Vec<_>>();
        if roots.is_empty() {
            return Ok(());
        }
        for root in &roots {
            for folder in deepest_first(root) {
                for process in processes(&folder) {
                    // It may be gone by now, that is what we want.
                    let _ = kill(process, Signal::SIGKILL);
                }
                let _ = fs::remove_dir(&folder);
            }
        }
        if begun.elapsed() > deadline {
            let left = roots
                .iter()
                .map(|root| root.display().to_string())
                .collect::<Vec<_>>()
                .join(", ");
            bail!("cgroups did not become empty within {} s: {left}", deadline.as_secs());
        }
        std::thread::sleep(POLL);
    }
}

fn processes(folder: &Path) -> Vec<Pid> {
    fs::read_to_string(folder.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter(|pid| *pid > 1)
        .map(Pid::from_raw)
        .collect()
}

fn deepest_first(root: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    if let Ok(entries) = fs::read_dir(root) {
        for entry in entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        {
            all.extend(deepest_first(&entry.path()));
        }
        all.push(root.to_path_buf());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_hierarchy_are_seen() {
        let found = parse(
            "proc /proc proc rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0\n\
             cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n",
        );
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].mounted, Path::new("/sys/fs/cgroup/cpu"));
        assert!(!found[0].unified && found[1].unified);
    }
}
