//! The operator: observe, plan, apply, report. The only code of the product with a Kubernetes client.
//!
//! All decisions are [`medallion_plan`]'s. Here is what carries them out: [`scope`] watches, [`observe`] gathers,
//! [`apply`] writes children and runs, [`report`] writes status and events, [`progress`] asks the workers.

mod admin;
mod apply;
mod arguments;
mod backoff;
mod calls;
mod children;
mod context;
mod memory;
mod metrics;
mod observe;
mod progress;
mod reconcile;
mod report;
mod scope;

pub use arguments::Arguments;

use std::sync::Arc;

use anyhow::Context as _;
use futures::future;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::scope::Scope;

/// Works until it is asked to stop.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let config = arguments.configuration()?;
    let client = calls::client().await.context("no client for the Kubernetes API")?;
    let namespaces = arguments.namespaces();
    let context = Arc::new(Context::new(client.clone(), config, namespaces.len()));
    let shutdown = shutdown_on_signal()?;
    admin::serve(arguments.listen, context.clone()).await?;

    tracing::info!(version = env!("CARGO_PKG_VERSION"), ?namespaces, "started");
    let scopes: Vec<_> = namespaces
        .into_iter()
        .map(|namespace| Scope::new(client.clone(), namespace))
        .collect();
    let views: Vec<_> = scopes.iter().map(|(scope, _)| scope.clone()).collect();
    context.for_ever("progress", progress::poll_for_ever(context.clone(), views));
    let controllers = scopes.into_iter().map(|(scope, watches)| {
        reconcile::control(context.clone(), scope, watches, arguments.concurrency, shutdown.clone())
    });
    future::join_all(controllers).await;
    tracing::info!("stopped");
    Ok(())
}

fn shutdown_on_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
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
