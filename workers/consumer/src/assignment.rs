//! Which partitions are ours: where to begin in new ones, and how to leave lost ones. Asks the brokers for offsets; commits.
//!
//! All of this runs on the polling thread, most of it inside the consumer's poll. Every offset is committed with a stamp: whose it is and of
//! which topic. Brokers forget the offsets of a topic that is deleted, and the stamps with them; so one stamp more, the
//! *anchor*, is committed for the dead-letter topic, which remembers the topic across its deletion.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kafka_admin::{Stamp, commit_later};
use kafka_client::{Diagnosis, KafkaContext, Need};
use medallion_crds::{Owner, Reason};
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};
use rdkafka::types::RDKafkaRespErr;
use tokio_util::sync::CancellationToken;
use worker_kit::WorkerError;

use crate::ledger::Ledger;
use crate::metrics::ConsumerMetrics;
use crate::needs::Needs;
use crate::start::{Committed, Halt, Log, Reader, Start, anchor, start};
use crate::topic::ReadTopic;
use crate::trouble::{Place, Troubles};

/// One question to the brokers.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two attempts to learn where to begin.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// So long the brokers may fail to say where to begin before a new process tries.
const ASK_FOR: Duration = Duration::from_mins(1);
/// A revoked partition's records have so long to be settled and committed; what remains is read again by its next owner.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The partition of the dead-letter topic for which the anchor is committed; its offset means nothing.
const ANCHOR_PARTITION: i32 = 0;
/// How often the anchor is committed again: brokers forget what nobody has committed for days.
const ANCHOR_EVERY: Duration = Duration::from_hours(1);
/// Between two attempts to commit the anchor.
const ANCHOR_AGAIN: Duration = Duration::from_secs(5);

/// Why it is not known where to begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    /// What the brokers say of the topic or the group.
    #[error(transparent)]
    Topic(#[from] KafkaError),
    /// What they say of the anchor.
    #[error("the anchor beside the dead-letter topic: {0}")]
    Anchor(KafkaError),
}

impl Unanswered {
    /// What they said, and what was needed for the question.
    fn said<'a>(&'a self, needs: &'a Needs) -> (&'a KafkaError, [Need<'a>; 2]) {
        match self {
            Self::Topic(error) => (error, needs.to_read()),
            Self::Anchor(error) => (error, needs.to_remember()),
        }
    }
}

/// Who reads what.
#[derive(Clone)]
pub(crate) struct Reading {
    pub(crate) topic: String,
    pub(crate) dead_letter_topic: String,
    pub(crate) group: String,
    /// What of it the brokers must allow.
    pub(crate) needs: Needs,
    pub(crate) owner: Owner,
    pub(crate) adopt: Vec<String>,
    /// The topic by its id.
    pub(crate) read: ReadTopic,
}

/// The consumer's context.
pub(crate) struct Assignment {
    reading: Reading,
    client: KafkaContext,
    ledger: Ledger,
    metrics: ConsumerMetrics,
    troubles: Troubles,
    shutdown: CancellationToken,
    failure: Mutex<Option<WorkerError>>,
    /// When the anchor is due; `None` before partitions were begun.
    anchor: Mutex<Option<Instant>>,
    /// Whether the last commit was refused, so that a refusal which lasts is logged once.
    refused: AtomicBool,
}

impl Assignment {
    pub(crate) fn new(
        reading: Reading,
        client: KafkaContext,
        ledger: Ledger,
        metrics: ConsumerMetrics,
        troubles: Troubles,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            reading,
            client,
            ledger,
            metrics,
            troubles,
            shutdown,
            failure: Mutex::default(),
            anchor: Mutex::default(),
            refused: AtomicBool::default(),
        }
    }

    /// What every client of ours has.
    pub(crate) const fn client(&self) -> &KafkaContext {
        &self.client
    }

    /// Why this member must not even join the group, as far as the brokers say: joining takes partitions from the others.
    pub(crate) fn refusal(&self, consumer: &BaseConsumer<Self>) -> Result<Option<WorkerError>, Unanswered> {
        let topic = &self.reading.topic;
        let metadata = consumer.fetch_metadata(Some(topic), ASK_TIMEOUT)?;
        self.client.answered();
        let mut all = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
            all.add_partition(topic, partition.id());
        }
        let starts = self.starts(consumer, &all)?;
        let halts = starts.into_iter().filter_map(|(_, start)| match start {
            // Its partitions may be another member's, and that one says it.
            Start::At(_) | Start::Halt(Halt::OffsetsLost(_)) => None,
            Start::Halt(halt) => Some(halt),
        });
        Ok(Halt::error(topic, &self.reading.group, halts.collect()))
    }

    /// Why it is not known where to begin: what the brokers do not allow, why they refuse us, or that they do not answer.
    pub(crate) fn explain(&self, unanswered: &Unanswered) -> Diagnosis {
        let (said, needs) = unanswered.said(&self.reading.needs);
        self.client.explain(said, &needs, || {
            format!(
                "topic {}: cannot learn where to begin: {unanswered}; trying again",
                self.reading.topic
            )
        })
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
        let committed = self.offsets(&marks).and_then(|offsets| match mode {
            CommitMode::Sync => consumer.commit(&offsets, mode),
            CommitMode::Async => commit_later(consumer, &offsets),
        });
        match (committed, mode) {
            (Ok(()), CommitMode::Sync) => {
                self.note_committed(&marks);
                // To commit needs what to read and to join the group needs; and it was asked after reading was refused.
                self.troubles.clear(Place::Reading);
            }
            // The callback notes how it ends.
            (Ok(()), CommitMode::Async) => {}
            // Nothing is lost: the records are read again, and every put is idempotent.
            (Err(error), _) => self.note_refused(&error),
        }
    }

    /// Offsets were not committed; the next commit carries the same marks.
    fn note_refused(&self, error: &KafkaError) {
        match self.client.denial(error, &self.reading.needs.to_read()) {
            Some(denied) => self.troubles.denied(Place::Committing, denied),
            // One that comes while the group is being balanced is refused.
            None if is_being_balanced(error) => tracing::debug!(%error, "offsets not committed"),
            None if self.refused.swap(true, Ordering::Relaxed) => {
                tracing::debug!(%error, "offsets not committed again");
            }
            None => tracing::warn!(%error, "offsets not committed; tried again with the next ones"),
        }
    }

    fn note_committed(&self, marks: &[(i32, i64)]) {
        self.troubles.clear(Place::Committing);
        self.refused.store(false, Ordering::Relaxed);
        for (partition, mark) in marks {
            self.ledger.committed(*partition, *mark);
            self.metrics.committed(*partition, *mark);
        }
    }

    fn offsets(&self, marks: &[(i32, i64)]) -> KafkaResult<TopicPartitionList> {
        let mut offsets = TopicPartitionList::with_capacity(marks.len());
        for (partition, mark) in marks {
            offsets.add_partition_offset(&self.reading.topic, *partition, Offset::Offset(*mark))?;
        }
        self.stamp(&offsets);
        Ok(offsets)
    }

    /// The id is the one that was begun with, and never one that was seen later: so whatever is committed, no successor
    /// takes it for an offset of a topic that was made anew meanwhile.
    fn stamp(&self, offsets: &TopicPartitionList) {
        let stamp = Stamp::new(&self.reading.owner, self.reading.read.known()).to_metadata();
        for mut element in offsets.elements() {
            element.set_metadata(&stamp);
        }
    }

    /// Commits the anchor when it is due.
    pub(crate) fn commit_anchor(&self, consumer: &BaseConsumer<Self>) {
        let mut due = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if due.is_none_or(|due| now < due) {
            return;
        }
        // The callback sets it off when the brokers have stored it.
        *due = Some(now + ANCHOR_AGAIN);
        drop(due);
        let mut offsets = TopicPartitionList::with_capacity(1);
        let committed = offsets
            .add_partition_offset(&self.reading.dead_letter_topic, ANCHOR_PARTITION, Offset::Offset(0))
            .and_then(|()| {
                self.stamp(&offsets);
                commit_later(consumer, &offsets)
            });
        if let Err(error) = committed {
            self.note_anchor_refused(&error);
        }
    }

    fn note_anchor_refused(&self, error: &KafkaError) {
        if let Some(denied) = self.client.denial(error, &self.reading.needs.to_remember()) {
            self.troubles.denied(Place::Anchor, denied);
        } else {
            tracing::debug!(%error, "anchor not committed; trying again");
        }
    }

    fn take(&self, consumer: &BaseConsumer<Self>, offered: &mut TopicPartitionList) {
        match self.starts_in_time(consumer, offered) {
            Ok(starts) => {
                self.ledger.rebalanced();
                // It is a member, whatever it may not have been allowed before; the first commit shows the rest.
                self.troubles.clear(Place::Reading);
                self.troubles.clear(Place::Committing);
                let mut halts = Vec::new();
                let mut begun = Vec::new();
                for (partition, start) in starts {
                    match start {
                        Start::At(offset) => {
                            begun.push(format!("{partition} at {offset}"));
                            self.ledger.assign(partition, offset);
                            if let Err(error) =
                                offered.set_partition_offset(&self.reading.topic, partition, Offset::Offset(offset))
                            {
                                self.fail(WorkerError::environment(Reason::AssignmentFailed, error.to_string()));
                            }
                        }
                        Start::Halt(halt) => halts.push(halt),
                    }
                }
                if !begun.is_empty() {
                    tracing::info!(partitions = begun.join(", "), "assigned");
                }
                match Halt::error(&self.reading.topic, &self.reading.group, halts) {
                    Some(error) => self.fail(error),
                    None if begun.is_empty() => {}
                    None => {
                        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
                        anchor.get_or_insert_with(Instant::now);
                    }
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
                Reason::AssignmentFailed,
                format!("topic {}: {error}", self.reading.topic),
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
                Err(error) => {
                    let why = self.explain(&error);
                    if self.shutdown.is_cancelled() || begun.elapsed() > ASK_FOR {
                        return Err(WorkerError::environment(why.reason, why.message));
                    }
                    self.troubles.denied(Place::Kafka, why);
                    std::thread::sleep(ASK_AGAIN);
                }
            }
        }
    }

    fn starts(
        &self,
        consumer: &BaseConsumer<Self>,
        offered: &TopicPartitionList,
    ) -> Result<Vec<(i32, Start)>, Unanswered> {
        let Reading { topic, owner, .. } = &self.reading;
        if offered.count() == 0 {
            return Ok(Vec::new());
        }
        // Before offsets and ends are asked for: a topic that is made anew in between is then seen at the next look.
        let reader = Reader {
            stamp: Stamp::new(owner, self.reading.read.begin()?),
            adopt: self.reading.adopt.clone(),
        };
        let mut asked = TopicPartitionList::with_capacity(offered.count() + 1);
        for element in offered.elements() {
            asked.add_partition(topic, element.partition());
        }
        asked.add_partition(&self.reading.dead_letter_topic, ANCHOR_PARTITION);
        let answered = consumer.committed_offsets(asked, ASK_TIMEOUT)?;
        let elements = answered.elements();
        let (offsets, others): (Vec<_>, Vec<_>) = elements.iter().partition(|element| element.topic() == topic);
        let anchor = others
            .first()
            .map_or(Ok(None), |element| anchor(element.error(), stamp_of(element)));
        offsets
            .into_iter()
            .map(|element| {
                element.error()?;
                let offset = match element.offset() {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                };
                let committed = Committed::answered(offset, stamp_of(element), &anchor).map_err(Unanswered::Anchor)?;
                let partition = element.partition();
                let (first, next) = consumer.fetch_watermarks(topic, partition, ASK_TIMEOUT)?;
                Ok((partition, start(partition, &committed, Log { first, next }, &reader)))
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
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = KafkaContext::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.client.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.client.error(error, reason);
    }

    fn generate_oauth_token(&self, configuration: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.client.generate_oauth_token(configuration)
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
        let elements = offsets.elements();
        if elements.iter().any(|element| element.topic() != self.reading.topic) {
            match result.and_then(|()| elements.iter().try_for_each(TopicPartitionListElem::error)) {
                Ok(()) => {
                    self.troubles.clear(Place::Anchor);
                    let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
                    *anchor = Some(Instant::now() + ANCHOR_EVERY);
                }
                Err(error) => self.note_anchor_refused(&error),
            }
            return;
        }
        if let Err(error) = result {
            self.note_refused(&error);
            return;
        }
        for element in elements {
            match (element.error(), element.offset()) {
                (Ok(()), Offset::Offset(mark)) => self.note_committed(&[(element.partition(), mark)]),
                (Ok(()), _) => {}
                (Err(error), _) => self.note_refused(&error),
            }
        }
    }
}

/// What stands beside a committed offset. Somebody else's words may be no text, which the client library cannot take.
fn stamp_of(element: &TopicPartitionListElem<'_>) -> Option<Stamp> {
    let metadata = catch_unwind(AssertUnwindSafe(|| element.metadata().to_owned())).ok()?;
    Stamp::read(&metadata)
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
