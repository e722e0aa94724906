//! A function's process from its start to its end: a runtime, a log, and an answer to each invocation. Takes invocations from the Lambda runtime.

use std::future::{Future, ready};
use std::process::ExitCode;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use medallion_crds::Reason;
use serde::Serialize;
use serde_json::Value;

use crate::error::{ErrorClass, WorkerError};
use crate::telemetry;

/// One invocation at a time needs few threads; the log library of the lake blocks, and wants more than one.
const THREADS: usize = 2;

/// Runs a function until the Lambda runtime ends it. `open` makes what answers invocations, once; where the package is wrong, every
/// invocation fails with what is wrong. An answer that is an error fails its invocation, by the error's reason.
pub fn start<O, H, F, A>(open: O) -> ExitCode
where
    O: Future<Output = Result<H, WorkerError>>,
    H: Fn(LambdaEvent<Value>) -> F,
    F: Future<Output = Result<A, WorkerError>>,
    A: Serialize,
{
    telemetry::start();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(run(open)),
        Err(error) => Err(WorkerError::environment(Reason::ListenerEnded, error.to_string())),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(
                class = ?error.class,
                reason = error.reason.as_str(),
                detail = error.message,
                "the function ended"
            );
            ExitCode::FAILURE
        }
    }
}

async fn run<O, H, F, A>(open: O) -> Result<(), WorkerError>
where
    O: Future<Output = Result<H, WorkerError>>,
    H: Fn(LambdaEvent<Value>) -> F,
    F: Future<Output = Result<A, WorkerError>>,
    A: Serialize,
{
    match open.await {
        Ok(answer) => serve(answer).await,
        // A process that ended would be started anew for each invocation, and say no more than that it has ended.
        Err(error) if error.class == ErrorClass::Settings => {
            serve(move |_| ready(Err::<Value, _>(error.clone()))).await
        }
        Err(error) => Err(error),
    }
}

async fn serve<H, F, A>(answer: H) -> Result<(), WorkerError>
where
    H: Fn(LambdaEvent<Value>) -> F,
    F: Future<Output = Result<A, WorkerError>>,
    A: Serialize,
{
    let handler = service_fn(move |event: LambdaEvent<Value>| {
        let answered = answer(event);
        async move { answered.await.map_err(failed) }
    });
    lambda_runtime::run(handler)
        .await
        .map_err(|error| WorkerError::environment(Reason::ListenerEnded, format!("the Lambda runtime: {error}")))
}

/// A failed invocation as Lambda and its alarms see it.
fn failed(error: WorkerError) -> Diagnostic {
    tracing::error!(
        class = ?error.class,
        reason = error.reason.as_str(),
        detail = error.message,
        "nothing is taken by this invocation"
    );
    Diagnostic {
        error_type: error.reason.to_string(),
        error_message: error.message,
    }
}

#[cfg(test)]
mod tests {
    use std::future::Ready;

    use super::*;

    #[test]
    fn a_failed_invocation_is_known_by_its_reason() {
        let shown = failed(WorkerError::settings(Reason::BadContract, "no schema"));
        assert_eq!(
            (shown.error_type.as_str(), shown.error_message.as_str()),
            ("BadContract", "no schema")
        );
    }

    #[test]
    fn a_function_that_cannot_begin_ends_at_once() {
        type Answer = fn(LambdaEvent<Value>) -> Ready<Result<Value, WorkerError>>;
        let open = async { Err::<Answer, _>(WorkerError::environment(Reason::LakeUnavailable, "no answer")) };
        let ended = start(open);
        assert_eq!(format!("{ended:?}"), format!("{:?}", ExitCode::FAILURE));
    }
}
