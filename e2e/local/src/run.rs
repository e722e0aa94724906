//! Runs other programs, with their words in a log file and its last lines in the error. Touches no network itself.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::progress::Step;

/// How often a condition is looked at while waiting for it.
pub const POLL: Duration = Duration::from_millis(50);

const TAIL_BYTES: u64 = 16 << 10;

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

/// The same command line, killed by the kernel if this process dies without a chance to do it.
fn tied(command: &Command) -> Command {
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

/// The last lines of a file, oldest first; empty when there is none.
pub fn last_lines(path: &Path, count: usize) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>();
    lines[lines.len().saturating_sub(count)..].join("\n")
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

    #[test]
    fn last_lines_skips_blank_ones() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "a\nb\n\nc\n\n").unwrap();
        assert_eq!(last_lines(file.path(), 2), "b\nc");
        assert_eq!(last_lines(file.path(), 9), "a\nb\nc");
        assert_eq!(last_lines(Path::new("/does/not/exist"), 9), "");
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
