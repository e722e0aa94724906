//! What all reconciles share. Holds the client.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use medallion_crds::labels;
use medallion_crds::launch::environment;
use medallion_plan::OperatorConfig;

use crate::memory::Memories;
use crate::metrics::Metrics;
use crate::progress::{self, HttpClient, ProgressBoard};

/// What all reconciles share.
pub(crate) struct Context {
    pub client: Client,
    pub config: OperatorConfig,
    pub metrics: Metrics,
    pub memories: Memories,
    pub progress: ProgressBoard,
    pub http: HttpClient,
    /// One for all, so that repeated events are counted rather than stored.
    pub recorder: Recorder,
    /// Watched scopes whose stores have not been filled yet.
    pub scopes_to_fill: AtomicUsize,
    /// A task that must never end has ended: only a new process helps.
    pub broken: AtomicBool,
}

impl Context {
    pub fn new(client: Client, config: OperatorConfig, scopes: usize) -> Self {
        let reporter = Reporter {
            controller: labels::MANAGER.to_owned(),
            instance: std::env::var(environment::POD_NAME).ok(),
        };
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            client,
            config,
            metrics: Metrics::default(),
            memories: Memories::default(),
            progress: ProgressBoard::default(),
            http: progress::client(),
            scopes_to_fill: AtomicUsize::new(scopes),
            broken: AtomicBool::new(false),
        }
    }

    /// Runs a task that must never end. If it does all the same, the operator would go on with a picture that stands still.
    pub fn for_ever(self: &Arc<Self>, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let (context, task) = (self.clone(), tokio::spawn(task));
        tokio::spawn(async move {
            let ended = task.await;
            tracing::error!(
                what,
                ?ended,
                "a task has ended that never must; the process has to be started anew"
            );
            context.broken.store(true, Ordering::Relaxed);
        });
    }
}
