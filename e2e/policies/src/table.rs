//! Decides each row of the table in each environment. Touches no network.

use anyhow::{Context as _, Result};

use crate::asked::STATEMENT_OWNER;
use crate::check::Check;
use crate::decide::{Answer, Guard, Request, decide};
use crate::land::{Identity, Land};
use crate::policy::{Kind, Policy};
use crate::principal::Principal;
use crate::rows::Row;

/// Somebody's own policies that refuse nothing: what is refused then, the resource refuses.
const ALL: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;
const ELSEWHERE: &str = "999999999999";
/// Who hands roles out to pods.
const PODS: &str = "pods.eks.amazonaws.com";
const EVERY_WORKER: &str = "every worker";
const EVERY_ROLE: &str = "every role";
const ROLE: &str = "role ";

/// Who asks, with which policies.
struct Asker {
    principal: Principal,
    own: Vec<Policy>,
    /// Conditions that come with it.
    with: Vec<(String, String)>,
}

/// One check for each row. Who is in no environment proves nothing there, and is wrong: it may be misspelt.
pub fn check(lands: &[Land], rows: &[Row]) -> Vec<Check> {
    rows.iter()
        .map(|row| {
            let wrong = row.who.iter().flat_map(|who| wrong(lands, row, who)).collect();
            let expected = if row.is_allowed { "allowed" } else { "refused" };
            let (who, actions) = (row.who.join(", "), row.actions.join(", "));
            Check::new(format!("line {}: {who}, {actions}: {expected}", row.line), wrong)
        })
        .collect()
}

/// What is not as a row says of one of those who ask.
fn wrong(lands: &[Land], row: &Row, who: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut is_anywhere = false;
    for land in lands {
        for name in names(land, who) {
            match asker(land, &name) {
                Ok(None) => {}
                Ok(Some(asker)) => {
                    is_anywhere = true;
                    wrong.extend(decided(land, row, &name, &asker));
                }
                Err(error) => wrong.push(format!("{}: {error:#}", land.name)),
            }
        }
    }
    if !is_anywhere {
        wrong.push(format!("{who} is in no environment"));
    }
    wrong
}

/// The answers that are not as the row says.
fn decided(land: &Land, row: &Row, name: &str, asker: &Asker) -> Vec<String> {
    let mut wrong = Vec::new();
    for resource in resources(land, &row.resources) {
        for action in &row.actions {
            let found = match answer(land, row, asker, action, &resource) {
                Ok(answer) if answer.is_allowed() == row.is_allowed => continue,
                Ok(Answer::Allowed) => "it is allowed".to_owned(),
                Ok(Answer::Refused(why)) => why,
                Err(error) => format!("{error:#}"),
            };
            wrong.push(format!("{}: {name}, {action} of {resource}: {found}", land.name));
        }
    }
    wrong
}

fn names(land: &Land, who: &str) -> Vec<String> {
    if who != EVERY_WORKER {
        return vec![who.to_owned()];
    }
    let ours = land.identities.iter().filter(|(_, identity)| identity.is_ours);
    ours.map(|(name, _)| name.clone()).collect()
}

fn resources(land: &Land, resources: &[String]) -> Vec<String> {
    let roles: Vec<_> = land.identities.keys().map(|name| format!("{ROLE}{name}")).collect();
    let all = resources.iter().map(|one| {
        if one == EVERY_ROLE {
            roles.clone()
        } else {
            vec![one.clone()]
        }
    });
    all.flatten().collect()
}

/// None if there is nobody of this name here.
fn asker(land: &Land, who: &str) -> Result<Option<Asker>> {
    let role = |account: &str, name: &str| Principal::Role(format!("arn:aws:iam::{account}:role/{name}"));
    let with_all = |account: &str| -> Result<Asker> {
        Ok(Asker {
            principal: role(account, "somebody"),
            own: vec![Policy::read(Kind::Identity, ALL)?],
            with: Vec::new(),
        })
    };
    Ok(Some(if who == "administrator" {
        with_all(&land.account)?
    } else if who == "other account" {
        with_all(ELSEWHERE)?
    } else if let Some(service) = who.strip_prefix("service ") {
        Asker {
            principal: Principal::Service(service.to_owned()),
            own: Vec::new(),
            with: Vec::new(),
        }
    } else if let Some(pod) = who.strip_prefix("pod ") {
        pod_asker(land, pod)?
    } else if let Some(policy) = land.policies.get(who) {
        Asker {
            principal: role(&land.account, who),
            own: vec![policy.clone()],
            with: Vec::new(),
        }
    } else {
        return Ok(land.identities.get(who).map(own_asker));
    }))
}

fn own_asker(identity: &Identity) -> Asker {
    Asker {
        principal: Principal::Role(identity.arn.clone()),
        own: identity.policies.clone(),
        with: vec![(STATEMENT_OWNER.to_owned(), format!("{}:any", identity.id))],
    }
}

/// As EKS asks for it: a pod is its cluster, its namespace and its service account.
fn pod_asker(land: &Land, pod: &str) -> Result<Asker> {
    let (namespace, account) = pod
        .split_once('/')
        .with_context(|| format!("{pod} is no namespace/account"))?;
    let tag = |name: &str, value: &str| (format!("aws:RequestTag/{name}"), value.to_owned());
    Ok(Asker {
        principal: Principal::Service(PODS.to_owned()),
        own: Vec::new(),
        with: vec![
            tag("eks-cluster-arn", &land.at("{cluster}")?),
            tag("kubernetes-namespace", namespace),
            tag("kubernetes-service-account", account),
        ],
    })
}

fn answer(land: &Land, row: &Row, asker: &Asker, action: &str, resource: &str) -> Result<Answer> {
    let mut context = land.context(&asker.principal);
    for (key, value) in asker.with.iter().chain(&row.with) {
        if value.is_empty() {
            context.forget(key);
        } else {
            context.set(key, land.at(value)?);
        }
    }
    let mut request = Request {
        principal: asker.principal.clone(),
        action: action.to_owned(),
        resource: String::new(),
        context,
    };
    let Some(name) = resource.strip_prefix(ROLE) else {
        request.resource = land.at(resource)?;
        return Ok(land.answer(&request, &asker.own));
    };
    let role = land
        .identities
        .get(name)
        .with_context(|| format!("there is no role {name}"))?;
    request.resource.clone_from(&role.arn);
    // As with a key: nobody becomes a role that does not trust.
    let guard = Guard {
        policy: &role.trust,
        comes_first: true,
    };
    Ok(decide(&request, &asker.own, Some(guard), &land.account))
}
