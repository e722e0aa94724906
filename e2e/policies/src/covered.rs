//! Whether each worker may do what it was seen to do. Touches no network.

use crate::asked::requests;
use crate::check::Check;
use crate::decide::Answer;
use crate::land::{Identity, Land};
use crate::lists::Lists;
use crate::recorded::{Call, Recorded};

/// A check for each of the land's own roles of which calls were recorded.
pub fn check(land: &Land, recorded: &Recorded, lists: &Lists) -> Vec<Check> {
    let ours = land.identities.iter().filter(|(_, identity)| identity.is_ours);
    ours.filter_map(|(name, identity)| {
        let calls = recorded.get(name)?;
        let is_elsewhere = |call: &Call| lists.elsewhere.iter().any(|entry| entry.is_about(name, &call.action));
        let wrong = calls
            .iter()
            .filter_map(|call| refused(land, identity, call, is_elsewhere(call)));
        let what = format!("{name} of {} may do all that it was seen to do", land.name);
        Some(Check::new(what, wrong.collect()))
    })
    .collect()
}

/// What is wrong with one call. What Terraform does in an account, the worker must not be able to.
fn refused(land: &Land, identity: &Identity, call: &Call, is_elsewhere: bool) -> Option<String> {
    let asked = match requests(land, identity, call) {
        Ok(asked) => asked,
        Err(error) => return Some(format!("{call}: {error:#}")),
    };
    if is_elsewhere {
        let is_allowed = land.answer(asked.first()?, &identity.policies).is_allowed();
        return is_allowed.then(|| format!("{call}: it is allowed, although it is listed as Terraform's"));
    }
    asked
        .iter()
        .find_map(|request| match land.answer(request, &identity.policies) {
            Answer::Allowed => None,
            Answer::Refused(why) => Some(format!("{call}: {} of {}: {why}", request.action, request.resource)),
        })
}
