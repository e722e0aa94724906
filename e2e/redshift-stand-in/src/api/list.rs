//! `ListStatements`: the caller's own, newest first, by the beginning of the name and by state; touches no network itself.

use serde_json::{Value, json};

use super::answers::Listed;
use super::caller::Caller;
use super::error::ApiError;
use super::requests::List;
use super::service::Service;
use crate::statement::Statement;

const LARGEST_PAGE: i64 = 100;
const STATES: &[&str] = &["ABORTED", "ALL", "FAILED", "FINISHED", "PICKED", "STARTED", "SUBMITTED"];

pub fn list(service: &Service, caller: &Caller, request: &List) -> Result<Value, ApiError> {
    let status = request.status.as_deref().unwrap_or("FINISHED");
    if !STATES.contains(&status) {
        return Err(ApiError::constraint(
            "status",
            status,
            &format!("Member must satisfy enum value set: [{}]", STATES.join(", ")),
        ));
    }
    let limit = request.max_results.filter(|limit| *limit != 0).unwrap_or(LARGEST_PAGE);
    let Some(limit) = usize::try_from(limit).ok().filter(|_| limit <= LARGEST_PAGE) else {
        return Err(ApiError::constraint(
            "maxResults",
            &limit.to_string(),
            "Member must have value between 0 and 100",
        ));
    };
    if request.workgroup_name.is_some() && request.cluster_identifier.is_some() {
        return Err(ApiError::validation(
            "give WorkgroupName or ClusterIdentifier, not both",
        ));
    }
    let mut matching = service
        .registry
        .list(&caller.0)
        .into_iter()
        .filter(|statement| matches(statement, request, status))
        .peekable();
    if let Some(token) = request.next_token.as_deref().filter(|token| !token.is_empty()) {
        // A token is the first statement of its page, so that new statements do not shift it.
        while matching.peek().is_some_and(|statement| statement.id != token) {
            matching.next();
        }
        if matching.peek().is_none() {
            return Err(ApiError::validation("NextToken is not valid"));
        }
    }
    let page: Vec<_> = matching
        .by_ref()
        .take(limit)
        .map(|statement| Listed::new(&statement))
        .collect();
    let mut answer = json!({"Statements": page});
    if let Some(next) = matching.peek() {
        answer["NextToken"] = json!(next.id);
    }
    Ok(answer)
}

/// Without a state only finished statements are shown, as documented.
fn matches(statement: &Statement, request: &List, status: &str) -> bool {
    let submission = &statement.submission;
    let same = |asked: &Option<String>, has: Option<&String>| asked.as_ref().is_none_or(|asked| Some(asked) == has);
    let named = request
        .statement_name
        .as_deref()
        .is_none_or(|prefix| submission.name.as_deref().is_some_and(|name| name.starts_with(prefix)));
    named
        && (status == "ALL" || statement.state.borrow().status.name() == status)
        && same(&request.database, Some(&submission.database))
        && same(&request.workgroup_name, submission.workgroup_name.as_ref())
        && same(&request.cluster_identifier, submission.cluster_identifier.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::{Status, Submission};

    fn named(name: &str) -> Statement {
        Statement::new(
            "id".to_owned(),
            Submission {
                sqls: vec!["a".to_owned()],
                name: Some(name.to_owned()),
                ..Submission::default()
            },
        )
    }

    #[test]
    fn names_match_by_their_beginning_and_case() {
        let statement = named("run-7-load");
        let asking = |prefix: &str| List {
            statement_name: Some(prefix.to_owned()),
            ..List::default()
        };
        assert!(matches(&statement, &asking("run-7"), "ALL"));
        assert!(!matches(&statement, &asking("Run-7"), "ALL"));
        assert!(!matches(&statement, &asking("load"), "ALL"));
    }

    #[test]
    fn what_has_not_finished_is_shown_only_when_asked_for() {
        let statement = named("run-7");
        assert!(!matches(&statement, &List::default(), "FINISHED"));
        assert!(matches(&statement, &List::default(), "SUBMITTED"));
        statement.end(Status::Finished, std::time::Duration::ZERO, None);
        assert!(matches(&statement, &List::default(), "FINISHED"));
    }
}
