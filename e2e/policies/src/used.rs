//! Whether each right is used: by a recorded call, or by what stands in a list with AWS's own reason. Touches no network.

use crate::asked::requests;
use crate::check::Check;
use crate::decide::Request;
use crate::land::Land;
use crate::lists::{Entry, Lists};
use crate::pattern;
use crate::policy::{Policy, Statement};
use crate::recorded::Recorded;

/// A check for each of the land's own roles.
pub fn check(land: &Land, recorded: &Recorded, lists: &Lists) -> Vec<Check> {
    let ours = land.identities.iter().filter(|(_, identity)| identity.is_ours);
    ours.map(|(name, identity)| {
        let calls = recorded.get(name).into_iter().flatten();
        // A call that cannot be asked here is told where it is looked at as a call.
        let asked: Vec<_> = calls
            .filter_map(|call| requests(land, identity, call).ok())
            .flatten()
            .collect();
        let statements = identity.policies.iter().flat_map(Policy::allowing);
        let wrong = statements.flat_map(|statement| unused(name, statement, &asked, &lists.implied));
        let what = format!("{name} of {} has no right that it does not use", land.name);
        Check::new(what, wrong.collect())
    })
    .collect()
}

fn unused(name: &str, statement: &Statement, asked: &[Request], implied: &[Entry]) -> Vec<String> {
    let mut unused = Vec::new();
    for action in &statement.actions {
        if implied.iter().any(|entry| entry.is_about(name, action)) {
            continue;
        }
        for resource in &statement.resources {
            let uses = |request: &Request| {
                request.action.eq_ignore_ascii_case(action)
                    && pattern::matches_arn(resource, &request.resource)
                    && statement.conditions.iter().all(|one| one.holds(&request.context))
            };
            if !asked.iter().any(uses) {
                unused.push(format!(
                    "{}: {action} of {resource} is neither recorded nor listed",
                    statement.name
                ));
            }
        }
    }
    unused
}

/// Entries of the lists that are no right in any environment, or of which no call was recorded.
pub fn stale(lands: &[Land], recorded: &Recorded, lists: &Lists) -> Check {
    let mut wrong = Vec::new();
    for entry in &lists.implied {
        for (name, action) in pairs(entry) {
            if !is_right(lands, &name, &action) {
                wrong.push(format!(
                    "{action} of {name} is listed, and is a right in no environment"
                ));
            }
        }
    }
    for entry in &lists.stars {
        for action in entry.actions() {
            if !entry.identities().any(|name| is_right(lands, &name, action)) {
                wrong.push(format!(
                    "{action} is listed as one without resources, and is a right in no environment"
                ));
            }
        }
    }
    for (name, action) in lists.elsewhere.iter().flat_map(pairs) {
        let mut calls = recorded.get(&name).into_iter().flatten();
        if !calls.any(|call| call.action == action) {
            wrong.push(format!(
                "{action} of {name} is listed as Terraform's, and was never recorded"
            ));
        }
    }
    Check::new("the lists have no more than there is", wrong)
}

fn is_right(lands: &[Land], name: &str, action: &str) -> bool {
    let identities = lands.iter().filter_map(|land| land.identities.get(name));
    let mut statements = identities
        .flat_map(|identity| &identity.policies)
        .flat_map(Policy::allowing);
    statements.any(|statement| statement.actions.iter().any(|one| one.eq_ignore_ascii_case(action)))
}

fn pairs(entry: &Entry) -> Vec<(String, String)> {
    let actions: Vec<_> = entry.actions().collect();
    let identities = entry.identities();
    let pairs = identities.flat_map(|name| actions.iter().map(move |action| (name.clone(), (*action).to_owned())));
    pairs.collect()
}
