//! Whether AWS lets somebody do something: of the role's own policies and the resource's. Touches no network.

use crate::condition::Context;
use crate::policy::{Effect, Policy, Statement};
use crate::principal::{Named, Principal};

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Request {
    pub principal: Principal,
    pub action: String,
    /// Its ARN, or `*` where the action knows none.
    pub resource: String,
    pub context: Context,
}

/// The policy at the resource itself.
#[derive(Clone, Copy)]
pub struct Guard<'p> {
    pub policy: &'p Policy,
    /// A key: the account's own policies count only where the key's policy says so.
    pub comes_first: bool,
}

/// The answer, a refusal with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Allowed,
    Refused(String),
}

impl Answer {
    pub fn is_allowed(&self) -> bool {
        *self == Self::Allowed
    }
}

/// Decides on a request to an account's resource: of the policies of whoever asks, and the resource's if it has one.
pub fn decide(request: &Request, own: &[Policy], guard: Option<Guard<'_>>, account: &str) -> Answer {
    let is_about = |statement: &Statement| statement.is_about(&request.action, &request.resource, &request.context);
    let own: Vec<_> = own.iter().flat_map(|policy| &policy.statements).collect();
    let own: Vec<_> = own.into_iter().filter(|statement| is_about(statement)).collect();
    let guarding = guard.iter().flat_map(|guard| &guard.policy.statements);
    let guarding: Vec<_> = guarding
        .filter(|statement| is_about(statement))
        .filter_map(|statement| Some((statement, named(statement, &request.principal)?)))
        .collect();
    let all = own
        .iter()
        .copied()
        .chain(guarding.iter().map(|(statement, _)| *statement));
    if let Some(denies) = all.into_iter().find(|statement| statement.effect == Effect::Deny) {
        return Answer::Refused(format!("{} denies it", denies.name));
    }
    let by_own = !own.is_empty();
    let by_guard = |how: Named| guarding.iter().any(|(_, named)| *named == how);
    let comes_first = guard.is_some_and(|guard| guard.comes_first);
    let is_allowed = match request.principal.account() {
        // Services have no policies of their own.
        None => by_guard(Named::Itself),
        Some(from) if from != account => by_own && (by_guard(Named::Itself) || by_guard(Named::Account)),
        Some(_) if comes_first => by_guard(Named::Itself) || (by_own && by_guard(Named::Account)),
        Some(_) => by_own || by_guard(Named::Itself),
    };
    if is_allowed {
        Answer::Allowed
    } else {
        Answer::Refused("no statement allows it".to_owned())
    }
}

fn named(statement: &Statement, principal: &Principal) -> Option<Named> {
    statement.principals.as_ref()?.names(principal)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::policy::Kind;

    const HOME: &str = "123456789012";

    fn policy(kind: Kind, statements: &Value) -> Policy {
        Policy::read(
            kind,
            &json!({"Version": "2012-10-17", "Statement": statements}).to_string(),
        )
        .unwrap()
    }

    fn request(account: &str) -> Request {
        Request {
            principal: Principal::Role(format!("arn:aws:iam::{account}:role/loader")),
            action: "s3:GetObject".to_owned(),
            resource: "arn:aws:s3:::gold/x".to_owned(),
            context: Context::default(),
        }
    }

    fn gold(effect: &str) -> Value {
        json!({"Sid": "Gold", "Effect": effect, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::gold/*"})
    }

    fn bucket(effect: &str, principal: &Value) -> Policy {
        let mut statement = gold(effect);
        statement["Principal"] = principal.clone();
        policy(Kind::Resource, &statement)
    }

    fn answer(account: &str, own: &[Policy], guard: Option<(&Policy, bool)>) -> bool {
        let guard = guard.map(|(policy, comes_first)| Guard { policy, comes_first });
        decide(&request(account), own, guard, HOME).is_allowed()
    }

    #[test]
    fn nothing_is_allowed_that_no_statement_allows() {
        assert!(!answer(HOME, &[], None));
        assert!(answer(HOME, &[policy(Kind::Identity, &gold("Allow"))], None));
    }

    #[test]
    fn one_denial_is_stronger_than_every_permission() {
        let allow = policy(Kind::Identity, &gold("Allow"));
        let deny = policy(Kind::Identity, &gold("Deny"));
        assert!(!answer(HOME, &[allow.clone(), deny], None));
        assert!(!answer(
            HOME,
            &[allow],
            Some((&bucket("Deny", &json!({"AWS": "*"})), false))
        ));
    }

    #[test]
    fn at_home_one_word_is_enough_and_from_abroad_both_are_needed() {
        let allow = policy(Kind::Identity, &gold("Allow"));
        let open = bucket("Allow", &json!("*"));
        let home = bucket("Allow", &json!({"AWS": "arn:aws:iam::123456789012:root"}));
        assert!(answer(HOME, &[], Some((&open, false))));
        assert!(
            !answer(HOME, &[], Some((&home, false))),
            "the account's own policies decide, and say nothing"
        );
        assert!(!answer("999999999999", std::slice::from_ref(&allow), None));
        assert!(!answer("999999999999", &[], Some((&open, false))));
        assert!(answer("999999999999", &[allow], Some((&open, false))));
    }

    #[test]
    fn of_a_key_its_own_policy_has_the_first_word() {
        let allow = policy(Kind::Identity, &gold("Allow"));
        let home = bucket("Allow", &json!({"AWS": HOME}));
        let other = bucket("Allow", &json!({"AWS": "arn:aws:iam::123456789012:role/other"}));
        assert!(answer(HOME, std::slice::from_ref(&allow), Some((&home, true))));
        assert!(!answer(HOME, &[allow], Some((&other, true))));
    }

    #[test]
    fn a_service_needs_the_word_of_the_resource() {
        let mut asks = request(HOME);
        asks.principal = Principal::Service("logging.s3.amazonaws.com".to_owned());
        let allows = bucket("Allow", &json!({"Service": "logging.s3.amazonaws.com"}));
        let guard = Guard {
            policy: &allows,
            comes_first: false,
        };
        assert!(decide(&asks, &[], Some(guard), HOME).is_allowed());
        assert_eq!(
            decide(&asks, &[policy(Kind::Identity, &gold("Allow"))], None, HOME),
            Answer::Refused("no statement allows it".to_owned())
        );
    }
}
