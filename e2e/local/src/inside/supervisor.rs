//! Starts every part when those before it are ready, asks until it is ready, and starts it again when it dies. Touches only the stack's own network.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::Timestamp;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::parts::{self, Part};
use crate::stack::Stack;
use crate::stack::status::{Board, PartStatus, State};

/// Between two questions to a part that is not ready.
const ASK_AGAIN: Duration = Duration::from_millis(150);
/// Between a death and the next start; doubles up to the longest while the part keeps dying young.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const OLD_ENOUGH: Duration = Duration::from_secs(20);

type Readiness = HashMap<&'static str, watch::Sender<bool>>;

/// Never returns while the stack runs.
pub async fn run(stack: Stack) -> Result<()> {
    let parts = parts::all(&stack);
    let board = Arc::new(Board::new(
        &stack.home,
        parts.iter().map(|part| unstarted(&stack, part)).collect(),
    ));
    let readiness: Arc<Readiness> = Arc::new(parts.iter().map(|part| (part.name, watch::channel(false).0)).collect());
    let stack = Arc::new(stack);
    let mut keepers = tokio::task::JoinSet::new();
    for part in parts {
        let keeper = Keeper {
            part,
            stack: stack.clone(),
            board: board.clone(),
            readiness: readiness.clone(),
        };
        keepers.spawn(keeper.keep());
    }
    while let Some(ended) = keepers.join_next().await {
        ended.context("a part's keeper ended")?;
    }
    std::future::pending().await
}

fn unstarted(stack: &Stack, part: &Part) -> PartStatus {
    PartStatus {
        name: part.name.to_owned(),
        state: State::Waiting,
        pid: None,
        since: Timestamp::now(),
        restarts: 0,
        deaths: 0,
        message: String::new(),
        endpoint: part.endpoint.clone(),
        log: stack.log(part.name),
    }
}

/// Looks after one part.
struct Keeper {
    part: Part,
    stack: Arc<Stack>,
    board: Arc<Board>,
    readiness: Arc<Readiness>,
}

impl Keeper {
    async fn keep(self) {
        let name = self.part.name;
        self.wait_for_others().await;
        let mut pause = FIRST_PAUSE;
        loop {
            let begun = Instant::now();
            let why = match self.live_once().await {
                Ok(()) => return,
                Err(error) => format!("{error:#}"),
            };
            let was_ready = self.is_ready();
            self.signal(false);
            println!("{} {name}: {why}", Timestamp::now());
            self.board.update(name, |status| {
                status.pid = None;
                status.restarts += 1;
                status.deaths += 1;
            });
            self.board
                .set(name, after_death(was_ready, begun.elapsed(), self.part.patience), why);
            pause = if begun.elapsed() > OLD_ENOUGH {
                FIRST_PAUSE
            } else {
                LONGEST_PAUSE.min(pause * 2)
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn wait_for_others(&self) {
        for other in self.part.after {
            if let Some(sender) = self.readiness.get(other) {
                let mut receiver = sender.subscribe();
                // The senders live as long as the supervisor.
                let _ = receiver.wait_for(|ready| *ready).await;
            }
        }
    }

    /// From the start to the death; `Ok` only for a part that has no process.
    async fn live_once(&self) -> Result<()> {
        let name = self.part.name;
        if let Some(program) = &self.part.only_if
            && !program.exists()
        {
            self.board
                .set(name, State::Absent, format!("{} is not there yet", program.display()));
            while !program.exists() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        self.board.set(name, State::Starting, "");
        if let Some(setup) = self.part.setup {
            let stack = self.stack.clone();
            tokio::task::spawn_blocking(move || setup(&stack))
                .await?
                .context("preparing it")?;
        }
        let Some(command) = &self.part.command else {
            self.until_ready().await;
            self.signal(true);
            return Ok(());
        };
        let mut child = self.spawn(command)?;
        let group = child.id();
        self.board.update(name, |status| {
            status.pid = group.and_then(|pid| i32::try_from(pid).ok());
        });
        let ended = tokio::select! {
            ended = child.wait() => ended?,
            () = self.until_ready() => {
                self.signal(true);
                child.wait().await?
            }
        };
        kill_group(group);
        Err(anyhow::anyhow!("ended with {}", describe(ended)))
    }

    async fn until_ready(&self) {
        let begun = Instant::now();
        while let Err(answer) = self.part.probe.ask().await {
            let state = if begun.elapsed() > self.part.patience {
                State::Failing
            } else {
                State::Starting
            };
            self.board.set(self.part.name, state, answer);
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    fn is_ready(&self) -> bool {
        self.readiness
            .get(self.part.name)
            .is_some_and(|sender| *sender.borrow())
    }

    fn signal(&self, ready: bool) {
        if ready {
            self.board.update(self.part.name, |status| status.deaths = 0);
            self.board.set(self.part.name, State::Ready, "");
            println!("{} {}: ready", Timestamp::now(), self.part.name);
        }
        if let Some(sender) = self.readiness.get(self.part.name) {
            sender.send_replace(ready);
        }
    }

    fn spawn(&self, command: &parts::Run) -> Result<Child> {
        let log = self.stack.log(self.part.name);
        let log = OpenOptions::new().create(true).append(true).open(&log)?;
        let mut child = Command::new(&command.program);
        child
            .args(&command.arguments)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/run/home")
            .envs(command.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        if let Some(user) = command.user {
            child.uid(user).gid(user);
        }
        child
            .spawn()
            .with_context(|| format!("cannot start {}", command.program.display()))
    }
}

/// A part that did not come up in its time stays in the state that says so; one that was ready, however long, is only started again.
fn after_death(was_ready: bool, lived: Duration, patience: Duration) -> State {
    if !was_ready && lived > patience {
        State::Failing
    } else {
        State::Restarting
    }
}

/// What a dead part left running would hold its ports.
fn kill_group(group: Option<u32>) {
    if let Some(Ok(group)) = group.map(i32::try_from) {
        // Usually nobody is left.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (_, Some(signal)) => format!("signal {signal}"),
        _ => "an unknown status".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_killed_after_a_long_life_does_not_count_as_failing() {
        let (patience, long) = (Duration::from_secs(90), Duration::from_hours(1));
        assert_eq!(after_death(true, long, patience), State::Restarting);
        assert_eq!(after_death(false, long, patience), State::Failing);
        assert_eq!(after_death(false, Duration::from_secs(1), patience), State::Restarting);
    }
}
