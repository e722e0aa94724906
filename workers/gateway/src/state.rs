//! What all requests share. No network of its own.

use std::sync::Arc;

use http::HeaderValue;
use medallion_contract::Contract;
use tokio::sync::Semaphore;

use crate::metrics::GatewayMetrics;
use crate::pending::Pending;
use crate::publisher::Publisher;
use crate::settings::Limits;
use crate::tokens::Tokens;

/// What all requests share.
pub struct GatewayState {
    /// The event contract.
    pub contract: Arc<Contract>,
    /// Its digest, for answers.
    pub(crate) digest: Option<HeaderValue>,
    /// Where accepted events go.
    pub publisher: Arc<dyn Publisher>,
    /// Who may post; `None`: everybody.
    pub tokens: Option<Tokens>,
    /// What bounds work and memory.
    pub limits: Limits,
    /// Metrics.
    pub metrics: GatewayMetrics,
    /// What is waiting for the broker.
    pub pending: Pending,
    /// Bytes that requests may still take.
    pub buffer: Arc<Semaphore>,
}

impl GatewayState {
    /// State of a gateway that has taken nothing yet.
    pub fn new(
        contract: Arc<Contract>,
        publisher: Arc<dyn Publisher>,
        tokens: Option<Tokens>,
        limits: Limits,
        metrics: GatewayMetrics,
    ) -> Self {
        let buffer = Arc::new(Semaphore::new(limits.buffer_bytes));
        Self {
            // Hex digits always are one.
            digest: HeaderValue::from_str(contract.digest()).ok(),
            contract,
            publisher,
            tokens,
            limits,
            metrics,
            pending: Pending::default(),
            buffer,
        }
    }
}
