//! Whether a policy says "all" where it could say what. Touches no network.

use crate::check::Check;
use crate::land::Land;
use crate::lists::Lists;
use crate::policy::Statement;
use crate::principal::Principals;

/// One check for the land.
pub fn check(land: &Land, lists: &Lists) -> Check {
    let mut wrong = Vec::new();
    let roles = land
        .identities
        .iter()
        .flat_map(|(name, identity)| identity.policies.iter().map(move |one| (name, one)));
    for (name, policy) in roles.chain(&land.policies) {
        for statement in policy.allowing() {
            wrong.extend(actions(name, statement));
            let is_listed = |action: &String| lists.stars.iter().any(|entry| entry.is_about(name, action));
            if statement.resources.iter().any(|resource| resource == "*") && !statement.actions.iter().all(is_listed) {
                wrong.push(format!("{name}, {}: the resource * is not listed", statement.name));
            }
        }
    }
    for (resource, policy) in land.guards() {
        for statement in policy.allowing() {
            wrong.extend(actions(resource, statement));
            let is_open = statement.principals.as_ref().is_some_and(Principals::is_everybody);
            if is_open {
                wrong.push(format!("{resource}, {}: everybody is allowed", statement.name));
            }
        }
    }
    Check::new(format!("nobody in {} is allowed all", land.name), wrong)
}

fn actions(whose: &str, statement: &Statement) -> Option<String> {
    let star = statement.actions.iter().find(|action| action.contains('*'))?;
    Some(format!(
        "{whose}, {}: the action {star} is no action but many",
        statement.name
    ))
}
