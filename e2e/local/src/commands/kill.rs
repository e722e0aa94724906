//! `kill`: SIGKILL for one part, as an accident would; the supervisor starts it again. Touches no network.

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::context::Context;
use crate::stack::status::Status;
use crate::stack::{namespaces, processes};

pub fn kill(context: &Context, part: &str) -> Result<()> {
    context.running()?;
    let home = context.home();
    let outermost = namespaces::running(&home).context("the stack ended just now")?;
    let status = Status::read(&home).context("the stack has not said anything yet")?;
    let Some(known) = status.part(part) else {
        let names = status
            .parts
            .iter()
            .map(|part| part.name.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        bail!("no part is called `{part}`; there are {names}");
    };
    let inner = known.pid.with_context(|| format!("{part} has no process now"))?;
    let seen = processes::inside(outermost)
        .into_iter()
        .find(|seen| seen.inner == inner);
    let seen = seen.with_context(|| format!("{part} died just now"))?;
    signal::kill(Pid::from_raw(seen.pid), Signal::SIGKILL)?;
    println!("{part}: killed process {}", seen.pid);
    Ok(())
}
