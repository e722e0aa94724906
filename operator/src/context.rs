//! What all looks at pipelines share. Holds the client.

use std::sync::Arc;

use kube::Client;
use kube::runtime::events::Recorder;
use medallion_plan::OperatorConfig;

use crate::cache::Caches;
use crate::health::Health;
use crate::lease::leadership::Leadership;
use crate::metrics::Metrics;
use crate::poll::board::Board;
use crate::watch::index::Index;

/// What all looks at pipelines share.
pub(crate) struct Context {
    pub client: Client,
    pub config: OperatorConfig,
    pub metrics: Arc<Metrics>,
    pub health: Arc<Health>,
    pub index: Arc<Index>,
    pub board: Arc<Board>,
    pub leadership: Arc<Leadership>,
    pub caches: Caches,
    /// One for all, so that repeated events are counted rather than stored.
    pub recorder: Recorder,
}
