//! Waits until the parts are ready, or says which one does not start and what its log ends with. Touches no network.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::context::Context;
use crate::progress::Step;
use crate::run;
use crate::stack::processes::{self, Process};
use crate::stack::status::{PartStatus, State, Status};
use crate::stack::{REDSHIFT_PROGRAM, Stack, namespaces};
use crate::tail::last_lines;

/// A part that dies this often without being ready in between will not come up by waiting.
const TOO_MANY_DEATHS: u32 = 5;
const ALL_READY: Duration = Duration::from_mins(5);

/// Whether one part is ready now.
pub fn has(stack: &Stack, part: &str) -> bool {
    Status::read(&stack.home).is_some_and(|status| status.part(part).is_some_and(|part| part.state == State::Ready))
}

/// Shows the parts as they become ready.
pub async fn wait(context: &Context, stack: &Stack) -> Result<()> {
    if complete(stack, &stack.home) {
        return Ok(());
    }
    context
        .progress
        .step("starting the parts", |step| async move {
            let begun = Instant::now();
            let mut shown = BTreeSet::new();
            loop {
                let Some(outermost) = namespaces::running(&stack.home) else {
                    let log = stack.log("init");
                    bail!(
                        "the stack ended while it started; log {}, last lines:\n{}",
                        log.display(),
                        last_lines(&log, 15)
                    );
                };
                let status = Status::read(&stack.home);
                for part in status.iter().flat_map(|status| &status.parts) {
                    if part.state == State::Ready && shown.insert(part.name.clone()) {
                        context.progress.line(format!("  {} ready", part.name));
                    }
                    if hopeless(part) {
                        bail!("{}", failure(part));
                    }
                }
                if complete(stack, &stack.home) {
                    return Ok(());
                }
                if begun.elapsed() > ALL_READY {
                    bail!(
                        "the stack is not ready after {} s: {}",
                        ALL_READY.as_secs(),
                        waiting(status.as_ref(), outermost)
                    );
                }
                show(&step, status.as_ref());
                tokio::time::sleep(run::POLL).await;
            }
        })
        .await
}

fn hopeless(part: &PartStatus) -> bool {
    part.state == State::Failing || part.deaths >= TOO_MANY_DEATHS
}

/// Everything is ready; the stand-in too, once its program is there.
fn complete(stack: &Stack, home: &Path) -> bool {
    Status::read(home).is_some_and(|status| {
        let absent = status.parts.iter().any(|part| part.state == State::Absent);
        status.ready() && !(absent && stack.own_program(REDSHIFT_PROGRAM).exists())
    })
}

fn show(step: &Step, status: Option<&Status>) {
    let pending = status
        .iter()
        .flat_map(|status| &status.parts)
        .filter(|part| part.state != State::Ready);
    step.say(pending.map(|part| part.name.as_str()).collect::<Vec<_>>().join(", "));
}

fn waiting(status: Option<&Status>, outermost: Process) -> String {
    let Some(status) = status else {
        return format!("it said nothing yet ({} processes)", processes::inside(outermost).len());
    };
    let pending = status.parts.iter().filter(|part| part.state != State::Ready);
    pending
        .map(|part| format!("{} ({})", part.name, part.message))
        .collect::<Vec<_>>()
        .join("; ")
}

fn failure(part: &PartStatus) -> String {
    format!(
        "{} does not start: {}; log {}, last lines:\n{}",
        part.name,
        part.message,
        part.log.display(),
        last_lines(&part.log, 15)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(state: State, restarts: u32, deaths: u32) -> PartStatus {
        PartStatus {
            name: "kafka".to_owned(),
            state,
            pid: None,
            since: jiff::Timestamp::UNIX_EPOCH,
            restarts,
            deaths,
            message: String::new(),
            endpoint: None,
            log: "kafka.log".into(),
        }
    }

    #[test]
    fn only_deaths_without_being_ready_in_between_are_hopeless() {
        assert!(
            !hopeless(&part(State::Restarting, 40, 1)),
            "killed often, always came back"
        );
        assert!(hopeless(&part(State::Restarting, 5, 5)));
        assert!(hopeless(&part(State::Failing, 0, 0)));
    }
}
