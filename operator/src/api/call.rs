//! Calls with deadlines: every call ends, and what went wrong can be told apart. Talks to the Kubernetes API.

use std::future::Future;
use std::time::Duration;

use thiserror::Error;

/// No call takes longer; what was to be done is decided anew afterwards.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why a call failed.
#[derive(Debug, Error)]
pub enum CallError {
    /// The server refused or could not be reached.
    #[error("{what}: {}", said(.source))]
    Failed {
        /// What was tried.
        what: String,
        /// What the client says.
        source: Box<kube::Error>,
    },
    /// No answer: it may or may not have been done.
    #[error("{what}: no answer within {} s", DEADLINE.as_secs())]
    TimedOut {
        /// What was tried.
        what: String,
    },
}

/// What the client says, for people: of the server's answer its message and code.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.message.is_empty() => format!("{} ({})", status.reason, status.code),
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => other.to_string(),
    }
}

impl CallError {
    /// Nobody has answered in time.
    pub const fn is_time_out(&self) -> bool {
        matches!(self, Self::TimedOut { .. })
    }

    /// The server's answer, if it answered.
    pub fn answer(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Failed { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            Self::TimedOut { .. } => None,
        }
    }

    /// The object is not there.
    pub fn is_not_found(&self) -> bool {
        self.answer().is_some_and(kube::core::Status::is_not_found)
    }

    /// An object of that name is there already.
    pub fn already_exists(&self) -> bool {
        self.answer().is_some_and(kube::core::Status::is_already_exists)
    }

    /// The object has changed since it was seen.
    pub fn is_conflict(&self) -> bool {
        self.answer().is_some_and(kube::core::Status::is_conflict)
    }

    /// The server will not do it as it was asked: asking again does not help.
    pub fn is_refusal(&self) -> bool {
        self.answer()
            .is_some_and(|status| matches!(status.code, 400 | 403 | 422))
    }

    /// The server works, but something behind it that this one object needs does not: an admission webhook above all. One that is
    /// too busy to answer says so in another way.
    pub fn is_of_one_object(&self) -> bool {
        self.answer()
            .is_some_and(|status| status.code == 500 && status.reason != "ServerTimeout")
    }
}

/// The call's answer, or why there is none.
pub(crate) async fn call<T>(
    what: impl FnOnce() -> String,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(CallError::Failed {
            what: what(),
            source: Box::new(source),
        }),
        Err(_) => Err(CallError::TimedOut { what: what() }),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[tokio::test]
    async fn a_refusal_is_reported_in_the_words_of_the_server_alone() {
        let status = Status::failure("pods \"x\" is forbidden: exceeded quota", "Forbidden").with_code(403);
        let refused = async { Err::<(), _>(kube::Error::Api(status.boxed())) };
        let error = call(|| "create Job x".to_owned(), refused).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "create Job x: pods \"x\" is forbidden: exceeded quota (403)"
        );
        let status = Status::failure("", "Conflict").with_code(409);
        let refused = async { Err::<(), _>(kube::Error::Api(status.boxed())) };
        let error = call(|| "create Job x".to_owned(), refused).await.unwrap_err();
        assert_eq!(error.to_string(), "create Job x: Conflict (409)");
    }
}
