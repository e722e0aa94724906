//! SIGKILL, the real one, to the processes of a pod or to a part of the stack. Touches processes of this machine that belong to the stack.

use std::fs;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;

use crate::stack::Stack;

/// The process that only holds a pod's namespaces.
const PAUSE: &str = "pause";

/// Kills every process of a pod's containers; how many there were.
pub fn pod(pod: &Pod) -> Result<usize> {
    let uid = pod.uid().context("a pod has a UID")?;
    let processes = processes(&uid)?;
    for process in &processes {
        // One that has just ended by itself is as good as killed.
        let _ = kill(Pid::from_raw(*process), Signal::SIGKILL);
    }
    Ok(processes.len())
}

/// The processes of a pod, found by the cgroup that kubelet gave it.
fn processes(uid: &str) -> Result<Vec<i32>> {
    let group = format!("pod{uid}");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // A process can end while it is looked at.
        let Ok(groups) = fs::read_to_string(format!("/proc/{id}/cgroup")) else {
            continue;
        };
        let Ok(name) = fs::read_to_string(format!("/proc/{id}/comm")) else {
            continue;
        };
        if groups.contains(&group) && name.trim() != PAUSE {
            found.push(id);
        }
    }
    Ok(found)
}

/// Kills a part of the stack, which its supervisor starts again.
pub async fn part(stack: &Stack, part: &str) -> Result<()> {
    let mut local = Command::new(&stack.bin.local);
    let output = local.args(["--stack", &stack.name, "kill", part]).output().await?;
    if !output.status.success() {
        bail!("killing {part}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// What a process was started with.
pub struct Started {
    pub arguments: String,
    pub environment: String,
}

/// What the processes of a pod were started with.
pub fn started_with(pod: &Pod) -> Result<Vec<Started>> {
    let processes = processes(&pod.uid().context("a pod has a UID")?)?;
    // Each text ends with a zero; a process can end while it is looked at.
    let read = |process: i32, file: &str| {
        let text = fs::read(format!("/proc/{process}/{file}")).ok()?;
        Some(String::from_utf8_lossy(&text).replace('\0', " "))
    };
    let started = processes.into_iter().filter_map(|process| {
        Some(Started {
            arguments: read(process, "cmdline")?,
            environment: read(process, "environ")?,
        })
    });
    Ok(started.collect())
}

/// Resident bytes and CPU seconds of all processes of a pod.
pub fn usage(pod: &Pod) -> Result<(u64, f64)> {
    let mut total = (0, 0.0);
    let processes = processes(&pod.uid().context("a pod has a UID")?)?;
    for (resident, seconds) in processes.into_iter().filter_map(usage_of) {
        total.0 += resident;
        total.1 += seconds;
    }
    Ok(total)
}

/// Resident bytes and CPU seconds of a process; none of one that has ended.
pub fn usage_of(process: i32) -> Option<(u64, f64)> {
    let statistics = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name stands in brackets and may hold anything; the numbers follow it.
    let (_, rest) = statistics.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |index: usize| fields.get(index)?.parse::<u64>().ok();
    // Fields 14, 15 and 24 of proc(5), counted from the state, which is the third: ticks of 10 ms, pages of 4 KiB.
    #[expect(clippy::cast_precision_loss, reason = "ticks of a test are few")]
    let seconds = (field(11)? + field(12)?) as f64 / 100.0;
    Some((field(21)? * 4096, seconds))
}
