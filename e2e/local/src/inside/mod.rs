//! What runs inside a stack's namespaces: process 1, and the supervisor that sets up and watches the parts. Touches only the stack's own network.

pub mod certificates;
pub mod mounts;
pub mod network;
pub mod supervisor;

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, sethostname};

use crate::stack::{NODE_NAME, Stack};

/// Process 1: starts the supervisor, reaps every orphan, ends when the supervisor ends.
pub fn init(home: &Path) -> Result<()> {
    let supervisor = Command::new(env::current_exe()?)
        .arg("inside-supervise")
        .arg(home)
        .spawn()
        .context("cannot start the supervisor")?;
    let supervisor = Pid::from_raw(i32::try_from(supervisor.id())?);
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _)) if pid == supervisor => return Ok(()),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("cannot wait for children"),
        }
    }
}

/// Prepares the namespaces and keeps the parts running until the end.
pub async fn supervise(home: &Path) -> Result<()> {
    let stack = Stack::read(home)?;
    mounts::prepare(&stack)?;
    sethostname(NODE_NAME)?;
    network::prepare(&stack)?;
    certificates::make(&stack)?;
    supervisor::run(stack).await
}
