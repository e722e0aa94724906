//! `check`, which `helm test` runs: is the operator ready, and does the API server serve both kinds? Talks to both.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use http_body_util::Empty;
use hyper::Uri;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use medallion_crds::{GROUP, VERSION};

use crate::api::call::call;
use crate::definitions;

/// An operator that has just been started fills its stores first.
const READY_WITHIN: Duration = Duration::from_mins(1);
const EACH: Duration = Duration::from_secs(5);

/// Looks once at everything and says what it finds; fails on the first thing that is not as it must be.
pub(crate) async fn check(client: &kube::Client, url: Option<&Uri>) -> anyhow::Result<()> {
    let group = format!("{GROUP}/{VERSION}");
    let served = call(|| format!("list {group}"), client.list_api_group_resources(&group))
        .await
        .with_context(|| format!("the API server does not serve {group}; install the chart medallion-crds"))?;
    for resource in ["pipelines", "stageruns"] {
        ensure!(
            served.resources.iter().any(|known| known.name == resource),
            "the API server does not serve {resource}.{GROUP}; install the chart medallion-crds"
        );
    }
    tracing::info!(%group, "both kinds are served");
    let misfits = definitions::misfits(client).await;
    ensure!(misfits.is_empty(), "{}", misfits.join("; "));
    tracing::info!("the kinds are of the operator's version");
    if let Some(url) = url {
        ready(url).await?;
        tracing::info!(%url, "the operator is ready");
    }
    Ok(())
}

async fn ready(url: &Uri) -> anyhow::Result<()> {
    let http = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let begun = Instant::now();
    loop {
        let message = match tokio::time::timeout(EACH, http.get(url.clone())).await {
            Ok(Ok(answer)) if answer.status().is_success() => return Ok(()),
            Ok(Ok(answer)) => format!("answered {}", answer.status()),
            Ok(Err(error)) => format!("did not answer: {error}"),
            Err(_) => format!("did not answer within {} s", EACH.as_secs()),
        };
        if begun.elapsed() > READY_WITHIN {
            bail!("{url} {message}");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;

    use super::*;

    #[tokio::test]
    async fn an_operator_that_becomes_ready_is_waited_for() {
        let begun = Instant::now();
        let answer = move || async move {
            if begun.elapsed() > Duration::from_millis(500) {
                axum::http::StatusCode::OK
            } else {
                axum::http::StatusCode::SERVICE_UNAVAILABLE
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/readyz", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/readyz", get(answer))).await });
        ready(&url.parse().unwrap()).await.unwrap();
    }
}
