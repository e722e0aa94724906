//! One look at one pipeline: observe, plan, apply, report. Talks to the Kubernetes API.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::applier;
use kube::runtime::controller::{Action, Config};
use medallion_crds::{Pipeline, Reason};
use medallion_plan::{Observed, PlanError, PlannedEvent, STAGES, ValidateError, ValidatedPipeline, is_over, plan};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::apply::{self, ApplyError};
use crate::calls::CallError;
use crate::context::Context;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::observe::Since;
use crate::scope::{GuardedPipeline, Scope, Watches};
use crate::{backoff, observe, progress, report};

/// Changes that come together are looked at together.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// Why a look failed; the next one starts from what stands.
#[derive(Debug, Error)]
pub enum ReconcileError {
    /// The object has no identity.
    #[error(transparent)]
    Validate(#[from] ValidateError),
    /// The cluster could not be looked at.
    #[error("cannot observe: {0}")]
    Observe(#[source] CallError),
    /// No plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Not everything could be applied.
    #[error("cannot apply: {0}")]
    Apply(#[source] ApplyError),
    /// The status could not be written.
    #[error("cannot report: {0}")]
    Report(#[source] CallError),
    /// A bug; other pipelines go on.
    #[error("the reconcile panicked")]
    Panicked,
}

impl ReconcileError {
    /// The word of the metric.
    const fn word(&self) -> &'static str {
        match self {
            Self::Validate(_) => "invalid",
            Self::Observe(_) => "observe_failed",
            Self::Plan(_) => "plan_failed",
            Self::Apply(error) => error.word(),
            Self::Report(_) => "report_failed",
            Self::Panicked => "panicked",
        }
    }
}

/// Looks at the pipelines of a scope until it is asked to stop.
pub(crate) async fn control(
    context: Arc<Context>,
    scope: Scope,
    watches: Watches,
    concurrency: u16,
    shutdown: CancellationToken,
) {
    let queue = watches.start(&context, &scope);
    tokio::select! {
        // A watch that has ended is told by /livez.
        filled = scope.wait_until_filled() => if filled.is_err() { return },
        () = shutdown.cancelled() => return,
    }
    // After a restart, what workers say is heard before anything is said about them.
    progress::poll_once(&context, &scope).await;
    context.scopes_to_fill.fetch_sub(1, Ordering::Relaxed);
    let looks = applier(
        |object, shared: Arc<(Arc<Context>, Scope)>| {
            let (context, scope) = shared.as_ref().clone();
            Box::pin(guarded(object, context, scope))
        },
        |object, error: &ReconcileError, shared| after_error(&object, error, &shared.0),
        Arc::new((context, scope.clone())),
        scope.pipelines.clone(),
        Box::pin(queue.take_until(shutdown.cancelled_owned())),
        Config::default().debounce(DEBOUNCE).concurrency(concurrency),
    );
    looks.for_each(|_| async {}).await;
}

/// A panic harms the pipeline whose data caused it, no other.
async fn guarded(object: Arc<GuardedPipeline>, context: Arc<Context>, scope: Scope) -> Result<Action, ReconcileError> {
    let begun = Instant::now();
    let look = AssertUnwindSafe(reconcile(&object, &context, &scope))
        .catch_unwind()
        .await;
    let result = look.unwrap_or(Err(ReconcileError::Panicked));
    context.metrics.reconcile_seconds.observe(begun.elapsed().as_secs_f64());
    Metrics::count(
        &context.metrics.reconciles,
        result.as_ref().err().map_or("ok", ReconcileError::word),
    );
    if result.is_ok() {
        context.memories.succeeded(&object.uid().unwrap_or_default());
    }
    result
}

fn after_error(object: &GuardedPipeline, error: &ReconcileError, context: &Context) -> Action {
    let failures = context.memories.failed(&object.uid().unwrap_or_default());
    let wait = match error {
        ReconcileError::Apply(ApplyError::Leaving { .. }) => Duration::from_secs(1),
        _ => backoff::after_failures(failures),
    };
    tracing::warn!(
        pipeline = object.name_any(),
        namespace = object.namespace(),
        %error,
        failures,
        next_seconds = wait.as_secs_f64(),
        "reconcile failed"
    );
    Action::requeue(wait)
}

async fn reconcile(object: &GuardedPipeline, context: &Context, scope: &Scope) -> Result<Action, ReconcileError> {
    let memory = context.memories.of(&object.uid().unwrap_or_default());
    let mut memory = memory.lock().await;
    let stored = match &object.0 {
        Ok(pipeline) => pipeline,
        Err(invalid) => {
            // Its workers go on and are heard, which is no reason to say it again.
            if memory.unreadable != object.resource_version() {
                memory.unreadable = object.resource_version();
                tell_unreadable(context, object, &invalid.error).await;
            }
            return Ok(Action::await_change());
        }
    };

    let seen = newest(stored, &memory);
    let pipeline = ValidatedPipeline::new(&seen, &context.config)?;
    let mut observed = observe::observe(context, scope, &seen, &pipeline, &mut memory)
        .await
        .map_err(ReconcileError::Observe)?;
    let now = Timestamp::now();
    let mut planned = plan(STAGES, &pipeline, &observed, &context.config, now)?;
    if apply::creates(scope, &pipeline, &planned) {
        match observe::since(context, &seen).await.map_err(ReconcileError::Observe)? {
            Since::Same => {}
            Since::Changed => return Ok(Action::requeue(apply::MOVED)),
            Since::Gone => return Ok(Action::await_change()),
        }
    }
    let applied = apply::apply(context, scope, &pipeline, &mut memory, &planned).await;
    let failure = applied
        .failure
        .as_ref()
        .filter(|failure| failure.is_for_users())
        .map(ToString::to_string);
    if failure != observed.apply_failure {
        // What could not be done is said at once: a status without it would call the pipeline ready.
        memory.apply_failure.clone_from(&failure);
        observed.apply_failure = failure;
        planned = plan(STAGES, &pipeline, &observed, &context.config, now)?;
    }
    let put_off = report::status(context, &seen, &pipeline, &mut memory, &planned)
        .await
        .map_err(ReconcileError::Report)?;
    report::events(context, &seen, &planned.events).await;
    memory.tidy(&under_way(&observed), planned.keep.as_ref());
    if let Some(failure) = applied.failure {
        return Err(ReconcileError::Apply(failure));
    }
    let Some(wake_at) = planned.wake_at else {
        return Ok(Action::await_change());
    };
    let planned = Duration::try_from(wake_at.duration_since(now)).unwrap_or_default();
    let next = [put_off, applied.again]
        .into_iter()
        .flatten()
        .fold(planned, Duration::min);
    Ok(Action::requeue(next.max(DEBOUNCE)))
}

async fn tell_unreadable(context: &Context, object: &GuardedPipeline, error: &str) {
    tracing::warn!(pipeline = object.name_any(), error, "pipeline not readable");
    let event = PlannedEvent {
        warning: true,
        reason: Reason::NotReadable,
        about: "Read".to_owned(),
        note: format!("this operator cannot read the object: {error}"),
    };
    report::publish(context, object, &event).await;
}

/// UIDs of the runs that have not ended.
fn under_way(observed: &Observed) -> HashSet<String> {
    let runs = observed.runs.iter().filter(|run| !is_over(run));
    runs.filter_map(ResourceExt::uid).collect()
}

/// The object as it is known best: what our last write made of it, until the watch has shown anything newer.
fn newest(stored: &Pipeline, memory: &Memory) -> Pipeline {
    match &memory.written {
        Some((before, written)) if *before == stored.resource_version() => written.clone(),
        _ => stored.clone(),
    }
}
