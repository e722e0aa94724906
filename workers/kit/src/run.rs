//! Starts a worker, hands it its context, and ends the process as the launch contract says. Listens on the admin port.

use std::future::Future;
use std::process::ExitCode as ProcessExit;
use std::time::Duration;

use jiff::Timestamp;
use medallion_crds::launch::report::Report;
use medallion_crds::launch::{ExitCode, Settings, environment};
use medallion_crds::progress::Identity;
use medallion_crds::{Reason, Stage, Worker};
use medallion_metrics::errors;
use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Admin};
use crate::error::{ErrorClass, WorkerError};
use crate::metrics::Metrics;
use crate::progress::ProgressHandle;
use crate::settings::{self, SettingsError, Subject};
use crate::{emission, telemetry, termination};

/// How often a halted worker says that it still stands there.
const HALTED_TURN: Duration = Duration::from_secs(5);

/// What a worker works with.
pub struct Context<W> {
    /// The settings file.
    pub settings: Settings<W>,
    /// Metrics behind `/metrics`.
    pub metrics: Metrics,
    /// What `/progress` answers.
    pub progress: ProgressHandle,
    /// Set to true when the worker can do its work; `/readyz` says so.
    pub ready: watch::Sender<bool>,
    /// Cancelled at SIGTERM or SIGINT: stop taking new work, finish what is in flight, return `Ok`.
    pub shutdown: CancellationToken,
}

/// Runs the worker to its end and gives the process's exit code.
pub fn start<W, R, F>(worker: Worker, run: R) -> ProcessExit
where
    W: DeserializeOwned,
    R: FnOnce(Context<W>) -> F,
    F: Future<Output = Result<Option<Report>, WorkerError>>,
{
    telemetry::start();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ProcessExit::from(ExitCode::Environment.code());
        }
    };
    let exit = runtime.block_on(run_to_end(worker, run));
    // Threads of blocking calls (a lake commit, a poll) must not keep the process once its fate is written.
    runtime.shutdown_background();
    ProcessExit::from(exit.code())
}

async fn run_to_end<W, R, F>(worker: Worker, run: R) -> ExitCode
where
    W: DeserializeOwned,
    R: FnOnce(Context<W>) -> F,
    F: Future<Output = Result<Option<Report>, WorkerError>>,
{
    let text = settings::read();
    let subject = text.as_deref().map(Subject::of).unwrap_or_default();
    let Subject {
        namespace,
        pipeline,
        stage,
        run: stage_run,
        attempt,
    } = &subject;
    tracing::info!(
        worker = worker.as_str(),
        version = crate::VERSION,
        namespace,
        pipeline,
        stage,
        run = stage_run,
        attempt,
        "started"
    );
    match with_context(worker, text, run).await {
        Ok(report) => {
            if let Some(report) = &report {
                termination::leave(report);
            }
            tracing::info!(
                worker = worker.as_str(),
                namespace,
                pipeline,
                stage,
                run = stage_run,
                attempt,
                "done"
            );
            ExitCode::Done
        }
        Err(error) => {
            termination::leave(&Report::Failure(error.report()));
            say_failed(worker, &subject, &error);
            error.class.exit_code()
        }
    }
}

/// The last line of a worker that fails, which alarms count.
pub(crate) fn say_failed(worker: Worker, subject: &Subject, error: &WorkerError) {
    tracing::error!(
        worker = worker.as_str(),
        namespace = subject.namespace,
        pipeline = subject.pipeline,
        stage = subject.stage,
        run = subject.run,
        attempt = subject.attempt,
        class = ?error.class,
        reason = error.reason.as_str(),
        detail = error.message,
        "ended without having done its work"
    );
}

async fn with_context<W, R, F>(
    worker: Worker,
    text: Result<String, SettingsError>,
    run: R,
) -> Result<Option<Report>, WorkerError>
where
    W: DeserializeOwned,
    R: FnOnce(Context<W>) -> F,
    F: Future<Output = Result<Option<Report>, WorkerError>>,
{
    let settings = settings::parse::<W>(&text?)?;
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let identity = Identity {
        pipeline_uid: settings.pipeline.uid.clone(),
        pod_uid: variable(environment::POD_UID),
        stage: settings.stage,
        settings_hash: variable(environment::SETTINGS_HASH),
    };
    let streams = is_streaming(settings.stage);
    let metrics = Metrics::default();
    let progress = ProgressHandle::new(identity, Timestamp::now);
    metrics.show_retention(progress.clone());
    metrics.register("log_errors", "Lines of level ERROR in the log", errors());
    let (ready, ready_receiver) = watch::channel(false);
    let shutdown = shutdown_on_signal()?;
    admin::serve(Admin {
        metrics: metrics.clone(),
        progress: progress.clone(),
        ready: ready_receiver,
    })
    .await?;
    let emission = emission::begin(worker, &settings.pipeline, settings.stage, &metrics);

    let context = Context {
        settings,
        metrics,
        progress: progress.clone(),
        ready: ready.clone(),
        shutdown: shutdown.clone(),
    };
    let outcome = run(context).await;
    if let Err(error) = &outcome
        && error.class == ErrorClass::LossRisk
        && streams
    {
        halt(error, &progress, &ready, &shutdown).await;
    }
    if let Some(emission) = emission {
        emission.end();
    }
    outcome
}

/// Ending would only start the pod again, into the same risk: stay, unready, and say what is the matter.
pub(crate) async fn halt(
    error: &WorkerError,
    progress: &ProgressHandle,
    ready: &watch::Sender<bool>,
    shutdown: &CancellationToken,
) {
    tracing::error!(
        reason = error.reason.as_str(),
        detail = error.message,
        "halted: data may be lost"
    );
    ready.send_replace(false);
    progress.loss_risk(error.reason.clone(), error.message.clone());
    // Nobody measures any more.
    progress.update(|work| work.lag = None);
    // To wait for somebody's decision is all that it still has to do: what it says holds, and it is alive.
    let mut turns = tokio::time::interval(HALTED_TURN);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = turns.tick() => progress.beat(),
        }
    }
}

/// Whether the worker stays up between its work; the provisioner, which has no stage, does not.
fn is_streaming(stage: Option<Stage>) -> bool {
    stage.is_some_and(|stage| !stage.is_batch())
}

fn shutdown_on_signal() -> Result<CancellationToken, WorkerError> {
    let handler = |kind| {
        signal(kind)
            .map_err(|error| WorkerError::environment(Reason::NoSignalHandler, format!("signal handler: {error}")))
    };
    let (mut terminate, mut interrupt) = (handler(SignalKind::terminate())?, handler(SignalKind::interrupt())?);
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop");
        cancelled.cancel();
    });
    Ok(token)
}

#[cfg(test)]
mod tests {
    use medallion_crds::progress::TroubleClass;

    use super::*;
    use crate::progress::LONGEST_TURN;

    #[test]
    fn what_stays_up_is_what_runs_as_no_job() {
        let streaming: Vec<Stage> = Stage::ALL
            .into_iter()
            .filter(|stage| is_streaming(Some(*stage)))
            .collect();
        assert_eq!(streaming, [Stage::Ingest, Stage::Persist, Stage::Bronze]);
        assert!(!is_streaming(None), "the provisioner is a Job");
    }

    #[tokio::test(start_paused = true)]
    async fn a_halted_worker_stays_unready_and_says_what_to_do() {
        let progress = ProgressHandle::new(Identity::default(), Timestamp::now);
        progress.update(|work| work.lag = Some(7));
        // Its loop has turned, until it found what may be lost.
        progress.beat();
        let (ready, mut readiness) = watch::channel(true);
        let shutdown = CancellationToken::new();
        let error = WorkerError::loss_risk(Reason::OffsetsLost, "set the group's offset");
        let halted = tokio::spawn({
            let (progress, shutdown) = (progress.clone(), shutdown.clone());
            async move { halt(&error, &progress, &ready, &shutdown).await }
        });
        readiness.wait_for(|ready| !ready).await.expect("unready");
        tokio::time::sleep(3 * LONGEST_TURN).await;
        assert!(!halted.is_finished(), "it stays");
        assert!(!progress.is_stuck(), "a start anew would lead into the same risk");
        let work = progress.snapshot().work;
        let trouble = work.trouble.expect("a trouble");
        assert_eq!(
            (trouble.class, trouble.reason, work.lag),
            (TroubleClass::LossRisk, Reason::OffsetsLost, None)
        );
        assert_eq!(trouble.message, "set the group's offset");
        shutdown.cancel();
        halted.await.expect("it ends when it is asked to");
    }
}
