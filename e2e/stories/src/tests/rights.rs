//! Who may do what, asked of the real API server: people, the operator, the workers' accounts and the one that every namespace has. Touches the API server.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::authorization::v1::{ResourceRule, SelfSubjectRulesReview, SubjectAccessReview};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{Api, PostParams};
use medallion_crds::Worker;
use serde_json::json;

use crate::helm::{DEPLOYMENT, NAMESPACE};
use crate::world::World;

/// Everything that can be done to an object.
const VERBS: [&str; 9] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "impersonate",
];

/// A kind and, if any, its part; in which group; and what may be done to it, separated by spaces.
type Right = (&'static str, &'static str, &'static str);

/// The operator, in a namespace that it watches.
const OPERATOR: [Right; 30] = [
    ("pipelines", "medallion.dev", "get list watch"),
    ("pipelines/status", "medallion.dev", "update"),
    ("pipelines/finalizers", "medallion.dev", "update"),
    ("stageruns", "medallion.dev", "get list watch create delete"),
    ("stageruns/status", "medallion.dev", "update"),
    ("stageruns/finalizers", "medallion.dev", "update"),
    ("deployments", "apps", "get list watch create patch delete"),
    ("jobs", "batch", "get list watch create delete"),
    ("configmaps", "", "get list watch create patch delete"),
    ("services", "", "get list watch create patch delete"),
    ("serviceaccounts", "", "get list watch create patch delete"),
    ("poddisruptionbudgets", "policy", "get list watch create patch delete"),
    ("pods", "", "list watch"),
    ("events", "", "list"),
    ("events", "events.k8s.io", "create patch"),
    // Another installation's claim to this namespace is seen, and not touched.
    ("leases", "coordination.k8s.io", "list"),
    ("secrets", "", ""),
    ("pods/exec", "", ""),
    ("pods/log", "", ""),
    ("pods/portforward", "", ""),
    ("pods/ephemeralcontainers", "", ""),
    ("serviceaccounts/token", "", ""),
    ("deployments/scale", "apps", ""),
    ("statefulsets", "apps", ""),
    ("daemonsets", "apps", ""),
    ("cronjobs", "batch", ""),
    ("roles", "rbac.authorization.k8s.io", ""),
    ("rolebindings", "rbac.authorization.k8s.io", ""),
    ("networkpolicies", "networking.k8s.io", ""),
    ("resourcequotas", "", ""),
];

/// The operator, of what belongs to the cluster.
const OPERATOR_OF_THE_CLUSTER: [Right; 7] = [
    ("customresourcedefinitions", "apiextensions.k8s.io", ""),
    ("namespaces", "", ""),
    ("nodes", "", ""),
    ("persistentvolumes", "", ""),
    ("clusterroles", "rbac.authorization.k8s.io", ""),
    ("clusterrolebindings", "rbac.authorization.k8s.io", ""),
    ("users", "", ""),
];

/// People with the roles that every cluster has.
const VIEWER: [Right; 5] = [
    ("pipelines", "medallion.dev", "get list watch"),
    ("pipelines/status", "medallion.dev", "get list watch"),
    ("stageruns", "medallion.dev", "get list watch"),
    ("stageruns/status", "medallion.dev", "get list watch"),
    ("secrets", "", ""),
];
const EDITOR: [Right; 4] = [
    (
        "pipelines",
        "medallion.dev",
        "get list watch create update patch delete deletecollection",
    ),
    ("pipelines/status", "medallion.dev", "get list watch"),
    (
        "stageruns",
        "medallion.dev",
        "get list watch create update patch delete deletecollection",
    ),
    ("stageruns/status", "medallion.dev", "get list watch"),
];

/// What no account has rights to by being one.
const CLOSED: [&str; 7] = [
    "*",
    "configmaps",
    "pipelines",
    "pods",
    "secrets",
    "serviceaccounts",
    "stageruns",
];

/// Where it is asked about; nothing for what belongs to the cluster.
const NOWHERE: &str = "";

pub async fn hold(world: &World, place: &str) -> Result<()> {
    for (user, role) in [("vera", "view"), ("eddie", "edit")] {
        let object = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        });
        let api: Api<RoleBinding> = world.cluster.api(place);
        world.cluster.apply(&api, role, &object).await?;
    }
    let operator = format!("system:serviceaccount:{NAMESPACE}:{DEPLOYMENT}");
    let mut differences = Vec::new();
    for (user, place, rights) in [
        ("vera", place, VIEWER.as_slice()),
        ("eddie", place, EDITOR.as_slice()),
        (operator.as_str(), place, OPERATOR.as_slice()),
        (operator.as_str(), NOWHERE, OPERATOR_OF_THE_CLUSTER.as_slice()),
    ] {
        for right in rights {
            differences.extend(difference(world, user, place, *right).await?);
        }
    }
    ensure!(differences.is_empty(), "{}", differences.join("\n  "));
    accounts_without_rights(world, place).await
}

/// What a user may do to a kind beside what is wanted, or not although it is.
async fn difference(world: &World, user: &str, place: &str, right: Right) -> Result<Option<String>> {
    let (kind, group, wanted) = right;
    let mut allowed = Vec::new();
    for verb in VERBS {
        if may(world, user, place, (verb, group, kind)).await? {
            allowed.push(verb);
        }
    }
    let allowed = allowed.join(" ");
    Ok((allowed != wanted).then(|| format!("{user} may `{allowed}` {kind} {group} and should `{wanted}`")))
}

async fn may(world: &World, user: &str, place: &str, (verb, group, kind): (&str, &str, &str)) -> Result<bool> {
    let (resource, subresource) = kind.split_once('/').unwrap_or((kind, ""));
    let review = serde_json::from_value(json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {},
        "spec": {"user": user, "groups": groups(user), "resourceAttributes": {
            "namespace": place, "verb": verb, "group": group, "resource": resource, "subresource": subresource,
        }},
    }))?;
    let api: Api<SubjectAccessReview> = Api::all(world.cluster.client.clone());
    let answer = api.create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// Those that the API server adds to a user of this name.
fn groups(user: &str) -> Vec<String> {
    let mut groups = vec!["system:authenticated".to_owned()];
    let account = user.strip_prefix("system:serviceaccount:");
    if let Some((namespace, _)) = account.and_then(|account| account.split_once(':')) {
        groups.push("system:serviceaccounts".to_owned());
        groups.push(format!("system:serviceaccounts:{namespace}"));
    }
    groups
}

/// The operator gives each worker an account, and a namespace has one for whoever names none: they may do what an account may
/// that nobody has ever named, which is to ask about itself.
async fn accounts_without_rights(world: &World, place: &str) -> Result<()> {
    let nobody = rules(world, place, "nobody-has-named-it").await?;
    let mut open = nobody.iter().flat_map(|rule| rule.resources.iter().flatten());
    let reached = open.find(|resource| CLOSED.contains(&resource.as_str()));
    ensure!(reached.is_none(), "every account here has rights to {reached:?}");
    let workers = Worker::ALL.iter().map(|worker| format!("shown-{worker}"));
    for account in workers.chain(["default".to_owned()]) {
        let rights = rules(world, place, &account).await?;
        ensure!(
            words(&rights) == words(&nobody),
            "{account} may {rights:?} and should be able to do nothing"
        );
    }
    Ok(())
}

/// All that an account may do in its namespace, as `kubectl auth can-i --list` asks.
async fn rules(world: &World, place: &str, account: &str) -> Result<Vec<ResourceRule>> {
    let body = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "metadata": {}, "spec": {"namespace": place},
    });
    let user = format!("system:serviceaccount:{place}:{account}");
    let mut request = http::Request::post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews")
        .header("Content-Type", "application/json")
        .header("Impersonate-User", &user);
    for group in groups(&user) {
        request = request.header("Impersonate-Group", group);
    }
    let request = request.body(serde_json::to_vec(&body)?)?;
    let review: SelfSubjectRulesReview = world.cluster.client.request(request).await?;
    let status = review.status.context("an answer")?;
    ensure!(
        !status.incomplete,
        "the API server does not know all rights of {account}: {:?}",
        status.evaluation_error
    );
    Ok(status.resource_rules)
}

fn words(rules: &[ResourceRule]) -> BTreeSet<String> {
    rules.iter().map(|rule| format!("{rule:?}")).collect()
}
