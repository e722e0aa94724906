//! What pods do every second, for a process that is frozen between two requests: renewed producers, rotated secrets, and why events were
//! not acknowledged. Reads files.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use kafka_client::{Diagnosis, Fatal};
use tokio::time::timeout;

use super::secrets::Secrets;
use crate::publisher::{KafkaPublisher, Leftover};
use crate::state::GatewayState;
use crate::tokens::Tokens;

/// After so long without a request the producer's connections are taken for dead: what lies between forgets a connection that is silent
/// for 350 s (NAT gateways, load balancers) without telling, and asking costs more than a new one.
const LONGEST_SILENCE: Duration = Duration::from_mins(4);
/// How long an answer waits for the words about why events were not acknowledged; they stand in the log at the latest with the next.
const WORDS: Duration = Duration::from_millis(300);

/// The state between requests.
pub(super) struct Upkeep {
    state: Arc<GatewayState>,
    publisher: Arc<KafkaPublisher>,
    secrets: Option<Secrets>,
    /// When the process was last known to run. By the calendar: no other clock is said to go on while a function is frozen.
    last: Mutex<SystemTime>,
}

impl Upkeep {
    pub(super) fn new(
        state: Arc<GatewayState>,
        publisher: Arc<KafkaPublisher>,
        secrets: Option<Secrets>,
        now: SystemTime,
    ) -> Self {
        let upkeep = Self {
            state,
            publisher,
            secrets,
            last: Mutex::new(now),
        };
        upkeep.read_tokens();
        upkeep
    }

    /// Before a request, of whose time so much is left.
    pub(super) async fn before(&self, now: SystemTime, left: Duration) {
        if let Some(secrets) = &self.secrets {
            // The other half is the brokers'.
            secrets.refresh(now, left / 2).await;
        }
        let left_over = if self.must_renew(now) {
            self.publisher.renew()
        } else {
            self.publisher.look()
        };
        wait_for(left_over);
        self.read_tokens();
    }

    /// After a request, before its answer: then the process may be frozen.
    pub(super) async fn after(&self, now: SystemTime) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = now;
        let Some(failure) = self.state.pending.take_failure() else {
            return;
        };
        let publisher = self.publisher.clone();
        let refusal = tokio::task::spawn_blocking(move || publisher.refusal());
        let refusal = timeout(WORDS, refusal).await.ok().and_then(Result::ok).flatten();
        let Diagnosis { reason, message } = refusal.unwrap_or(failure);
        tracing::error!(
            reason = reason.as_str(),
            detail = message,
            "some events were not acknowledged; their clients were answered so"
        );
    }

    /// Whether the producer can send no more, or its connections are likely to be dead.
    fn must_renew(&self, now: SystemTime) -> bool {
        match self.publisher.fatal() {
            Some(Fatal::Denied(why)) => {
                tracing::warn!(
                    reason = why.reason.as_str(),
                    detail = why.message,
                    "trying a new producer"
                );
                true
            }
            Some(Fatal::Broken(message)) => {
                tracing::warn!(detail = message, "the producer can send no more, a new one takes over");
                true
            }
            None => is_stale(*self.last.lock().unwrap_or_else(PoisonError::into_inner), now),
        }
    }

    fn read_tokens(&self) {
        if let Some(Err(error)) = self.state.tokens.as_ref().map(Tokens::reload) {
            tracing::warn!(%error, "nobody new can post");
        }
    }
}

fn is_stale(last: SystemTime, now: SystemTime) -> bool {
    now.duration_since(last).is_ok_and(|silence| silence > LONGEST_SILENCE)
}

/// What a producer of before still holds is waited for aside, as far as the process runs.
fn wait_for(leftover: Option<Leftover>) {
    if let Some(leftover) = leftover {
        tokio::task::spawn_blocking(move || leftover.wait());
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::soon(1, false)]
    #[case::still(240, false)]
    #[case::thawed(241, true)]
    fn connections_that_were_silent_for_long_are_not_trusted(#[case] seconds: u64, #[case] stale: bool) {
        let last = SystemTime::UNIX_EPOCH + Duration::from_hours(9);
        assert_eq!(is_stale(last, last + Duration::from_secs(seconds)), stale);
        assert!(
            !is_stale(last, SystemTime::UNIX_EPOCH),
            "a clock that was set back says nothing"
        );
    }
}
