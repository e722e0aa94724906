//! `test`: the phases, each with its time budget, and a summary. Touches the network only through the programs that the phases run.

mod boundaries;
pub mod categories;
mod charts;
mod circles;
mod licences;
pub mod lints;
mod phase;
mod programs;
mod rust;
mod schemas;
mod tally;
pub mod terraform;
mod tiers;

use std::cell::RefCell;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::time::timeout;

use crate::cache;
use crate::commands::{down, up};
use crate::context::Context;
use crate::fetch;
use crate::stack::namespaces;
use crate::toolchains;
use categories::{Names, Picks, Word};
use phase::Phase;
use tally::Tally;

/// The stack of the tiers unless another is named; a `demo` that runs is left alone.
pub const STACK: &str = "test";
/// What the phases before it left to build, the images and the start, and beside them the tests of `worker` are compiled.
const UP_BUDGET: Duration = Duration::from_secs(320);
/// The start alone.
const AGAIN_BUDGET: Duration = Duration::from_secs(45);
const DOWN_BUDGET: Duration = Duration::from_secs(30);

/// A line of the summary.
struct Outcome {
    name: String,
    result: Result<()>,
    passed: u64,
    failed: u64,
    took: Duration,
    budget: Duration,
}

/// Runs what the words mean, everything if there are none; a failed phase does not hide the others.
pub async fn test(stack: &str, words: &[Word], compile: bool) -> Result<ExitCode> {
    let phases = categories::picks(words);
    let mut context = Context::new(stack)?;
    context.compile = compile;
    context.with_tests = true;
    context.with_stack_tests = phases.contains_key(&Phase::Worker);
    let needs_stack = phases.keys().any(|phase| phase.needs_stack());
    if needs_stack {
        toolchains::check_root()?;
    }
    toolchains::check_components(phases.contains_key(&Phase::Fmt), phases.contains_key(&Phase::Clippy)).await?;
    if phases.keys().any(|phase| phase.needs_toolchains()) {
        context.progress.line("checking toolchains");
        toolchains::check(&context.layout, &context.pins, &context.progress).await?;
    }
    // Another run would take the stack away below this one.
    let path = context.layout.state.join(format!("{stack}.test.lock"));
    let _alone = context
        .progress
        .quiet_step(|step| async move { cache::lock(&path, &step).await })
        .await?;
    if needs_stack && stack != STACK && namespaces::running(&context.home()).is_some() {
        bail!("stack `{stack}` runs and the tests begin on an empty one; `cargo local --stack {stack} down` ends it");
    }
    let outcomes = RefCell::default();
    tokio::select! {
        () = run_all(&context, &phases, &outcomes) => {}
        () = interrupted() => {
            let why = async { bail!("interrupted; what was not run is not listed") };
            timed(&context, "interrupted", Duration::ZERO, &Tally::default(), why, &outcomes).await;
        }
    }
    if needs_stack {
        let gone = async { down::down(&context, false) };
        timed(&context, "down", DOWN_BUDGET, &Tally::default(), gone, &outcomes).await;
    }
    Ok(summary(&outcomes.into_inner()))
}

/// The parts are built beside the phases that compile, which leave a core idle now and then.
async fn run_all(context: &Context, phases: &Picks, outcomes: &RefCell<Vec<Outcome>>) {
    let parts = async {
        let (layout, pins, progress) = (&context.layout, &context.pins, &context.progress);
        // `up` and the phases try again, and their errors count.
        if phases.keys().any(|phase| phase.needs_stack())
            && let Err(error) = fetch::all(layout, pins, progress).await
        {
            progress.line(format!("parts: {error:#}"));
        }
        if phases.contains_key(&Phase::Charts)
            && let Err(error) = fetch::chart_tools(layout, progress).await
        {
            progress.line(format!("parts: {error:#}"));
        }
        if phases.contains_key(&Phase::Terraform)
            && let Err(error) = fetch::terraform::tools(layout, pins, progress).await
        {
            progress.line(format!("parts: {error:#}"));
        }
        std::future::pending::<()>().await;
    };
    // Each phase has its limit; a download that hangs must not outlast them all.
    tokio::select! {
        () = run_in_order(context, phases, outcomes) => {}
        () = parts => {}
    }
}

async fn run_in_order(context: &Context, phases: &Picks, outcomes: &RefCell<Vec<Outcome>>) {
    let mut stack_is_up = None;
    for (phase, names) in phases {
        if phase.needs_stack() && (stack_is_up.is_none() || phase.wants_fresh_stack()) {
            let budget = if stack_is_up.is_none() {
                first_up_budget(phases)
            } else {
                AGAIN_BUDGET
            };
            stack_is_up = Some(timed(context, "up", budget, &Tally::default(), fresh(context), outcomes).await);
        }
        let tally = Tally::default();
        let work = async {
            if phase.needs_stack() && stack_is_up == Some(false) {
                bail!("not run: the stack did not start");
            }
            run(*phase, context, &tally, names).await
        };
        timed(context, &phase.name(), phase.budget(), &tally, work, outcomes).await;
    }
}

/// What the names mean of a phase; the checks of sources, charts and Terraform files have no parts.
async fn run(phase: Phase, context: &Context, tally: &Tally, names: &Names) -> Result<()> {
    match phase {
        Phase::Fmt => rust::fmt(context).await,
        Phase::Licences => licences::check(context).await,
        Phase::Boundaries => boundaries::check(context).await,
        Phase::Circles => circles::check(context).await,
        Phase::Clippy => rust::clippy(context).await,
        Phase::Unit => rust::unit(context, tally, names).await,
        Phase::Charts => charts::check(context).await,
        Phase::Terraform => terraform::check(context, tally).await,
        Phase::Api => tiers::stories(context, tally, "api", names).await,
        Phase::Worker => tiers::worker(context, tally, names).await,
        Phase::Story => tiers::stories(context, tally, "story", names).await,
        Phase::Performance => tiers::performance(context, tally).await,
    }
}

/// A tier that is called alone compiles everything first, which is else `unit`'s work.
fn first_up_budget(phases: &Picks) -> Duration {
    if phases.contains_key(&Phase::Unit) {
        UP_BUDGET
    } else {
        UP_BUDGET + Phase::Unit.budget()
    }
}

/// The tiers begin on an empty stack.
async fn fresh(context: &Context) -> Result<()> {
    down::clear(context)?;
    Box::pin(up::up(context)).await.map(drop)
}

/// When a phase is taken to hang: a slower machine may overrun the budget, and the summary says so.
fn limit(budget: Duration) -> Duration {
    budget + (budget / 2).max(Duration::from_mins(15))
}

/// Adds the outcome of some work within its limit; whether it succeeded.
async fn timed(
    context: &Context,
    name: &str,
    budget: Duration,
    tally: &Tally,
    work: impl Future<Output = Result<()>>,
    outcomes: &RefCell<Vec<Outcome>>,
) -> bool {
    context
        .progress
        .line(format!("== {name} (budget {} s)", budget.as_secs()));
    let begun = Instant::now();
    let limit = limit(budget);
    let result = match timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(anyhow::anyhow!("stopped after {} s", limit.as_secs())),
    };
    if let Err(error) = &result {
        context.progress.line(format!("{name} FAILED: {error:#}"));
    }
    let succeeded = result.is_ok();
    let (passed, failed) = tally.close(succeeded);
    outcomes.borrow_mut().push(Outcome {
        name: name.to_owned(),
        result,
        passed,
        failed,
        took: begun.elapsed(),
        budget,
    });
    succeeded
}

/// Its last line is for whoever counts: the tests of the phases that have some, and each other phase as one.
fn summary(outcomes: &[Outcome]) -> ExitCode {
    println!(
        "\n{:<14} {:<7} {:>7} {:>7} {:>8} {:>8}",
        "PHASE", "RESULT", "PASSED", "FAILED", "SECONDS", "BUDGET"
    );
    for outcome in outcomes {
        let result = match &outcome.result {
            Err(_) => "FAILED",
            Ok(()) if outcome.took > outcome.budget => "late",
            Ok(()) => "ok",
        };
        println!(
            "{:<14} {result:<7} {:>7} {:>7} {:>8.1} {:>8}",
            outcome.name,
            outcome.passed,
            outcome.failed,
            outcome.took.as_secs_f64(),
            outcome.budget.as_secs()
        );
    }
    for outcome in outcomes {
        if let Err(error) = &outcome.result {
            println!("{}: {error:#}", outcome.name);
        }
    }
    let passed = outcomes.iter().map(|outcome| outcome.passed).sum::<u64>();
    let failed = outcomes.iter().map(|outcome| outcome.failed).sum::<u64>();
    println!("{passed} passed, {failed} failed");
    if failed == 0 {
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
    fn all_budgets_together_fit_into_the_70_minutes_that_ci_has() {
        let phases = categories::picks(&[]);
        let phases = phases.keys().map(|phase| phase.budget());
        let total = phases.sum::<Duration>() + UP_BUDGET + AGAIN_BUDGET + DOWN_BUDGET;
        assert!(total <= Duration::from_mins(70), "{total:?}");
    }

    #[test]
    fn a_slower_machine_has_time_and_what_hangs_is_stopped_all_the_same() {
        assert_eq!(limit(Duration::from_mins(1)), Duration::from_mins(16));
        assert_eq!(limit(Duration::from_hours(1)), Duration::from_mins(90));
    }
}
