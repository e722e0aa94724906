//! The metric filters of `terraform/modules/monitoring`, tried on the lines that workers write. Reads the module.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use medallion_crds::progress::Identity;
use medallion_crds::{Reason, Worker};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{Subscriber, subscriber};
use tracing_subscriber::EnvFilter;

use crate::error::WorkerError;
use crate::progress::ProgressHandle;
use crate::run::{halt, say_failed};
use crate::settings::Subject;
use crate::telemetry;

const MODULE: &str = include_str!("../../../terraform/modules/monitoring/logs.tf");

/// Patterns by metric, of a pipeline.
fn patterns(namespace: &str, pipeline: &str) -> BTreeMap<&'static str, String> {
    let local = |name: &str| {
        let value = MODULE
            .lines()
            .find_map(|line| line.trim().strip_prefix(name)?.trim().strip_prefix("= "))
            .unwrap_or_else(|| panic!("no {name}"));
        text(value)
    };
    let (ended, of_pipeline) = (local("ended"), local("of_pipeline"));
    let patterns = MODULE.lines().filter_map(|line| {
        let (metric, rest) = line.trim().split_once('=')?;
        let (_, pattern) = rest.split_once("pattern = ")?;
        // What is put together from others is no text.
        let pattern = text(pattern.starts_with('"').then_some(pattern)?.trim_end_matches(" }"))
            .replace("${local.ended}", &ended)
            .replace("${local.of_pipeline}", &of_pipeline)
            .replace("${var.namespace}", namespace)
            .replace("${var.pipeline}", pipeline);
        assert!(!pattern.contains("${"), "{pattern}");
        Some((metric.trim(), pattern))
    });
    patterns.collect()
}

/// What a quoted text of Terraform says.
fn text(quoted: &str) -> String {
    let inner = quoted.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or_else(|| panic!("{quoted}")).replace("\\\"", "\"")
}

/// Whether CloudWatch counts a line: the one form of patterns that the module uses, fields that equal texts, joined by `&&`.
fn counts(pattern: &str, line: &Value) -> bool {
    let inner = pattern.strip_prefix("{ ").and_then(|rest| rest.strip_suffix(" }"));
    inner.unwrap_or_else(|| panic!("{pattern}")).split(" && ").all(|term| {
        let (field, value) = term.split_once(" = ").unwrap_or_else(|| panic!("{term}"));
        let field = field.strip_prefix("$.").unwrap_or_else(|| panic!("{term}"));
        let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        line[field] == value.unwrap_or_else(|| panic!("{term}"))
    })
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    /// A log that is written as in a pod, to here.
    fn log(&self) -> impl Subscriber + Send + Sync + use<> {
        let kept = self.clone();
        telemetry::lines(EnvFilter::new("info"))
            .with_writer(move || kept.clone())
            .finish()
    }

    fn lines(&self) -> Vec<Value> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = str::from_utf8(&kept).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The metrics that count some of these lines.
fn counted(lines: &[Value]) -> Vec<&'static str> {
    let patterns = patterns("shop", "orders");
    assert_eq!(patterns.len(), 4, "{patterns:?}");
    let counting = patterns
        .iter()
        .filter(|(_, pattern)| lines.iter().any(|line| counts(pattern, line)));
    counting.map(|(metric, _)| *metric).collect()
}

/// What is counted when a worker of this pipeline fails.
fn counted_of(worker: Worker, pipeline: &str) -> Vec<&'static str> {
    let kept = Kept::default();
    subscriber::with_default(kept.log(), || {
        let subject = Subject {
            namespace: Some("shop".to_owned()),
            pipeline: Some(pipeline.to_owned()),
            stage: None,
            run: Some("a-run".to_owned()),
            attempt: Some(1),
        };
        tracing::info!("at work");
        tracing::warn!("it heals");
        say_failed(
            worker,
            &subject,
            &WorkerError::environment(Reason::LakeUnavailable, "no answer"),
        );
    });
    let lines = kept.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    counted(&lines)
}

#[test]
fn a_failed_run_is_counted_as_what_it_is_of() {
    assert_eq!(
        counted_of(Worker::DbtRunner, "orders"),
        ["CriticalErrors", "FailedRuns"]
    );
    assert_eq!(counted_of(Worker::Loader, "orders"), ["CriticalErrors", "FailedLoads"]);
    assert_eq!(counted_of(Worker::Exporter, "orders"), ["CriticalErrors"]);
    assert_eq!(counted_of(Worker::Loader, "another"), ["CriticalErrors"]);
}

#[tokio::test(start_paused = true)]
async fn a_halted_worker_is_counted_as_data_at_risk() {
    let kept = Kept::default();
    let guard = subscriber::set_default(kept.log());
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    let progress = ProgressHandle::new(Identity::default(), Timestamp::now);
    let error = WorkerError::loss_risk(Reason::OffsetsLost, "set the group's offset");
    halt(&error, &progress, &watch::channel(true).0, &shutdown).await;
    drop(guard);
    assert_eq!(counted(&kept.lines()), ["CriticalErrors", "DataAtRisk"]);
}

#[test]
fn a_quiet_worker_is_not_counted() {
    let kept = Kept::default();
    subscriber::with_default(kept.log(), || {
        tracing::info!(worker = "loader", namespace = "shop", pipeline = "orders", "done");
        tracing::warn!("ended without having done its work");
    });
    assert!(counted(&kept.lines()).is_empty());
}
