//! What all reconciles share. Holds the client.

use std::sync::atomic::AtomicBool;

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
    /// The stores have been filled.
    pub ready: AtomicBool,
}

impl Context {
    pub fn new(client: Client, config: OperatorConfig) -> Self {
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
            ready: AtomicBool::new(false),
        }
    }
}
