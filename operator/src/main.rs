//! Starts the operator: arguments, configuration, logs. Talks to the Kubernetes API and to workers' admin ports.

use std::process::ExitCode;

use clap::Parser;
use medallion_metrics::CountErrors;
use medallion_operator::{Arguments, run};
use mimalloc::MiMalloc;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Looks at pipelines make and drop thousands of small objects on every thread, which the C library's allocator is slow at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let level = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let filter = EnvFilter::try_new(directives(&level)).unwrap_or_else(|_| EnvFilter::new(directives("info")));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_env_filter(filter)
        .finish()
        .with(CountErrors)
        .init();
    match start(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "ended");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(arguments))
}

/// A level alone is ours: it tells what happened, and libraries only warn. Directives with targets are taken as they are.
fn directives(level: &str) -> String {
    match level {
        "" => directives("info"),
        level if level.contains(['=', ',']) => level.to_owned(),
        level => format!("warn,medallion_operator={level},medallion_plan={level},medallion_metrics={level}"),
    }
}
