//! Starts a stack in namespaces of its own and ends it with one kill; what could outlive that is swept. Touches the network only to make the link to the host.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::processes::Process;
use super::{Stack, cgroup_of, cgroups};
use crate::cache;
use crate::run;
use crate::tail::last_lines;

/// Holds the outermost process' id while a stack runs.
const OUTERMOST: &str = "outermost.json";

/// The stack's outermost process, if it lives.
pub fn running(home: &Path) -> Option<Process> {
    Process::read(&home.join(OUTERMOST)).filter(Process::lives)
}

/// Starts the stack and its link to the host; the parts come up inside by themselves.
pub fn start(stack: &Stack) -> Result<()> {
    let log = File::create(stack.log("init")).context("cannot write the log of the stack's first process")?;
    let mut outermost = Command::new(stack.own_program("local"))
        .arg("inside-enter")
        .arg(&stack.home)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start the stack's first process")?;
    let pid = i32::try_from(outermost.id())?;
    Process::of(pid)
        .context("the stack's first process ended at once")?
        .write(&stack.home.join(OUTERMOST))?;

    let ours = fs::read_link("/proc/self/ns/net")?;
    let own_network = || fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|theirs| theirs != ours);
    let mut ended = None;
    run::wait_for("the stack's network namespace", Duration::from_secs(10), || {
        ended = outermost.try_wait().ok().flatten();
        (ended.is_some() || own_network()).then_some(())
    })?;
    if ended.is_some() {
        bail!(
            "the stack's first process ended; log {}, last lines:\n{}",
            stack.log("init").display(),
            last_lines(&stack.log("init"), 15)
        );
    }
    cgroups::leave_root(&stack.cgroup(), pid)?;
    link(stack, pid)
}

/// A pair of interfaces: one stays on the host, the other wakes up inside as `eth0`.
fn link(stack: &Stack, pid: i32) -> Result<()> {
    let veth = stack.veth();
    let pid = pid.to_string();
    ip(&[
        "link", "add", &veth, "type", "veth", "peer", "name", "eth0", "netns", &pid,
    ])?;
    ip(&["address", "add", &format!("{}/30", stack.host_ip()), "dev", &veth])?;
    ip(&["link", "set", &veth, "up"])
}

pub fn ip(arguments: &[&str]) -> Result<()> {
    run::output_blocking(Command::new("ip").args(arguments)).map(drop)
}

/// Joins the stack's cgroups and becomes `unshare`, whose child is the stack's process 1.
pub fn enter(home: &Path) -> Result<()> {
    let stack = Stack::read(home)?;
    cgroups::join(&stack.cgroup())?;
    let own = stack.own_program("local");
    let error = Command::new("setsid")
        .args(["unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--cgroup"])
        .args(["--fork", "--kill-child", "--mount-proc"])
        .arg(own)
        .arg("inside-init")
        .arg(home)
        .exec();
    Err(error).context("cannot become unshare")
}

/// Ends the stack, from whatever state: running, half started, crashed, gone.
pub fn stop(home: &Path, name: &str) -> Result<()> {
    if let Some(outermost) = Process::read(&home.join(OUTERMOST)) {
        outermost.kill();
    }
    cgroups::clear(&cgroup_of(name))?;
    if let Ok(stack) = Stack::read(home) {
        remove_link(&stack)?;
    }
    cache::clear(&home.join(OUTERMOST))
}

/// The interface may outlive its namespace while a connection lingers.
fn remove_link(stack: &Stack) -> Result<()> {
    let veth = stack.veth();
    let shown = Path::new("/sys/class/net").join(&veth);
    run::wait_for(&format!("the removal of {veth}"), Duration::from_secs(20), || {
        if shown.exists() {
            // It may vanish by itself in between.
            let _ = ip(&["link", "delete", &veth]);
        }
        (!shown.exists()).then_some(())
    })
}
