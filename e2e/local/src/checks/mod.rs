//! `test`: the phases, each with its time budget, and a summary. Touches the network only through the programs that the phases run.

mod boundaries;
pub mod cargo;
mod charts;
mod licences;
mod schemas;
mod tiers;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum;
use tokio::time::timeout;

use crate::commands::{Context, down, up};

/// In the order in which they run: what is quick and needs nothing comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Phase {
    /// cargo fmt --check
    Fmt,
    /// Licences of all crates, and crates that must not be compiled
    Licences,
    /// Who may use whom
    Boundaries,
    /// helm lint, helm template, kubeconform
    Charts,
    /// cargo clippy, warnings are errors
    Clippy,
    /// Unit and golden tests
    Unit,
    /// Schema, ownership and columns on the real API server
    Api,
    /// One hop at a time between its real neighbours
    Worker,
    /// What a user was promised, on the whole stack
    Story,
}

/// The stack of the tiers; a `demo` that runs is left alone.
const STACK: &str = "test";
/// Building everything that is missing from nothing, and the start.
const UP_BUDGET: Duration = Duration::from_mins(25);

impl Phase {
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// How long it may take from a clean clone on two cores.
    fn budget(self) -> Duration {
        Duration::from_secs(match self {
            Self::Fmt => 30,
            Self::Licences | Self::Boundaries => 60,
            Self::Charts => 600,
            // From a clean clone this is where everything is compiled.
            Self::Unit => 3000,
            Self::Api => 180,
            Self::Clippy | Self::Worker => 900,
            Self::Story => 1800,
        })
    }

    fn needs_stack(self) -> bool {
        self >= Self::Api
    }

    async fn run(self, context: &Context) -> Result<()> {
        match self {
            Self::Fmt => cargo::fmt(context).await,
            Self::Licences => licences::check(context).await,
            Self::Boundaries => boundaries::check(context).await,
            Self::Charts => charts::check(context).await,
            Self::Clippy => cargo::clippy(context).await,
            Self::Unit => cargo::unit(context).await,
            Self::Api => tiers::stories(context, "api").await,
            Self::Worker => tiers::worker(context).await,
            Self::Story => tiers::stories(context, "story").await,
        }
    }
}

/// A line of the summary.
struct Outcome {
    name: String,
    result: Result<()>,
    took: Duration,
    budget: Duration,
}

/// Runs the phases, all if none is named; a failed one does not hide the others.
pub async fn test(mut phases: Vec<Phase>, compile: bool) -> Result<ExitCode> {
    if phases.is_empty() {
        phases = Phase::value_variants().to_vec();
    }
    phases.sort_unstable();
    phases.dedup();
    let mut context = Context::new(STACK)?;
    context.compile = compile;
    context.with_tests = true;
    let needs_stack = phases.iter().any(|phase| phase.needs_stack());
    if needs_stack {
        crate::toolchains::check_root()?;
    }
    let outcomes = tokio::select! {
        outcomes = run_all(&context, &phases) => outcomes,
        () = interrupted() => vec![Outcome {
            name: "interrupted".to_owned(),
            result: Err(anyhow::anyhow!("interrupted")),
            took: Duration::ZERO,
            budget: Duration::ZERO,
        }],
    };
    if needs_stack {
        down::down(&context, false)?;
    }
    Ok(summary(&outcomes))
}

async fn run_all(context: &Context, phases: &[Phase]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut stack_is_up = None;
    for phase in phases {
        if phase.needs_stack() && stack_is_up.is_none() {
            let outcome = timed(context, "up", UP_BUDGET, fresh(context)).await;
            stack_is_up = Some(outcome.result.is_ok());
            outcomes.push(outcome);
        }
        let work = async {
            if phase.needs_stack() && stack_is_up == Some(false) {
                bail!("not run: the stack did not start");
            }
            phase.run(context).await
        };
        outcomes.push(timed(context, &phase.name(), phase.budget(), work).await);
    }
    outcomes
}

/// The tiers begin on an empty stack.
async fn fresh(context: &Context) -> Result<()> {
    down::clear(context)?;
    up::up(context).await.map(drop)
}

async fn timed(context: &Context, name: &str, budget: Duration, work: impl Future<Output = Result<()>>) -> Outcome {
    context
        .progress
        .line(format!("== {name} (budget {} s)", budget.as_secs()));
    let begun = Instant::now();
    let result = match timeout(budget, work).await {
        Ok(result) => result,
        Err(_) => Err(anyhow::anyhow!(
            "stopped at the end of its budget of {} s",
            budget.as_secs()
        )),
    };
    if let Err(error) = &result {
        context.progress.line(format!("{name} FAILED: {error:#}"));
    }
    Outcome {
        name: name.to_owned(),
        result,
        took: begun.elapsed(),
        budget,
    }
}

fn summary(outcomes: &[Outcome]) -> ExitCode {
    println!("\n{:<14} {:<7} {:>8} {:>8}", "PHASE", "RESULT", "SECONDS", "BUDGET");
    for outcome in outcomes {
        let result = if outcome.result.is_ok() { "ok" } else { "FAILED" };
        println!(
            "{:<14} {result:<7} {:>8.1} {:>8}",
            outcome.name,
            outcome.took.as_secs_f64(),
            outcome.budget.as_secs()
        );
    }
    if outcomes.iter().all(|outcome| outcome.result.is_ok()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Ctrl-C, or the end of the machine's patience.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_budgets_together_fit_into_the_hour_that_ci_has_when_caches_are_warm() {
        let tiers = Phase::value_variants().iter().filter(|phase| phase.needs_stack());
        let total = tiers.map(|phase| phase.budget()).sum::<Duration>();
        assert!(total < Duration::from_hours(1));
    }

    #[test]
    fn what_needs_a_stack_comes_last() {
        let phases = Phase::value_variants();
        assert!(phases.is_sorted());
        assert!(phases.iter().map(|phase| phase.needs_stack()).is_sorted());
    }
}
