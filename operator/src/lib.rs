//! The operator: observe, plan, apply, report. The only code of the product with a Kubernetes client.
//!
//! All decisions are [`medallion_plan`]'s. Here is what carries them out: [`watch`] files what stands by pipeline, [`poll`]
//! asks the workers, [`reconcile`] gathers, applies and reports, [`lease`] decides which operator works, [`api`] holds the calls.

mod admin;
mod api;
mod arguments;
mod backoff;
mod cache;
mod check;
mod context;
mod definitions;
mod emission;
mod failure;
mod function;
mod health;
mod key;
mod lease;
mod metrics;
#[cfg(test)]
mod mock;
mod poll;
mod reconcile;
mod requests;
mod stages;
mod watch;

pub use arguments::{Arguments, Task};
pub use function::FunctionArguments;

use std::sync::Arc;

use anyhow::Context as _;
use kube::runtime::events::{Recorder, Reporter};
use medallion_crds::launch::environment;
use medallion_crds::{Owner, Pipeline, labels};
use medallion_plan::consumer_group;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::installation::installation;
use crate::cache::Caches;
use crate::context::Context;
use crate::health::Health;
use crate::lease::claim::{Claim, ClaimState};
use crate::lease::leadership::Leadership;
use crate::metrics::Metrics;
use crate::poll::ask::Clients;
use crate::poll::board::Board;
use crate::poll::turn::Poller;
use crate::requests::Requests;
use crate::watch::follow::Shared;
use crate::watch::index::Index;
use crate::watch::start::Start;

/// Works until it is asked to stop, or does the task it is started for.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    if let Some(Task::Function(function)) = &arguments.task {
        return function::package(function);
    }
    let client = api::client::client()
        .await
        .context("no client for the Kubernetes API")?;
    if let Some(Task::Check { url }) = &arguments.task {
        return check::check(&client, url.as_ref()).await;
    }
    let mut config = arguments.configuration()?;
    let files = api::files::raise_limit();
    config.installation = installation(&client, &config.installation).await?;
    let watched = arguments.namespaces();
    let (requests, asked) = Requests::channel();
    let identity = std::env::var(environment::POD_NAME).unwrap_or_else(|_| format!("process-{}", std::process::id()));
    let reporter = Reporter {
        controller: labels::MANAGER.to_owned(),
        instance: Some(identity.clone()),
    };
    let of_cluster = config.installation.clone();
    let index = Index::new(move |pipeline| group_of(pipeline, &of_cluster));
    let context = Arc::new(Context {
        recorder: Recorder::new(client.clone(), reporter),
        client: client.clone(),
        config,
        metrics: Arc::new(Metrics::default()),
        health: Arc::new(Health::default()),
        index: Arc::new(index),
        board: Arc::new(Board::default()),
        leadership: Arc::new(Leadership::new(&watched)),
        caches: Caches::default(),
    });
    let shutdown = shutdown_on_signal()?;
    admin::serve(arguments.listen, context.clone()).await?;
    let emission = emission::begin(context.clone());
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        installation = context.config.installation,
        namespaces = ?watched,
        files,
        "started"
    );
    // With other kinds it works as well as it can: fields that it does not know are pruned or not seen.
    for misfit in definitions::misfits(&client).await {
        tracing::warn!("{misfit}");
    }

    for namespace in watched.clone() {
        let start = Start {
            client: client.clone(),
            namespace,
            shared: Shared {
                index: context.index.clone(),
                health: context.health.clone(),
                metrics: context.metrics.clone(),
                requests: requests.clone(),
            },
        };
        watch::all::watch(&start);
    }
    let poller = Poller {
        index: context.index.clone(),
        board: context.board.clone(),
        clients: Clients::default(),
        leadership: context.leadership.clone(),
        metrics: context.metrics.clone(),
        requests: requests.clone(),
    };
    context.health.for_ever("poll", poller.poll_for_ever());
    let (mut places, mut claims) = (Vec::new(), JoinSet::new());
    for part in watched {
        let claim = Claim {
            client: client.clone(),
            watched: part,
            own_namespace: client.default_namespace().to_owned(),
            identity: identity.clone(),
            leadership: context.leadership.clone(),
            health: context.health.clone(),
            index: context.index.clone(),
            requests: requests.clone(),
            recorder: context.recorder.clone(),
            state: ClaimState::default(),
        };
        places.push(claim.place());
        claims.spawn(claim.keep_for_ever(shutdown.clone()));
    }
    reconcile::dispatch::dispatch(context, asked, usize::from(arguments.concurrency), shutdown).await;
    // A last renewal under way would cross the giving back.
    while claims.join_next().await.is_some() {}
    for (namespace, name) in places {
        Claim::release(&client, &namespace, name, &identity).await;
    }
    if let Some(emission) = emission {
        emission.end();
    }
    tracing::info!("stopped");
    Ok(())
}

/// The consumer group that a pipeline's consumers read with.
fn group_of(pipeline: &Pipeline, installation: &str) -> Option<String> {
    let owner = Owner {
        installation: installation.to_owned(),
        namespace: pipeline.metadata.namespace.clone()?,
        name: pipeline.metadata.name.clone()?,
    };
    Some(consumer_group(&pipeline.spec.kafka, &owner))
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
