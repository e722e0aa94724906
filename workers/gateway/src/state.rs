//! What all requests share. Opens the producer, which connects in the background.

use std::sync::Arc;

use http::HeaderValue;
use kafka_client::Brokers;
use medallion_contract::Contract;
use medallion_crds::Reason;
use medallion_crds::launch::GatewaySettings;
use tokio::sync::Semaphore;
use worker_kit::{Metrics, WorkerError};

use crate::metrics::GatewayMetrics;
use crate::pending::Pending;
use crate::publisher::{KafkaPublisher, Publisher};
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
    /// State of a gateway with these settings, and its producer; or what is wrong with the settings or with what is mounted.
    pub async fn open(
        settings: &GatewaySettings,
        metrics: &Metrics,
    ) -> Result<(Arc<Self>, Arc<KafkaPublisher>), WorkerError> {
        let limits = Limits::from_settings(settings)?;
        let contract = Contract::mounted(&settings.contract)
            .map_err(|error| WorkerError::settings(Reason::BadContract, error.to_string()))?;
        let publisher = Arc::new(KafkaPublisher::new(
            Brokers::open(&settings.kafka).await,
            contract.digest(),
            limits.delivery_timeout(),
            limits.buffer_bytes,
        ));
        let state = Self::new(
            Arc::new(contract),
            publisher.clone(),
            settings.tokens_path.as_ref().map(Tokens::at),
            limits,
            GatewayMetrics::register(metrics),
        );
        Ok((Arc::new(state), publisher))
    }

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
