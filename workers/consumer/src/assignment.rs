//! Which partitions are ours: where to begin in new ones, and how to leave lost ones. Asks the brokers for offsets; commits.
//!
//! All of this runs inside the consumer's poll, on the polling thread.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};
use rdkafka::types::RDKafkaRespErr;
use tokio_util::sync::CancellationToken;
use worker_kit::WorkerError;

use crate::ledger::Ledger;
use crate::metrics::ConsumerMetrics;
use crate::start::{GO_ON, Start, start};
use crate::trouble::{Place, Troubles};

/// One question to the brokers.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two attempts to learn where to begin.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// So long the brokers may fail to say where to begin before a new process tries.
const ASK_FOR: Duration = Duration::from_mins(1);
/// A revoked partition's records have so long to be settled and committed; what remains is read again by its next owner.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The consumer's context.
pub(crate) struct Assignment {
    topic: String,
    ledger: Ledger,
    metrics: ConsumerMetrics,
    troubles: Troubles,
    shutdown: CancellationToken,
    failure: Mutex<Option<WorkerError>>,
}

impl Assignment {
    pub(crate) fn new(
        topic: String,
        ledger: Ledger,
        metrics: ConsumerMetrics,
        troubles: Troubles,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            topic,
            ledger,
            metrics,
            troubles,
            shutdown,
            failure: Mutex::default(),
        }
    }

    /// Why the worker cannot go on, once.
    pub(crate) fn take_failure(&self) -> Option<WorkerError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn fail(&self, error: WorkerError) {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
    }

    /// Commits the marks that have moved, of all partitions or of these.
    pub(crate) fn commit(&self, consumer: &BaseConsumer<Self>, partitions: Option<&[i32]>, mode: CommitMode) {
        let marks = self.ledger.to_commit(partitions);
        if marks.is_empty() {
            return;
        }
        let committed = self.offsets(&marks).and_then(|offsets| consumer.commit(&offsets, mode));
        match (committed, mode) {
            (Ok(()), CommitMode::Sync) => self.note_committed(&marks),
            // The callback notes it.
            (Ok(()), CommitMode::Async) => {}
            // Nothing is lost: the records are read again, and every put is idempotent.
            (Err(error), _) => tracing::warn!(%error, "offsets not committed"),
        }
    }

    fn note_committed(&self, marks: &[(i32, i64)]) {
        for (partition, mark) in marks {
            self.ledger.committed(*partition, *mark);
            self.metrics.committed(*partition, *mark);
        }
    }

    fn offsets(&self, marks: &[(i32, i64)]) -> KafkaResult<TopicPartitionList> {
        let mut offsets = TopicPartitionList::with_capacity(marks.len());
        for (partition, mark) in marks {
            offsets.add_partition_offset(&self.topic, *partition, Offset::Offset(*mark))?;
        }
        Ok(offsets)
    }

    fn take(&self, consumer: &BaseConsumer<Self>, offered: &mut TopicPartitionList) {
        match self.starts_in_time(consumer, offered) {
            Ok(starts) => {
                self.ledger.rebalanced();
                let mut risks = Vec::new();
                for (partition, start) in starts {
                    match start {
                        Start::At(offset) => {
                            tracing::info!(partition, offset, "assigned");
                            self.ledger.assign(partition, offset);
                            if let Err(error) =
                                offered.set_partition_offset(&self.topic, partition, Offset::Offset(offset))
                            {
                                self.fail(WorkerError::environment("AssignmentFailed", error.to_string()));
                            }
                        }
                        Start::LossRisk(message) => risks.push(message),
                    }
                }
                if !risks.is_empty() {
                    let message = format!("topic {}: {}; {GO_ON}", self.topic, risks.join("; "));
                    self.fail(WorkerError::loss_risk("OffsetsLost", message));
                }
            }
            Err(error) => self.fail(error),
        }
        // Also after a failure, because the group waits for this answer; nothing of an unknown partition is ever begun.
        let answered = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(offered),
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(offered),
        };
        if let Err(error) = answered {
            self.fail(WorkerError::environment(
                "AssignmentFailed",
                format!("topic {}: {error}", self.topic),
            ));
        }
    }

    /// Asks until the brokers say where to begin, the worker is stopped, or it takes too long.
    fn starts_in_time(
        &self,
        consumer: &BaseConsumer<Self>,
        offered: &TopicPartitionList,
    ) -> Result<Vec<(i32, Start)>, WorkerError> {
        let begun = Instant::now();
        loop {
            match self.starts(consumer, offered) {
                Ok(starts) => {
                    self.troubles.clear(Place::Kafka);
                    return Ok(starts);
                }
                Err(error) if self.shutdown.is_cancelled() || begun.elapsed() > ASK_FOR => {
                    let message = format!("topic {}: cannot learn where to begin: {error}", self.topic);
                    return Err(WorkerError::environment("KafkaUnavailable", message));
                }
                Err(error) => {
                    let message = format!(
                        "topic {}: cannot learn where to begin: {error}; trying again",
                        self.topic
                    );
                    self.troubles.set(Place::Kafka, "KafkaUnavailable", message);
                    std::thread::sleep(ASK_AGAIN);
                }
            }
        }
    }

    fn starts(
        &self,
        consumer: &BaseConsumer<Self>,
        offered: &TopicPartitionList,
    ) -> Result<Vec<(i32, Start)>, KafkaError> {
        let mut asked = TopicPartitionList::with_capacity(offered.count());
        for element in offered.elements() {
            asked.add_partition(&self.topic, element.partition());
        }
        if asked.count() == 0 {
            return Ok(Vec::new());
        }
        let answered = consumer.committed_offsets(asked, ASK_TIMEOUT)?;
        answered
            .elements()
            .iter()
            .map(|element| {
                element.error()?;
                let committed = match element.offset() {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                };
                let partition = element.partition();
                let (first, next) = consumer.fetch_watermarks(&self.topic, partition, ASK_TIMEOUT)?;
                Ok((partition, start(partition, committed, first, next)))
            })
            .collect()
    }

    fn leave(&self, consumer: &BaseConsumer<Self>, revoked: &TopicPartitionList) {
        let partitions: Vec<i32> = revoked
            .elements()
            .iter()
            .map(TopicPartitionListElem::partition)
            .collect();
        if consumer.assignment_lost() {
            // Others own them already: a commit now could set their offsets back.
            tracing::warn!(
                ?partitions,
                "lost without a chance to commit; their next owner reads them again"
            );
        } else {
            // At the end what is in flight has had its time already.
            let patience = if self.shutdown.is_cancelled() {
                Duration::ZERO
            } else {
                LEAVE_TIMEOUT
            };
            if !self.ledger.wait_settled(Some(&partitions), patience) {
                tracing::warn!(
                    ?partitions,
                    "left with records in flight; their next owner reads those again"
                );
            }
            self.commit(consumer, Some(&partitions), CommitMode::Sync);
            tracing::info!(?partitions, "revoked");
        }
        self.ledger.revoke(&partitions);
        let answered = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(revoked),
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
        };
        if let Err(error) = answered {
            tracing::warn!(%error, "partitions not given back");
        }
    }
}

impl ClientContext for Assignment {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(facility, message, "librdkafka");
            }
            _ => tracing::warn!(facility, message, "librdkafka"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for Assignment {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, kind: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        match kind {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.take(consumer, partitions),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => self.leave(consumer, partitions),
            other => tracing::error!(?other, "the group could not be balanced"),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        if let Err(error) = result {
            // The next commit carries the same marks, and one that comes while the group is being balanced is refused.
            if is_being_balanced(&error) {
                tracing::debug!(%error, "offsets not committed");
            } else {
                tracing::warn!(%error, "offsets not committed; tried again with the next ones");
            }
            return;
        }
        for element in offsets.elements() {
            if let (Ok(()), Offset::Offset(mark)) = (element.error(), element.offset()) {
                self.note_committed(&[(element.partition(), mark)]);
            }
        }
    }
}

/// Whether the group has moved on without this member, which the next assignment mends.
fn is_being_balanced(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::RebalanceInProgress
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::UnknownMemberId
        )
    )
}
