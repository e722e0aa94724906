//! `/livez /readyz /metrics`. Listens on the admin port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use jiff::Timestamp;
use tokio::net::TcpListener;

use crate::context::Context;
use crate::lease::leadership::Leadership;
use crate::stages::{Look, looks};
use crate::watch::index::Index;

/// Starts the server; it ends with the process.
pub(crate) async fn serve(address: SocketAddr, context: Arc<Context>) -> anyhow::Result<()> {
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(context);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "admin server ended");
        }
    });
    Ok(())
}

async fn livez(State(context): State<Arc<Context>>) -> impl IntoResponse {
    if context.health.is_broken() {
        (StatusCode::INTERNAL_SERVER_ERROR, "a task has ended that never must")
    } else {
        (StatusCode::OK, "ok")
    }
}

async fn readyz(State(context): State<Arc<Context>>) -> impl IntoResponse {
    readiness(context.health.obstacle(Instant::now()), context.leadership.words())
}

/// One who has to leave the work to another is ready to take over; one who does not know how the cluster stands is not.
fn readiness(obstacle: Option<String>, passive: Option<String>) -> (StatusCode, String) {
    match (obstacle, passive) {
        (Some(obstacle), _) => (StatusCode::SERVICE_UNAVAILABLE, obstacle),
        (None, Some(words)) => (StatusCode::OK, format!("ok, but passive: {words}")),
        (None, None) => (StatusCode::OK, "ok".to_owned()),
    }
}

async fn metrics(State(context): State<Arc<Context>>) -> impl IntoResponse {
    (
        [(
            header::CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )],
        shown(&context),
    )
}

/// All metrics as they are now.
pub(crate) fn shown(context: &Context) -> String {
    let stages = own_stages(&context.index, &context.leadership, Timestamp::now());
    context.metrics.text(stages)
}

/// The stages of all pipelines on which this process works. Who stands by knows no more than the last status that another has written: where
/// nobody works, one that says that nothing waits would be believed for ever, while silence is an alarm.
fn own_stages(index: &Index, leadership: &Leadership, now: Timestamp) -> Vec<Look> {
    let pipelines = index.pipelines();
    let own = pipelines.iter().filter(|(key, _)| leadership.leads(&key.namespace));
    own.flat_map(|(key, pipeline)| {
        let status = pipeline.0.as_ref().ok().and_then(|pipeline| pipeline.status.as_ref());
        status.map(|status| looks(key, status, now)).unwrap_or_default()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use medallion_crds::Pipeline;
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::lease::leadership::Position;
    use crate::watch::guard::Guarded;

    #[rstest]
    #[case::works(None, None, 200, "ok")]
    #[case::passive(None, Some("another leads"), 200, "ok, but passive: another leads")]
    #[case::blind(Some("not listed yet"), None, 503, "not listed yet")]
    #[case::passive_and_blind(Some("not listed yet"), Some("another leads"), 503, "not listed yet")]
    fn readiness_is_to_know_how_the_cluster_stands(
        #[case] obstacle: Option<&str>,
        #[case] passive: Option<&str>,
        #[case] code: u16,
        #[case] words: &str,
    ) {
        let (status, body) = readiness(obstacle.map(str::to_owned), passive.map(str::to_owned));
        assert_eq!((status.as_u16(), body.as_str()), (code, words));
    }

    #[test]
    fn who_does_not_work_on_a_pipeline_says_nothing_of_it() {
        let text = include_str!("../../crds/examples/smallest.yaml");
        let mut pipeline: Pipeline = serde_saphyr::from_str(text).unwrap();
        pipeline.metadata.namespace = Some("shop".to_owned());
        let status = json!({"stages": [{"name": "silver", "state": "Idle"}]});
        pipeline.status = serde_json::from_value(status).unwrap();
        let index = Index::new(|_| None);
        index.put_pipeline(Guarded(Ok(pipeline)));
        let leadership = Leadership::new(&[None]);
        let shown = || own_stages(&index, &leadership, Timestamp::UNIX_EPOCH).len();
        assert_eq!(shown(), 0, "nobody knows yet who leads");

        let leads = |except: &[&str]| Position::Leads {
            since: Instant::now(),
            until: Instant::now() + Duration::from_mins(1),
            except: except.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(),
        };
        leadership.set(&None, leads(&[]));
        assert_eq!(shown(), 1);
        leadership.set(&None, leads(&["shop"]));
        assert_eq!(shown(), 0, "another operator works there");
        leadership.set(&None, Position::Passive("held by another".to_owned()));
        assert_eq!(shown(), 0);
    }
}
