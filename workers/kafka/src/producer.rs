//! A producer of one moment, and why it can never send again. Connects in the background.

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{FutureProducer, Producer};

use crate::context::KafkaContext;
use crate::diagnosis::Diagnosis;
use crate::party::Need;

/// A producer of one moment, and what is known of its brokers.
pub struct KafkaProducer {
    /// By which records are sent.
    pub producer: FutureProducer<KafkaContext>,
    /// The same that the producer has.
    pub context: KafkaContext,
}

/// Why a producer can never send again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fatal {
    /// The brokers do not let it; the next one may be let.
    Denied(Diagnosis),
    /// Something else.
    Broken(String),
}

impl KafkaProducer {
    /// A producer of this configuration.
    pub fn create(configuration: &ClientConfig, context: KafkaContext) -> KafkaResult<Self> {
        let producer = configuration.create_with_context(context.clone())?;
        Ok(Self { producer, context })
    }

    /// Why it can never send again, if so. `needs`: what it must be allowed.
    pub fn fatal(&self, needs: &[Need<'_>]) -> Option<Fatal> {
        let (code, message) = self.producer.client().fatal_error()?;
        let denied = self.context.denial(&KafkaError::Global(code), needs);
        Some(denied.map_or_else(|| Fatal::Broken(format!("{code}: {message}")), Fatal::Denied))
    }

    /// The error behind one of a record: a producer that can send no more says of a record only that.
    pub fn behind(&self, error: KafkaError) -> KafkaError {
        let fatal = self.producer.client().fatal_error();
        fatal.map_or(error, |(code, _)| KafkaError::Global(code))
    }
}
