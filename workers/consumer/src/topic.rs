//! The topic that is read, told from a later one of the same name, and the group that reads it. Asks the brokers.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kafka_admin::{Stamp, group_offsets, topic_id};
use kafka_client::{Diagnosis, KafkaContext, Renewed};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};

use crate::start::{Halt, is_same};

/// One question to the brokers.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// Says which topic and whose group a name stands for. Both block some seconds at most.
pub trait Names: Send + Sync + 'static {
    /// The topic's id, if the brokers give topics ids.
    fn topic_id(&self, topic: &str) -> KafkaResult<Option<String>>;

    /// Texts of the owners who have committed offsets of the topic for the group.
    fn owners(&self, group: &str, topic: &str) -> KafkaResult<BTreeSet<String>>;
}

impl<C: ConsumerContext + 'static> Names for BaseConsumer<C> {
    fn topic_id(&self, topic: &str) -> KafkaResult<Option<String>> {
        topic_id(self.client(), topic, ASK_TIMEOUT)
    }

    fn owners(&self, group: &str, topic: &str) -> KafkaResult<BTreeSet<String>> {
        let offsets = group_offsets(self.client(), group, ASK_TIMEOUT)?;
        let ours = offsets.into_iter().filter(|offset| offset.topic == topic);
        Ok(ours
            .filter_map(|offset| Stamp::read(&offset.metadata))
            .map(|stamp| stamp.owner)
            .collect())
    }
}

/// By whichever client is in use when it is asked.
impl Names for Renewed<BaseConsumer<KafkaContext>> {
    fn topic_id(&self, topic: &str) -> KafkaResult<Option<String>> {
        Names::topic_id(&*self.get().map_err(|why| no_client(&why))?, topic)
    }

    fn owners(&self, group: &str, topic: &str) -> KafkaResult<BTreeSet<String>> {
        self.get().map_err(|why| no_client(&why))?.owners(group, topic)
    }
}

fn no_client(why: &Diagnosis) -> KafkaError {
    KafkaError::ClientCreation(why.to_string())
}

/// A topic and the id that it had when this process began to read it; clones share it.
#[derive(Clone)]
pub(crate) struct ReadTopic {
    name: String,
    names: Arc<dyn Names>,
    /// `None` before the first look.
    begun_with: Arc<Mutex<Option<FirstLook>>>,
}

/// What the first look has shown.
#[derive(Clone)]
struct FirstLook {
    /// `None` where the brokers give no ids.
    id: Option<String>,
}

impl ReadTopic {
    pub(crate) fn new(name: String, names: Arc<dyn Names>) -> Self {
        Self {
            name,
            names,
            begun_with: Arc::default(),
        }
    }

    /// The id that the topic had at the first look, which this may be.
    pub(crate) fn begin(&self) -> KafkaResult<Option<String>> {
        // Held while the brokers are asked, so that there is only one first look.
        let mut begun_with = self.begun_with.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = &*begun_with {
            return Ok(first.id.clone());
        }
        let id = self.names.topic_id(&self.name)?;
        *begun_with = Some(FirstLook { id: id.clone() });
        Ok(id)
    }

    /// The id that the topic had at the first look, if there was one and brokers give ids.
    pub(crate) fn known(&self) -> Option<String> {
        let begun_with = self.begun_with.lock().unwrap_or_else(PoisonError::into_inner);
        begun_with.clone().and_then(|first| first.id)
    }

    /// Looks again: why reading must not go on, if another topic has the name.
    pub(crate) fn look(&self) -> KafkaResult<Result<(), Halt>> {
        let Some(was) = self.known() else {
            return Ok(Ok(()));
        };
        let is = self.names.topic_id(&self.name)?;
        Ok(is_same(Some(&was), is.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::error::RDKafkaErrorCode;

    use super::*;

    /// Answers with what was set last; `None` is no answer.
    struct Set(Mutex<Option<&'static str>>);

    impl Names for Set {
        fn topic_id(&self, _: &str) -> KafkaResult<Option<String>> {
            let id = *self.0.lock().expect("set");
            id.map(|id| Some(id.to_owned()))
                .ok_or(KafkaError::AdminOp(RDKafkaErrorCode::UnknownTopicOrPartition))
        }

        fn owners(&self, _: &str, _: &str) -> KafkaResult<BTreeSet<String>> {
            Ok(BTreeSet::new())
        }
    }

    #[test]
    fn the_first_look_counts_whatever_comes_later() {
        let ids = Arc::new(Set(Mutex::new(None)));
        let set = |id| *ids.0.lock().expect("set") = id;
        let topic = ReadTopic::new("orders".to_owned(), ids.clone());
        assert!(topic.begin().is_err(), "no answer is no first look");
        assert_eq!(topic.look(), Ok(Ok(())), "nothing is read yet");
        set(Some("a"));
        assert_eq!(topic.begin(), Ok(Some("a".to_owned())));
        assert_eq!(topic.look(), Ok(Ok(())));
        set(None);
        assert!(topic.look().is_err(), "a topic that is gone is no other topic");
        set(Some("b"));
        let halt = Halt::TopicReplaced {
            was: "a".to_owned(),
            is: "b".to_owned(),
        };
        assert_eq!(topic.look(), Ok(Err(halt)));
        assert_eq!(topic.begin(), Ok(Some("a".to_owned())), "what was begun with stays");
    }
}
