//! Runs other programs, with their words in a log file and its last lines in the error. Touches no network itself.

use std::fs::{self, File};
use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::progress::Step;
use crate::tail::last_lines;

/// How often a condition is looked at while waiting for it.
pub const POLL: Duration = Duration::from_millis(50);

/// Runs to the end; both outputs go to `log`, which the step shows and the error quotes.
pub async fn logged(command: &Command, log: &Path, step: &Step) -> Result<()> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    step.follow(log);
    let said = describe(command);
    let status = tied(command)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .kill_on_drop(true)
        .status()
        .await
        .with_context(|| format!("cannot start {said}"))?;
    if !status.success() {
        bail!(
            "{said} ended with {status}; log {}, last lines:\n{}",
            log.display(),
            last_lines(log, 15)
        );
    }
    Ok(())
}

/// Runs to the end with its words on our own outputs.
pub async fn shown(command: &Command) -> Result<()> {
    let mut group = Group::start(tied(command).stdin(Stdio::null()), command)?;
    group.end(command).await
}

/// As `shown`, with both outputs in a file.
pub async fn kept(command: &Command, file: File) -> Result<()> {
    let mut tied = tied(command);
    tied.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let mut group = Group::start(&mut tied, command)?;
    group.end(command).await
}

/// As `shown`; every line of its standard output is also given to `seen`.
pub async fn shown_lines(command: &Command, mut seen: impl FnMut(&str)) -> Result<()> {
    lines(command, |line| {
        println!("{line}");
        seen(line);
    })
    .await
}

/// As `shown`; the lines of its standard output are given to `seen` alone.
pub async fn lines(command: &Command, mut seen: impl FnMut(&str)) -> Result<()> {
    let mut group = Group::start(tied(command).stdin(Stdio::null()).stdout(Stdio::piped()), command)?;
    let output = group.leader.stdout.take().context("its output was asked for")?;
    let mut lines = BufReader::new(output).split(b'\n');
    let read = async {
        while let Some(line) = lines.next_segment().await? {
            seen(&String::from_utf8_lossy(&line));
        }
        anyhow::Ok(())
    };
    let mut read = pin!(read);
    let ended = tokio::select! {
        biased;
        all = &mut read => {
            all?;
            return group.end(command).await;
        }
        ended = group.end(command) => ended,
    };
    // Somebody whom it left behind may hold its output open for ever.
    drop(group);
    let _ = timeout(Duration::from_secs(2), read).await;
    ended
}

/// A program and what it starts; all of it is killed at the end, however that comes: what a test left running would go on
/// against a stack that is being taken down.
struct Group {
    leader: Child,
    id: Option<Pid>,
}

impl Group {
    fn start(tied: &mut Command, command: &Command) -> Result<Self> {
        let leader = tied
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", describe(command)))?;
        let id = leader.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        Ok(Self { leader, id })
    }

    async fn end(&mut self, command: &Command) -> Result<()> {
        let status = self.leader.wait().await?;
        if !status.success() {
            bail!("{} ended with {status}", describe(command));
        }
        Ok(())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // Usually nobody is left.
            let _ = killpg(id, Signal::SIGKILL);
        }
    }
}

/// The same command line, killed by the kernel if this process dies without a chance to do it.
pub fn tied(command: &Command) -> Command {
    let command = command.as_std();
    let mut tied = Command::new("setpriv");
    tied.args(["--pdeathsig", "KILL"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => tied.env(name, value),
            None => tied.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        tied.current_dir(folder);
    }
    tied
}

/// Runs to the end and returns what it printed.
pub async fn output(command: &mut Command) -> Result<String> {
    let said = describe(command);
    let done = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot start {said}"))?;
    if !done.status.success() {
        bail!(
            "{said} ended with {}: {}",
            done.status,
            String::from_utf8_lossy(&done.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// How a program ended, and all that it said.
pub struct Ended {
    /// None after a signal.
    pub code: Option<i32>,
    pub text: String,
}

/// Runs to the end, whatever that is, for those who expect more than success.
pub async fn ended(command: &mut Command) -> Result<Ended> {
    let said = describe(command);
    let done = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot start {said}"))?;
    let [printed, complained] = [&done.stdout, &done.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    Ok(Ended {
        code: done.status.code(),
        text: format!("{printed}{complained}"),
    })
}

/// As `output`, for places without a runtime.
pub fn output_blocking(command: &mut std::process::Command) -> Result<String> {
    let said = format!("{command:?}");
    let done = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {said}"))?;
    if !done.status.success() {
        bail!(
            "{said} ended with {}: {}",
            done.status,
            String::from_utf8_lossy(&done.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Waits until `found` gives something, looking again and again until the deadline.
pub fn wait_for<T>(what: &str, deadline: Duration, mut found: impl FnMut() -> Option<T>) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(value) = found() {
            return Ok(value);
        }
        if begun.elapsed() > deadline {
            bail!("{what} did not happen within {} s", deadline.as_secs());
        }
        std::thread::sleep(POLL);
    }
}

/// Writes only what differs (kube-proxy exits when its configuration is rewritten), never half a file.
pub fn write_if_changed(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let content = content.as_ref();
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    fs::write(&new, content).with_context(|| format!("cannot write {}", path.display()))?;
    fs::rename(&new, path).with_context(|| format!("cannot put {} in place", path.display()))
}

fn describe(command: &Command) -> String {
    let command = command.as_std();
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let first = command
        .get_args()
        .take(3)
        .map(|arg| arg.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    format!("`{program} {first} ...`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    #[tokio::test]
    async fn lines_are_seen_and_a_failure_is_told() {
        let mut lines = Vec::new();
        let failed = shown_lines(&shell("echo one; echo two; exit 3"), |line| lines.push(line.to_owned())).await;
        assert_eq!(lines, ["one", "two"]);
        assert!(failed.unwrap_err().to_string().contains("exit status: 3"));
    }

    #[tokio::test]
    async fn an_output_that_somebody_holds_open_is_not_waited_for() {
        let begun = Instant::now();
        let mut lines = Vec::new();
        let left = shell("echo one; setsid sleep 20 &");
        shown_lines(&left, |line| lines.push(line.to_owned())).await.unwrap();
        assert_eq!(lines, ["one"]);
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn what_a_stopped_program_started_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        // As cargo does with a test program: the shell waits for a child of its own.
        let command = shell(&format!("sleep 600 & echo $! > {}; wait", file.display()));
        let stopped = timeout(Duration::from_millis(500), shown(&command)).await;
        assert!(stopped.is_err());
        let child = fs::read_to_string(file).unwrap();
        let gone = wait_for("the end of the child", Duration::from_secs(5), || {
            let state = fs::read_to_string(format!("/proc/{}/stat", child.trim()));
            state.map_or(true, |stat| stat.contains(") Z ")).then_some(())
        });
        gone.unwrap();
    }

    #[test]
    fn same_content_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/file");
        write_if_changed(&path, "x").unwrap();
        let first = fs::metadata(&path).unwrap().modified().unwrap();
        write_if_changed(&path, "x").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), first);
    }
}
