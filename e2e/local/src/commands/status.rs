//! `status`: each part with its state, process, age, memory and endpoint. Touches no network.

use std::process::ExitCode;

use anyhow::Result;
use jiff::{SpanRound, Timestamp, Unit};
use serde_json::json;

use crate::context::Context;
use crate::stack::status::{PartStatus, State, Status};
use crate::stack::{cgroup_of, cgroups, namespaces, processes};

/// Fails unless everything is ready.
pub fn print(context: &Context, as_json: bool) -> Result<ExitCode> {
    let home = context.home();
    let outermost = namespaces::running(&home);
    let Some((outermost, status)) = outermost.zip(Status::read(&home)) else {
        if as_json {
            println!(
                "{}",
                json!({"name": context.name, "running": outermost.is_some(), "ready": false, "parts": []})
            );
        } else {
            println!(
                "stack `{}` {}",
                context.name,
                if outermost.is_some() {
                    "is starting"
                } else {
                    "does not run"
                }
            );
        }
        return Ok(ExitCode::FAILURE);
    };
    let seen = processes::inside(outermost);
    let members = cgroups::members(&cgroup_of(&context.name))?;
    let total = members.iter().copied().map(processes::resident_bytes).sum::<u64>();
    let process = |part: &PartStatus| seen.iter().find(|one| Some(one.inner) == part.pid);
    if as_json {
        let parts = status.parts.iter().map(|part| {
            json!({
                "name": part.name,
                "state": part.state,
                "pid": process(part).map(|one| one.pid),
                "since": part.since,
                "restarts": part.restarts,
                "residentBytes": process(part).map(|one| one.resident_bytes),
                "endpoint": part.endpoint,
                "log": part.log,
                "message": part.message,
            })
        });
        let document = json!({
            "name": context.name,
            "running": true,
            "ready": status.ready(),
            "residentBytes": total,
            "parts": parts.collect::<Vec<_>>(),
        });
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        println!(
            "{:<24} {:<10} {:>8} {:>9} {:>8} {:>9}  ENDPOINT",
            "PART", "STATE", "PID", "FOR", "MEMORY", "RESTARTS"
        );
        for part in &status.parts {
            let (pid, memory) = process(part).map_or((String::new(), String::new()), |one| {
                (one.pid.to_string(), mebibytes(one.resident_bytes))
            });
            println!(
                "{:<24} {:<10} {pid:>8} {:>9} {memory:>8} {:>9}  {}",
                part.name,
                word(part.state),
                age(part.since),
                part.restarts,
                part.endpoint.as_deref().unwrap_or_default(),
            );
        }
        println!(
            "all processes, pods included: {} in {}",
            members.len(),
            mebibytes(total)
        );
    }
    Ok(if status.ready() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn word(state: State) -> &'static str {
    match state {
        State::Absent => "absent",
        State::Waiting => "waiting",
        State::Starting => "starting",
        State::Ready => "running",
        State::Restarting => "restarting",
        State::Failing => "failing",
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

fn age(since: Timestamp) -> String {
    let span = (Timestamp::now() - since).round(SpanRound::new().largest(Unit::Hour).smallest(Unit::Second));
    span.map_or_else(|_| String::new(), |span| format!("{span:#}"))
}
