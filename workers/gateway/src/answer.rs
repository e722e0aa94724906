//! What became of each event, and the status code of the whole. No network.

use std::num::NonZero;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use medallion_contract::Refusal;
use medallion_crds::Reason;
use serde::Serialize;

use crate::problem::{PROBLEM_JSON, RETRY_AFTER_SECONDS};

/// Most bytes of outcomes with their details in one answer. Lambda takes answers of 6 MB, in which each quotation mark of this JSON counts
/// twice, and the outcomes without details need room as well.
const DETAIL_BYTES: usize = 2 * 1024 * 1024;

/// What became of one event.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// The broker has acknowledged it.
    Accepted { event_id: String },
    /// It can never be taken as it is.
    Refused {
        field: String,
        reason: Reason,
        message: String,
    },
    /// No acknowledgement: it may or may not have been stored. Sending it again is safe.
    Unknown { reason: Reason, message: String },
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::Refused {
            field: refusal.field,
            reason: refusal.reason,
            message: refusal.message,
        }
    }
}

/// Word for metrics.
impl Outcome {
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Refused { .. } => "refused",
            Self::Unknown { .. } => "unknown",
        }
    }

    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Accepted { .. } => "",
            Self::Refused { reason, .. } | Self::Unknown { reason, .. } => reason.as_str(),
        }
    }
}

/// 503 if anything is unknown, so that the client sends again; else 200 if anything was accepted; else 422.
fn status(outcomes: &[Outcome]) -> StatusCode {
    if outcomes
        .iter()
        .any(|outcome| matches!(outcome, Outcome::Unknown { .. }))
    {
        StatusCode::SERVICE_UNAVAILABLE
    } else if outcomes
        .iter()
        .any(|outcome| matches!(outcome, Outcome::Accepted { .. }))
    {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    }
}

/// One outcome as it stands in the answer.
#[derive(Serialize)]
#[serde(untagged)]
enum Shown<'o> {
    Whole(&'o Outcome),
    /// Without what may be long.
    Short {
        status: &'static str,
        #[serde(skip_serializing_if = "str::is_empty")]
        reason: &'o str,
    },
}

#[derive(Serialize)]
struct Results<'o> {
    results: Vec<Shown<'o>>,
    /// How many of them stand there without their details.
    #[serde(skip_serializing_if = "Option::is_none")]
    shortened: Option<NonZero<usize>>,
}

impl<'o> Results<'o> {
    /// All outcomes in order, with their details as long as these fit: a client must know of each event whether to send it again, and
    /// needs to read only a few times what is wrong.
    fn of(outcomes: &'o [Outcome]) -> Self {
        let mut room = DETAIL_BYTES;
        let mut shortened = 0;
        let results = outcomes.iter().map(|outcome| {
            let length = serde_json::to_vec(outcome).map_or(0, |text| text.len());
            if let Some(rest) = room.checked_sub(length) {
                room = rest;
                return Shown::Whole(outcome);
            }
            shortened += 1;
            Shown::Short {
                status: outcome.word(),
                reason: outcome.reason(),
            }
        });
        Self {
            results: results.collect(),
            shortened: NonZero::new(shortened),
        }
    }
}

#[derive(Serialize)]
struct ProblemWithResults<'o> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'static str,
    #[serde(flatten)]
    results: Results<'o>,
}

/// The answer: `results` holds one outcome per event in the order in which they were sent, whatever the code. It is bounded: once the
/// details have some 2 MB, `shortened` outcomes have `status` and `reason` alone.
pub(crate) fn answer(outcomes: &[Outcome]) -> Response {
    let status = status(outcomes);
    let results = Results::of(outcomes);
    if status == StatusCode::OK {
        return Json(results).into_response();
    }
    let detail = if status == StatusCode::SERVICE_UNAVAILABLE {
        "some events were not acknowledged; send those again, which stores nothing twice"
    } else {
        "every event was refused; see field and reason of each"
    };
    let document = ProblemWithResults {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail,
        results,
    };
    let mut response = (status, Json(document)).into_response();
    response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    response
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn outcome(letter: char) -> Outcome {
        match letter {
            'a' => Outcome::Accepted {
                event_id: "1".to_owned(),
            },
            'r' => Outcome::Refused {
                field: "/a".to_owned(),
                reason: Reason::MissingField,
                message: "m".to_owned(),
            },
            _ => Outcome::Unknown {
                reason: Reason::QueueFull,
                message: "m".to_owned(),
            },
        }
    }

    #[rstest]
    #[case("a", 200)]
    #[case("ar", 200)]
    #[case("rar", 200)]
    #[case("r", 422)]
    #[case("rr", 422)]
    #[case("u", 503)]
    #[case("ru", 503)]
    #[case("aau", 503)]
    #[case("aru", 503)]
    fn the_code_says_whether_to_send_again(#[case] outcomes: &str, #[case] code: u16) {
        let outcomes: Vec<Outcome> = outcomes.chars().map(outcome).collect();
        assert_eq!(status(&outcomes).as_u16(), code);
        let response = answer(&outcomes);
        assert_eq!(response.status().as_u16(), code);
        assert_eq!(response.headers().contains_key(RETRY_AFTER), code == 503);
    }

    #[test]
    fn outcomes_are_written_as_clients_read_them() {
        let outcomes: Vec<Outcome> = "aru".chars().map(outcome).collect();
        let json = serde_json::to_value(Results::of(&outcomes)).expect("JSON");
        assert_eq!(
            json,
            serde_json::json!({"results": [
                {"status": "accepted", "event_id": "1"},
                {"status": "refused", "field": "/a", "reason": "MissingField", "message": "m"},
                {"status": "unknown", "reason": "QueueFull", "message": "m"},
            ]})
        );
    }

    #[test]
    fn what_has_no_room_for_details_is_still_said_event_by_event() {
        let mut outcomes = vec![outcome('a')];
        outcomes.extend((0..3000).map(|_| Outcome::Refused {
            field: "/a".to_owned(),
            reason: Reason::MissingField,
            message: "m".repeat(1000),
        }));
        outcomes.push(outcome('a'));
        outcomes.push(Outcome::Unknown {
            reason: Reason::QueueFull,
            message: "m".repeat(1_000_000),
        });
        let json = serde_json::to_value(Results::of(&outcomes)).expect("JSON");
        let results = json["results"].as_array().expect("results");
        assert_eq!(results.len(), outcomes.len());
        assert_eq!(
            results[1]["message"].as_str().map(str::len),
            Some(1000),
            "the first in detail"
        );
        assert_eq!(
            results[3000],
            serde_json::json!({"status": "refused", "reason": "MissingField"})
        );
        assert_eq!(
            results[3002],
            serde_json::json!({"status": "unknown", "reason": "QueueFull"})
        );
        let short = results
            .iter()
            .filter(|result| result.get("message").is_none() && result.get("event_id").is_none());
        let short = short.count();
        assert_eq!(json["shortened"], short);
        assert!((900..1100).contains(&short), "{short}");
        assert!(json.to_string().len() < DETAIL_BYTES + 100 * outcomes.len());
    }
}
