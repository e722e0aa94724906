//! Remembers statements for 24 hours and client tokens for 8, as the Data API does, as long as the process lives; touches no network.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use thiserror::Error;
use uuid::Uuid;

use crate::statement::{Statement, Submission};

const STATEMENT_RETENTION: Duration = Duration::from_hours(24);
const TOKEN_RETENTION: Duration = Duration::from_hours(8);

/// The Data API's quota per warehouse.
const ACTIVE_STATEMENTS: usize = 200;

#[derive(Debug, Error, PartialEq, Eq)]
pub enum RegistryError {
    #[error("ClientToken {token} was used before with different parameters")]
    TokenReused { token: String },
    #[error("the maximum number of active statements ({ACTIVE_STATEMENTS}) is exceeded")]
    TooManyActive,
}

#[derive(Debug)]
pub enum Admission {
    New(Arc<Statement>),
    /// The token says that this is the same call again.
    Known(Arc<Statement>),
}

/// A statement, or one part of a batch (`<id>:<number>`).
#[derive(Debug)]
pub struct Found {
    pub statement: Arc<Statement>,
    pub part: Option<usize>,
}

#[derive(Debug, Default)]
pub struct Registry(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Oldest first.
    statements: Vec<Arc<Statement>>,
    /// By caller and token.
    tokens: HashMap<(String, String), TokenUse>,
}

#[derive(Debug)]
struct TokenUse {
    used: Instant,
    request: Value,
    statement: Arc<Statement>,
}

impl Registry {
    /// `request` is what must be the same when the token is the same.
    pub fn admit(
        &self,
        submission: Submission,
        token: Option<&str>,
        request: Value,
    ) -> Result<Admission, RegistryError> {
        let mut inner = self.lock();
        inner.forget_the_old();
        let token = token.map(|token| (submission.caller.clone(), token.to_owned()));
        if let Some((token, earlier)) = token.as_ref().and_then(|token| Some((token, inner.tokens.get(token)?))) {
            if earlier.request != request {
                return Err(RegistryError::TokenReused { token: token.1.clone() });
            }
            return Ok(Admission::Known(earlier.statement.clone()));
        }
        let active = inner
            .statements
            .iter()
            .filter(|statement| !statement.state.borrow().status.is_terminal())
            .count();
        if active >= ACTIVE_STATEMENTS {
            return Err(RegistryError::TooManyActive);
        }
        let statement = Arc::new(Statement::new(Uuid::new_v4().to_string(), submission));
        inner.statements.push(statement.clone());
        if let Some(token) = token {
            inner.tokens.insert(
                token,
                TokenUse {
                    used: Instant::now(),
                    request,
                    statement: statement.clone(),
                },
            );
        }
        Ok(Admission::New(statement))
    }

    /// Only among the caller's own.
    pub fn find(&self, caller: &str, id: &str) -> Option<Found> {
        let (whole, part) = match id.split_once(':') {
            Some((whole, number)) => (whole, Some(number.parse::<usize>().ok()?.checked_sub(1)?)),
            None => (id, None),
        };
        let statement = self
            .lock()
            .statements
            .iter()
            .find(|statement| statement.id == whole && statement.submission.caller == caller)?
            .clone();
        if part.is_some_and(|part| !statement.submission.is_batch || part >= statement.submission.sqls.len()) {
            return None;
        }
        Some(Found { statement, part })
    }

    /// The caller's own, newest first.
    pub fn list(&self, caller: &str) -> Vec<Arc<Statement>> {
        let mut inner = self.lock();
        inner.forget_the_old();
        let own = inner.statements.iter().rev();
        own.filter(|statement| statement.submission.caller == caller)
            .cloned()
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn forget_the_old(&mut self) {
        self.statements
            .retain(|statement| statement.submitted.elapsed() < STATEMENT_RETENTION);
        self.tokens.retain(|_, token| token.used.elapsed() < TOKEN_RETENTION);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::statement::Status;

    fn submission(sqls: &[&str]) -> Submission {
        Submission {
            sqls: sqls.iter().map(|sql| (*sql).to_owned()).collect(),
            is_batch: sqls.len() > 1,
            caller: "ada".to_owned(),
            ..Submission::default()
        }
    }

    fn id(admission: Admission) -> (bool, String) {
        match admission {
            Admission::New(statement) => (true, statement.id.clone()),
            Admission::Known(statement) => (false, statement.id.clone()),
        }
    }

    #[test]
    fn the_same_token_means_the_same_statement() {
        let registry = Registry::default();
        let request = json!({"Sql": "select 1"});
        let (new, first) = id(registry
            .admit(submission(&["select 1"]), Some("token"), request.clone())
            .unwrap());
        assert!(new);
        let (new, again) = id(registry
            .admit(submission(&["select 1"]), Some("token"), request)
            .unwrap());
        assert!(!new);
        assert_eq!(first, again);
    }

    #[test]
    fn a_token_with_other_parameters_is_refused() {
        let registry = Registry::default();
        registry
            .admit(submission(&["select 1"]), Some("token"), json!({"Sql": "select 1"}))
            .unwrap();
        let error = registry
            .admit(submission(&["select 2"]), Some("token"), json!({"Sql": "select 2"}))
            .unwrap_err();
        assert_eq!(
            error,
            RegistryError::TokenReused {
                token: "token".to_owned()
            }
        );
    }

    #[test]
    fn a_batch_is_found_whole_and_by_part() {
        let registry = Registry::default();
        let (_, whole) = id(registry.admit(submission(&["a", "b"]), None, Value::Null).unwrap());
        assert_eq!(registry.find("ada", &whole).unwrap().part, None);
        assert_eq!(registry.find("ada", &format!("{whole}:2")).unwrap().part, Some(1));
        assert!(registry.find("ada", &format!("{whole}:3")).is_none());
        assert!(registry.find("ada", &format!("{whole}:0")).is_none());
        assert!(registry.find("ada", "else").is_none());
    }

    #[test]
    fn a_statement_is_its_callers_own_and_so_is_its_token() {
        let registry = Registry::default();
        let (_, own) = id(registry.admit(submission(&["a"]), Some("token"), Value::Null).unwrap());
        assert!(registry.find("ben", &own).is_none() && registry.list("ben").is_empty());
        let theirs = Submission {
            caller: "ben".to_owned(),
            ..submission(&["a"])
        };
        let (is_new, _) = id(registry.admit(theirs, Some("token"), Value::Null).unwrap());
        assert!(is_new);
        assert_eq!((registry.list("ada").len(), registry.list("ben").len()), (1, 1));
    }

    #[test]
    fn what_has_ended_does_not_count_as_active() {
        let registry = Registry::default();
        for _ in 0..ACTIVE_STATEMENTS {
            registry.admit(submission(&["a"]), None, Value::Null).unwrap();
        }
        assert_eq!(
            registry.admit(submission(&["a"]), None, Value::Null).unwrap_err(),
            RegistryError::TooManyActive
        );
        registry.list("ada")[0].end(Status::Finished, Duration::ZERO, None);
        assert!(registry.admit(submission(&["a"]), None, Value::Null).is_ok());
    }
}
