//! What became of each event, and the status code of the whole. No network.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use medallion_contract::Refusal;
use medallion_crds::Reason;
use serde::Serialize;

use crate::problem::{PROBLEM_JSON, RETRY_AFTER_SECONDS};

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

#[derive(Serialize)]
struct Results<'o> {
    results: &'o [Outcome],
}

#[derive(Serialize)]
struct ProblemWithResults<'o> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'static str,
    results: &'o [Outcome],
}

/// The answer: `results` holds one outcome per event in the order in which they were sent, whatever the code.
pub(crate) fn answer(outcomes: &[Outcome]) -> Response {
    let status = status(outcomes);
    if status == StatusCode::OK {
        return Json(Results { results: outcomes }).into_response();
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
        results: outcomes,
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
        let json = serde_json::to_value(Results { results: &outcomes }).expect("JSON");
        assert_eq!(
            json,
            serde_json::json!({"results": [
                {"status": "accepted", "event_id": "1"},
                {"status": "refused", "field": "/a", "reason": "MissingField", "message": "m"},
                {"status": "unknown", "reason": "QueueFull", "message": "m"},
            ]})
        );
    }
}
