//! What is known of one submitted statement or batch while it lives; touches no network.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::warehouse::result::ResultSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Submitted,
    Picked,
    Started,
    Finished,
    Failed,
    Aborted,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Picked => "PICKED",
            Self::Started => "STARTED",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Aborted => "ABORTED",
        }
    }

    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Aborted)
    }
}

/// What was asked for, echoed by most answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Submission {
    /// Whose it is: nobody else sees it.
    pub caller: String,
    pub sqls: Vec<String>,
    pub is_batch: bool,
    pub auto_commit: bool,
    pub name: Option<String>,
    pub parameters: Vec<(String, String)>,
    pub database: String,
    pub workgroup_name: Option<String>,
    pub cluster_identifier: Option<String>,
    pub secret_arn: Option<String>,
    pub db_user: Option<String>,
}

/// How one SQL text fares. A single statement has exactly one of these, a batch has one per text.
#[derive(Debug, Clone)]
pub struct Part {
    pub status: Status,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub duration_nanoseconds: i64,
    pub error: Option<String>,
    pub query_id: i64,
    pub result_rows: i64,
    pub result_size: i64,
    pub result: Option<Arc<ResultSet>>,
}

#[derive(Debug, Clone)]
pub struct State {
    pub status: Status,
    pub updated_at: Timestamp,
    pub duration_nanoseconds: i64,
    pub error: Option<String>,
    pub process_id: i64,
    pub parts: Vec<Part>,
    pub cancel_requested: bool,
    /// From here on a cancellation comes too late: only the database knows the outcome.
    pub committing: bool,
}

#[derive(Debug)]
pub struct Statement {
    pub id: String,
    pub submission: Submission,
    pub created_at: Timestamp,
    pub submitted: Instant,
    pub state: watch::Sender<State>,
}

impl Statement {
    pub fn new(id: String, submission: Submission) -> Self {
        let now = Timestamp::now();
        let part = Part {
            status: Status::Submitted,
            created_at: now,
            updated_at: now,
            duration_nanoseconds: -1,
            error: None,
            query_id: 0,
            result_rows: -1,
            result_size: -1,
            result: None,
        };
        let state = State {
            status: Status::Submitted,
            updated_at: now,
            duration_nanoseconds: -1,
            error: None,
            process_id: 0,
            parts: vec![part; submission.sqls.len()],
            cancel_requested: false,
            committing: false,
        };
        Self {
            id,
            submission,
            created_at: now,
            submitted: Instant::now(),
            state: watch::Sender::new(state),
        }
    }

    pub fn advance(&self, status: Status) {
        self.state.send_modify(|state| {
            state.status = status;
            state.updated_at = Timestamp::now();
        });
    }

    pub fn start_part(&self, index: usize, query_id: i64) {
        self.state.send_modify(|state| {
            let part = &mut state.parts[index];
            part.status = Status::Started;
            part.updated_at = Timestamp::now();
            part.query_id = query_id;
        });
    }

    pub fn finish_part(&self, index: usize, took: Duration, rows: i64, result: Option<ResultSet>) {
        self.state.send_modify(|state| {
            let part = &mut state.parts[index];
            part.status = Status::Finished;
            part.updated_at = Timestamp::now();
            part.duration_nanoseconds = nanoseconds(took);
            part.result_rows = rows;
            part.result_size = result.as_ref().map_or(0, |result| result.size);
            part.result = result.map(Arc::new);
        });
    }

    pub fn fail_part(&self, index: usize, took: Duration, error: &str) {
        self.state.send_modify(|state| {
            let part = &mut state.parts[index];
            part.status = Status::Failed;
            part.updated_at = Timestamp::now();
            part.duration_nanoseconds = nanoseconds(took);
            part.error = Some(error.to_owned());
        });
    }

    /// The end: parts that never ended are aborted with the whole.
    pub fn end(&self, status: Status, took: Duration, error: Option<String>) {
        self.state.send_modify(|state| {
            let now = Timestamp::now();
            state.status = status;
            state.updated_at = now;
            state.duration_nanoseconds = nanoseconds(took);
            state.error = error;
            for part in state.parts.iter_mut().filter(|part| !part.status.is_terminal()) {
                part.status = Status::Aborted;
                part.updated_at = now;
            }
            if status != Status::Finished && !self.submission.auto_commit {
                // What was rolled back has no result to show.
                state.parts.iter_mut().for_each(|part| part.result = None);
            }
        });
    }

    /// False when a cancellation came first.
    pub fn begin_commit(&self) -> bool {
        let mut allowed = false;
        self.state.send_modify(|state| {
            allowed = !state.cancel_requested;
            state.committing |= allowed;
        });
        allowed
    }

    /// After one of several commits: the rest can be cancelled again.
    pub fn commit_over(&self) {
        self.state.send_modify(|state| state.committing = false);
    }

    /// False when it came too late.
    pub fn request_cancel(&self) -> bool {
        self.state.send_if_modified(|state| {
            let allowed = !state.status.is_terminal() && !state.committing && !state.cancel_requested;
            state.cancel_requested |= allowed;
            allowed
        })
    }

    pub async fn cancelled(&self) {
        // The sender lives in `self`, so this cannot fail while it is awaited.
        let _ = self.state.subscribe().wait_for(|state| state.cancel_requested).await;
    }

    pub async fn ended(&self) {
        let _ = self
            .state
            .subscribe()
            .wait_for(|state| state.status.is_terminal())
            .await;
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(sqls: &[&str]) -> Statement {
        let sqls = sqls.iter().map(|sql| (*sql).to_owned()).collect();
        Statement::new(
            "id".to_owned(),
            Submission {
                sqls,
                is_batch: true,
                ..Submission::default()
            },
        )
    }

    #[test]
    fn a_failed_batch_keeps_what_each_part_came_to() {
        let statement = batch(&["a", "b", "c"]);
        statement.finish_part(0, Duration::from_millis(1), 3, None);
        statement.fail_part(1, Duration::from_millis(1), "ERROR: no");
        statement.end(
            Status::Failed,
            Duration::from_millis(2),
            Some("Query #2 failed with ERROR: no".to_owned()),
        );
        let state = statement.state.borrow();
        let statuses: Vec<_> = state.parts.iter().map(|part| part.status).collect();
        assert_eq!(statuses, [Status::Finished, Status::Failed, Status::Aborted]);
    }

    #[test]
    fn a_cancellation_and_a_commit_never_both_win() {
        let first = batch(&["a"]);
        assert!(first.begin_commit());
        assert!(!first.request_cancel());

        let second = batch(&["a"]);
        assert!(second.request_cancel());
        assert!(!second.begin_commit());
    }

    #[test]
    fn what_has_ended_cannot_be_cancelled() {
        let statement = batch(&["a"]);
        statement.end(Status::Finished, Duration::ZERO, None);
        assert!(!statement.request_cancel());
    }
}
