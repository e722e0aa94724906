//! The faults that a test asked for: what to refuse, fail, hold or leave unanswered, and how often; touches no network.
//!
//! `POST /faults` takes one fault or a list of faults:
//!
//! ```json
//! {"target": "BatchExecuteStatement", "action": "lose-answer", "count": 3, "contains": "orders"}
//! ```
//!
//! `target` is an operation of the Data API or the first word of a statement (`COPY`, `INSERT`, `LOCK`, ...), or `COMMIT`,
//! which stands for the end of every transaction; any other target is refused. `count` (default 1) says how often; `contains` restricts it to calls whose
//! statement name, token or SQL contains the text; `milliseconds` is for `delay`. `GET /faults` shows what is armed and how often each was met, `DELETE /faults`
//! disarms everything and releases what is held.
//!
//! | action | target is an operation | target is a statement |
//! | --- | --- | --- |
//! | `refuse` | answered with error `code` (default `AccessDeniedException`), nothing happens | as `fail`, by default with `permission denied` |
//! | `fail` | a submitted statement becomes FAILED without running; other operations answer `InternalServerException` | the statement fails, its transaction is rolled back |
//! | `hold` | a submitted statement stays SUBMITTED; other operations are not answered yet | the statement stays STARTED, its transaction open |
//! | `delay` | a submitted statement starts so many `milliseconds` later; other operations answer so much later | the statement takes so much longer |
//! | `throttle` | answered with `ThrottlingException` and status 400, nothing happens | not possible |
//! | `lose-answer` | everything happens, then the connection is closed without a byte | not possible |
//!
//! The AWS SDK repeats a call whose answer was lost, or that was throttled, with the same client token, three attempts in all by
//! default: a `count` of 1 shows that this works, a `count` of at least its attempts makes the caller see the trouble.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::watch;

#[derive(Debug, Error, PartialEq, Eq)]
pub enum FaultError {
    #[error("this action needs an operation of the Data API as target, {target} is none")]
    NoOperation { target: String },
    #[error("action delay needs milliseconds, and no other action takes them")]
    NoDelay,
    #[error(
        "{target} is neither an operation of the Data API ({}) nor the first word of a statement ({}): it would never be met",
        OPERATIONS.join(", "),
        STATEMENTS.join(", ")
    )]
    NeverMet { target: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Refuse,
    Fail,
    Hold,
    Delay,
    Throttle,
    LoseAnswer,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    pub target: String,
    pub action: Action,
    #[serde(default = "once")]
    pub count: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
    /// How often it was met; told, not asked for.
    #[serde(default, skip_deserializing)]
    pub met: u32,
}

fn once() -> u32 {
    1
}

pub const OPERATIONS: &[&str] = &[
    "ExecuteStatement",
    "BatchExecuteStatement",
    "DescribeStatement",
    "GetStatementResult",
    "CancelStatement",
    "ListStatements",
];

/// The target that stands for the end of a transaction.
pub const COMMIT: &str = "COMMIT";

/// What statements begin with, as far as they can be sent.
const STATEMENTS: &[&str] = &[
    "ALTER", "ANALYZE", "CALL", "COMMENT", COMMIT, "COPY", "CREATE", "DELETE", "DROP", "EXPLAIN", "GRANT", "INSERT",
    "LOCK", "MERGE", "REVOKE", "SELECT", "SET", "SHOW", "TRUNCATE", "UPDATE", "VACUUM", "WITH",
];

impl Fault {
    fn check(&self) -> Result<(), FaultError> {
        let target = self.target.clone();
        let among = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(&target));
        if (self.action == Action::Delay) != self.milliseconds.is_some() {
            Err(FaultError::NoDelay)
        } else if among(OPERATIONS) {
            Ok(())
        } else if !among(STATEMENTS) {
            // A misspelt target would make the test that armed it pass without its fault.
            Err(FaultError::NeverMet { target })
        } else if matches!(self.action, Action::LoseAnswer | Action::Throttle) {
            Err(FaultError::NoOperation { target })
        } else {
            Ok(())
        }
    }

    fn matches(&self, target: &str, texts: &[&str]) -> bool {
        self.met < self.count
            && self.target.eq_ignore_ascii_case(target)
            && self
                .contains
                .as_ref()
                .is_none_or(|part| texts.iter().any(|text| text.contains(part)))
    }
}

#[derive(Debug)]
pub struct Faults {
    armed: Mutex<Vec<Fault>>,
    released: watch::Sender<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            armed: Mutex::default(),
            released: watch::Sender::new(0),
        }
    }
}

impl Faults {
    pub fn arm(&self, faults: Vec<Fault>) -> Result<(), FaultError> {
        faults.iter().try_for_each(Fault::check)?;
        self.lock().extend(faults);
        Ok(())
    }

    /// Disarms everything and lets go what is held.
    pub fn clear(&self) {
        self.lock().clear();
        self.released.send_modify(|count| *count += 1);
    }

    pub fn list(&self) -> Vec<Fault> {
        self.lock().clone()
    }

    /// The first fault that fits, counted as met.
    pub fn meet(&self, target: &str, texts: &[&str]) -> Option<Met> {
        let mut armed = self.lock();
        let fault = armed.iter_mut().find(|fault| fault.matches(target, texts))?;
        fault.met += 1;
        tracing::info!(target, action = ?fault.action, met = fault.met, count = fault.count, "fault met");
        Some(Met {
            fault: fault.clone(),
            released: self.released.subscribe(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fault that somebody ran into.
#[derive(Debug)]
pub struct Met {
    pub fault: Fault,
    released: watch::Receiver<u64>,
}

impl Met {
    pub fn message_or(&self, default: &str) -> String {
        self.fault.message.clone().unwrap_or_else(|| default.to_owned())
    }

    /// Returns when the faults are cleared.
    pub async fn held(mut self) {
        // An error means that the sender is gone, and with it everything that could hold.
        let _ = self.released.changed().await;
    }

    /// Returns when the fault's time has passed, or the faults are cleared.
    pub async fn passed(self) {
        let time = Duration::from_millis(self.fault.milliseconds.unwrap_or_default());
        // Running out of time is what was asked for.
        let _ = tokio::time::timeout(time, self.held()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_fault_is_met_as_often_as_it_was_asked_for() {
        let faults = Faults::default();
        faults
            .arm(vec![fault(r#"{"target": "copy", "action": "fail", "count": 2}"#)])
            .unwrap();
        assert!(faults.meet("INSERT", &[]).is_none());
        assert!(faults.meet("COPY", &[]).is_some());
        assert!(faults.meet("COPY", &[]).is_some());
        assert!(faults.meet("COPY", &[]).is_none());
        assert_eq!(faults.list()[0].met, 2);
    }

    #[test]
    fn a_fault_can_look_for_one_call_among_many() {
        let faults = Faults::default();
        faults
            .arm(vec![fault(
                r#"{"target": "BatchExecuteStatement", "action": "lose-answer", "contains": "run-7"}"#,
            )])
            .unwrap();
        assert!(
            faults
                .meet("BatchExecuteStatement", &["run-6-load", "DELETE"])
                .is_none()
        );
        assert!(
            faults
                .meet("BatchExecuteStatement", &["run-7-load", "DELETE"])
                .is_some()
        );
    }

    #[test]
    fn a_statement_has_no_answer_to_lose() {
        let error = Faults::default()
            .arm(vec![fault(r#"{"target": "COPY", "action": "lose-answer"}"#)])
            .unwrap_err();
        assert_eq!(
            error,
            FaultError::NoOperation {
                target: "COPY".to_owned()
            }
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_passes_by_itself_and_needs_a_time() {
        let faults = Faults::default();
        let untimed = faults.arm(vec![fault(r#"{"target": "ListStatements", "action": "delay"}"#)]);
        assert_eq!(untimed, Err(FaultError::NoDelay));
        let slow = r#"{"target": "ListStatements", "action": "delay", "milliseconds": 30000}"#;
        faults.arm(vec![fault(slow)]).unwrap();
        let begun = tokio::time::Instant::now();
        faults.meet("ListStatements", &[]).unwrap().passed().await;
        assert_eq!(begun.elapsed(), Duration::from_secs(30));
    }

    #[test]
    fn a_target_that_is_never_met_is_refused() {
        let faults = Faults::default();
        for target in ["BatchExecute", "COPPY", "DROP TABLE", ""] {
            let armed = Fault {
                target: target.to_owned(),
                ..fault(r#"{"target": "COPY", "action": "fail"}"#)
            };
            let error = faults.arm(vec![armed]).unwrap_err().to_string();
            assert!(error.contains("never be met") && error.contains("COPY"), "{error}");
        }
        assert!(faults.list().is_empty());
    }

    #[tokio::test]
    async fn clearing_releases_what_is_held() {
        let faults = Faults::default();
        faults
            .arm(vec![fault(r#"{"target": "COMMIT", "action": "hold"}"#)])
            .unwrap();
        let met = faults.meet(COMMIT, &[]).unwrap();
        faults.clear();
        met.held().await;
        assert!(faults.list().is_empty());
    }
}
