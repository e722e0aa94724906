//! How much of what the topic keeps is used up by what waits. Asks the brokers for the topic's setting.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kafka_client::Brokers;
use medallion_crds::pipeline::Retention;
use rdkafka::admin::{AdminOptions, ResourceSpecifier};
use tokio::runtime::Handle;

/// How long a topic keeps records seldom changes.
const ASK_EVERY: Duration = Duration::from_mins(5);
/// When the brokers did not say.
const ASK_AGAIN: Duration = Duration::from_mins(1);
/// One question to the brokers.
const ASK_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the topic keeps its records.
pub(crate) struct Kept {
    brokers: Brokers,
    /// When to ask again, and what was answered: `None` for ever, or not known.
    answered: Option<(Instant, Option<i64>)>,
}

impl Kept {
    pub(crate) fn new(brokers: Brokers) -> Self {
        Self {
            brokers,
            answered: None,
        }
    }

    /// Seconds for which the topic keeps its records; `None` for ever, or not known. Blocks some seconds at most.
    pub(crate) fn seconds(&mut self) -> Option<i64> {
        if let Some((again, seconds)) = self.answered
            && Instant::now() < again
        {
            return seconds;
        }
        let (pause, seconds) = match self.ask() {
            Ok(seconds) => (ASK_EVERY, seconds),
            Err(error) => {
                tracing::debug!(error, "the brokers do not say how long the topic keeps records");
                (ASK_AGAIN, None)
            }
        };
        self.answered = Some((Instant::now() + pause, seconds));
        seconds
    }

    /// By a client of its own, which lives as long as the question: so seldom asked, it need not hold connections.
    fn ask(&self) -> Result<Option<i64>, String> {
        let snapshot = self.brokers.read().map_err(|error| error.to_string())?;
        let client = snapshot
            .admin(&snapshot.client("consumer-observer"))
            .map_err(|error| error.to_string())?;
        let topic = [ResourceSpecifier::Topic(&snapshot.settings().topic)];
        let options = AdminOptions::new().request_timeout(Some(ASK_TIMEOUT));
        let asked = async { tokio::time::timeout(ASK_TIMEOUT, client.describe_configs(&topic, &options)).await };
        let answer = Handle::try_current()
            .map_err(|error| error.to_string())?
            .block_on(asked)
            .map_err(|_| "no answer in time".to_owned())?
            .map_err(|error| error.to_string())?;
        let resource = answer.into_iter().next().ok_or("no answer")?;
        let resource = resource.map_err(|code| code.to_string())?;
        let value = resource.get("retention.ms").and_then(|entry| entry.value.as_deref());
        Ok(value.and_then(seconds_of))
    }
}

/// Whole seconds of a `retention.ms`; `None` for ever.
fn seconds_of(milliseconds: &str) -> Option<i64> {
    let milliseconds: i64 = milliseconds.parse().ok()?;
    (milliseconds >= 0).then_some((milliseconds / 1000).max(1))
}

/// What waits, beside how long the topic keeps it. Brokers delete by the records' own times, so those count here.
pub(crate) fn retention(
    kept_seconds: Option<i64>,
    oldest_pending: Option<Timestamp>,
    assigned: bool,
    now: Timestamp,
) -> Option<Retention> {
    let of_seconds = kept_seconds.filter(|_| assigned)?;
    let used_seconds = oldest_pending.map_or(0, |oldest| now.duration_since(oldest).as_secs().max(0));
    Some(Retention {
        used_seconds,
        of_seconds,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("604800000", Some(604_800))]
    #[case("999", Some(1))]
    #[case("-1", None)]
    #[case("for ever", None)]
    fn a_setting_is_seconds_or_for_ever(#[case] value: &str, #[case] seconds: Option<i64>) {
        assert_eq!(seconds_of(value), seconds);
    }

    #[test]
    fn what_waits_uses_up_what_the_topic_keeps() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let used = |kept, oldest: Option<i64>, assigned| {
            retention(kept, oldest.map(at), assigned, at(1000)).map(|found| (found.used_seconds, found.of_seconds))
        };
        assert_eq!(used(Some(600), Some(700), true), Some((300, 600)));
        assert_eq!(used(Some(600), None, true), Some((0, 600)), "nothing waits");
        assert_eq!(
            used(Some(600), Some(2000), true),
            Some((0, 600)),
            "a sender's clock is ahead"
        );
        assert_eq!(used(None, Some(700), true), None, "kept for ever, or not known");
        assert_eq!(
            used(Some(600), Some(700), false),
            None,
            "not known whether anything waits"
        );
    }
}
