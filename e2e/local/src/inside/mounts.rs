//! The stack's own view of the file system: its cgroups, its `/run` and `/var`, and sysctls that kubelet may write. Touches no network.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs};

use crate::mount::{bind, mount_as, tmpfs};
use crate::run;
use crate::stack::cgroups::{self, Hierarchy};
use crate::stack::{NODE_NAME, Stack};

/// What kubelet sets for the whole machine; inside it writes to files of the stack's own.
const SYSCTLS: [&str; 6] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

/// With this much free memory containers live in it.
const PLENTY: u64 = 12 << 30;

pub fn prepare(stack: &Stack) -> Result<()> {
    if stack.home.starts_with("/var") || stack.home.starts_with("/run") {
        bail!(
            "the state folder {} may not lie below /var or /run; set XDG_STATE_HOME",
            stack.home.display()
        );
    }
    // unshare made everything private; kubelet and runc want mounts that their children see.
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_SHARED,
        None::<&str>,
    )
    .context("cannot share the mounts among the stack's own processes")?;
    let hierarchies = cgroups::hierarchies()?;
    mount_as("sysfs", Path::new("/sys"), "")?;
    mount_cgroups(&hierarchies)?;
    tmpfs(Path::new("/run"), "mode=755")?;
    tmpfs(Path::new("/dev/shm"), "mode=1777")?;

    let data = stack.home.join("data");
    fs::create_dir_all(&data)?;
    if statfs(&data)?.filesystem_type() == OVERLAYFS_SUPER_MAGIC {
        // containerd cannot stack an overlay on an overlay (the stack runs in a container).
        tmpfs(&data, "mode=755")?;
    }
    // DynamoDB Local waits for the disk at every put; in memory outside its process it still outlives its own death.
    let dynamodb = stack.data("dynamodb");
    fs::create_dir_all(&dynamodb)?;
    tmpfs(&dynamodb, "mode=755")?;
    if memory_available()? > PLENTY {
        // Unpacking images is thousands of small files: in memory it is quick, and gone at once in the end.
        let containerd = stack.data("containerd");
        fs::create_dir_all(&containerd)?;
        tmpfs(&containerd, "mode=711")?;
    }
    private_var()?;
    own_names(stack)?;
    let own = Path::new("/run/sysctl");
    fs::create_dir_all(own)?;
    for name in SYSCTLS {
        let file = own.join(name.replace('/', "."));
        fs::write(&file, "0\n")?;
        bind(&file, &Path::new("/proc/sys").join(name))?;
    }
    Ok(())
}

/// Bytes that could be used without pushing anything out.
fn memory_available() -> Result<u64> {
    let known = fs::read_to_string("/proc/meminfo")?;
    let line = known.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kilobytes.unwrap_or(0) << 10)
}

/// The node's name resolves at once and no other does: the host's name servers cannot be reached, and Java would wait for them.
fn own_names(stack: &Stack) -> Result<()> {
    let own = Path::new("/run/names");
    fs::create_dir_all(own)?;
    let hosts = format!("127.0.0.1 localhost\n{} {NODE_NAME}\n", stack.node_ip());
    for (name, content) in [("hosts", hosts.as_str()), ("resolv.conf", "options ndots:2\n")] {
        let file = own.join(name);
        fs::write(&file, content)?;
        let shown = Path::new("/etc").join(name);
        if let (false, Ok(target)) = (shown.exists(), fs::read_link(&shown)) {
            // It led into the `/run` that was just covered.
            let target = Path::new("/etc").join(target);
            fs::create_dir_all(target.parent().unwrap_or(&target))?;
            fs::write(target, "")?;
        }
        bind(&file, &shown)?;
    }
    Ok(())
}

/// A `/var` whose changes vanish with the stack.
fn private_var() -> Result<()> {
    let layers = Path::new("/run/var");
    let (upper, work) = (layers.join("upper"), layers.join("work"));
    fs::create_dir_all(&upper)?;
    fs::create_dir_all(&work)?;
    let options = format!("lowerdir=/var,upperdir={},workdir={}", upper.display(), work.display());
    mount_as("overlay", Path::new("/var"), &options)
}

/// The hierarchies that the host has, each showing the stack's cgroup as its root.
fn mount_cgroups(hierarchies: &[Hierarchy]) -> Result<()> {
    if let [only] = hierarchies
        && only.unified
    {
        mount_as("cgroup2", &only.mounted, "")?;
        let leaf = only.mounted.join(cgroups::LEAF);
        fs::create_dir_all(&leaf)?;
        return run::wait_for("an empty root cgroup", Duration::from_secs(10), || {
            let left = fs::read_to_string(only.mounted.join("cgroup.procs")).unwrap_or_default();
            for pid in left.lines() {
                // One of outside shows as 0 and is moved from there.
                let _ = fs::write(leaf.join("cgroup.procs"), pid);
            }
            cgroups::enable_controllers(&only.mounted).ok()
        });
    }
    tmpfs(Path::new("/sys/fs/cgroup"), "mode=755,size=1m")?;
    let known = fs::read_to_string("/proc/cgroups")?;
    let known = known
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .collect::<Vec<_>>();
    for hierarchy in hierarchies {
        fs::create_dir_all(&hierarchy.mounted)?;
        if hierarchy.unified {
            mount_as("cgroup2", &hierarchy.mounted, "")?;
            continue;
        }
        let options = controllers(&hierarchy.options, &known);
        mount_as("cgroup", &hierarchy.mounted, &options)?;
        // Programs look for `cpu` also where it is mounted together with `cpuacct`.
        for controller in options.split(',').filter(|option| known.contains(option)) {
            let alias = Path::new("/sys/fs/cgroup").join(controller);
            if !alias.exists() {
                symlink(&hierarchy.mounted, &alias)?;
            }
        }
    }
    Ok(())
}

/// The options that name a hierarchy, out of all with which it is mounted.
fn controllers(options: &str, known: &[&str]) -> String {
    options
        .split(',')
        .filter_map(|option| match option {
            named if named.starts_with("name=") => Some(format!("none,{named}")),
            controller if known.contains(&controller) => Some(controller.to_owned()),
            _ => None,
        })
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_names_a_hierarchy_is_kept() {
        let known = ["cpu", "cpuacct", "memory"];
        assert_eq!(controllers("rw,nosuid,relatime,cpu,cpuacct", &known), "cpu,cpuacct");
        assert_eq!(controllers("rw,xattr,name=systemd", &known), "none,name=systemd");
    }
}
