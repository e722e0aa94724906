//! Judges the events of a request and hands them to the broker: all are queued before the first acknowledgement is awaited. Produces to Kafka through the publisher.

use jiff::Timestamp;
use kafka_client::Diagnosis;
use medallion_contract::Refusal;
use medallion_crds::Reason;
use tokio::time::{Instant, timeout_at};

use crate::answer::Outcome;
use crate::publisher::{Delivery, PublishError};
use crate::state::GatewayState;

/// So many events are checked before other requests get their turn on this thread.
const CHECKS_PER_TURN: usize = 32;

enum Step {
    Done(Outcome),
    Waiting { event_id: String, delivery: Delivery },
}

/// What became of each event, in order; nothing is awaited beyond the deadline.
pub(crate) async fn admit(state: &GatewayState, events: &[&[u8]], deadline: Instant) -> Vec<Outcome> {
    let _waiting = state.pending.begin(events.len(), Timestamp::now());
    let begun = Instant::now();
    let mut steps = Vec::with_capacity(events.len());
    let mut full = false;
    for (index, event) in events.iter().enumerate() {
        if index % CHECKS_PER_TURN == CHECKS_PER_TURN - 1 {
            tokio::task::yield_now().await;
        }
        steps.push(queue(state, event, &mut full));
    }

    let mut outcomes = Vec::with_capacity(steps.len());
    let mut waited = false;
    for step in steps {
        let outcome = match step {
            Step::Done(outcome) => outcome,
            Step::Waiting { event_id, delivery } => {
                waited = true;
                // Those already acknowledged answer at once, also past the deadline.
                let no_answer = || {
                    Err(PublishError::Unknown(
                        "the broker did not acknowledge in time".to_owned(),
                    ))
                };
                match timeout_at(deadline, delivery).await.unwrap_or_else(|_| no_answer()) {
                    Ok(()) => Outcome::Accepted { event_id },
                    Err(error) => failed(state, &error),
                }
            }
        };
        state.metrics.event(&outcome);
        outcomes.push(outcome);
    }
    if waited {
        state.metrics.produced(begun.elapsed());
    }
    if outcomes
        .iter()
        .any(|outcome| matches!(outcome, Outcome::Accepted { .. }))
    {
        state.pending.acknowledged(Timestamp::now());
    }
    outcomes
}

fn queue(state: &GatewayState, payload: &[u8], full: &mut bool) -> Step {
    let event = match state.contract.check(payload) {
        Ok(event) => event,
        Err(refusal) => return Step::Done(refusal.into()),
    };
    if *full {
        // Once the queue has refused one, the rest would only press on it.
        return Step::Done(failed(state, &PublishError::Full));
    }
    match state.publisher.publish(&event.key, payload) {
        Ok(delivery) => Step::Waiting {
            event_id: event.event_id,
            delivery,
        },
        Err(error) => {
            *full = error == PublishError::Full;
            Step::Done(failed(state, &error))
        }
    }
}

fn failed(state: &GatewayState, error: &PublishError) -> Outcome {
    match error {
        PublishError::TooLarge => Outcome::from(Refusal {
            field: String::new(),
            reason: Reason::EventTooLarge,
            message: "the event is larger than the broker takes".to_owned(),
        }),
        PublishError::Full => Outcome::Unknown {
            reason: Reason::QueueFull,
            message: error.to_string(),
        },
        PublishError::Refused(why) => {
            state.pending.failed(why.clone());
            // Which right is missing is no client's business.
            Outcome::Unknown {
                reason: Reason::NotAcknowledged,
                message: "the broker does not take the event now".to_owned(),
            }
        }
        PublishError::Unknown(message) => {
            state.pending.failed(Diagnosis::unavailable(message.clone()));
            Outcome::Unknown {
                reason: Reason::NotAcknowledged,
                message: message.clone(),
            }
        }
    }
}
