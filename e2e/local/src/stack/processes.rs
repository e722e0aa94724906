//! Finds a stack's processes from the host: its outermost one by id and start time, the parts by their ids inside. Touches no network.

use std::fs;
use std::path::Path;

use anyhow::Result;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::run;

/// A process that cannot be mistaken for a later one with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    pub pid: i32,
    start_time: u64,
}

impl Process {
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in brackets may hold anything; what follows is fixed: state first, start time twentieth.
        let mut rest = stat.rsplit_once(')')?.1.split_whitespace();
        let state = rest.next()?;
        let start_time = rest.nth(18)?.parse().ok()?;
        (state != "Z" && state != "X").then_some(Self { pid, start_time })
    }

    pub fn lives(&self) -> bool {
        Self::of(self.pid) == Some(*self)
    }

    pub fn kill(&self) {
        if self.lives() {
            // It may end by itself in between.
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
    }

    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        run::write_if_changed(path, serde_json::to_vec(self)?)
    }
}

/// What `/proc` says about a process inside a stack.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The id on the host.
    pub pid: i32,
    /// The id inside.
    pub inner: i32,
    pub resident_bytes: u64,
}

/// All processes that live in the process namespace made by `outermost`; a pod's have a namespace of their own.
pub fn inside(outermost: Process) -> Vec<Seen> {
    let Ok(space) = fs::read_link(format!("/proc/{}/ns/pid_for_children", outermost.pid)) else {
        return Vec::new();
    };
    let Ok(all) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    all.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|link| link == space))
        .filter_map(|pid| seen(pid, &fs::read_to_string(format!("/proc/{pid}/status")).ok()?))
        .collect()
}

/// The resident bytes of a process; none when it has just ended.
pub fn resident_bytes(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    seen(pid, &status).map_or(0, |seen| seen.resident_bytes)
}

fn seen(pid: i32, status: &str) -> Option<Seen> {
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    };
    let inner = field("NSpid")?.split_whitespace().last()?.parse().ok()?;
    let kilobytes: u64 = field("VmRSS")
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(0);
    Some(Seen {
        pid,
        inner,
        resident_bytes: kilobytes << 10,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_a_later_one_with_its_id_is_another() {
        let me = Process::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(me.lives());
        assert!(
            !Process {
                start_time: me.start_time + 1,
                ..me
            }
            .lives()
        );
    }

    #[test]
    fn inner_id_and_memory_are_read() {
        let seen = seen(7000, "Name:\tkafka\nVmRSS:\t  2048 kB\nNSpid:\t7000\t42\n").unwrap();
        assert_eq!((seen.pid, seen.inner, seen.resident_bytes), (7000, 42, 2 << 20));
    }
}
