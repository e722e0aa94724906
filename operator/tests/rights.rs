//! What the chart lets the operator do: each right with its reason, and none that the operator does not use. No network.

use std::collections::BTreeMap;

const RULES: &str = include_str!("../../charts/medallion-operator/templates/_rules.tpl");

/// Verbs by resource, as the operator uses them. Server-side apply is patch, and create where nothing is yet.
const USED: [(&str, &str); 18] = [
    ("pipelines", "get list watch"),
    ("stageruns", "get list watch create delete"),
    ("pipelines/status", "update"),
    ("stageruns/status", "update"),
    ("pipelines/finalizers", "update"),
    ("stageruns/finalizers", "update"),
    ("deployments", "get list watch create patch delete"),
    ("jobs", "get list watch create delete"),
    ("configmaps", "get list watch create patch delete"),
    ("services", "get list watch create patch delete"),
    ("serviceaccounts", "get list watch create patch delete"),
    ("poddisruptionbudgets", "get list watch create patch delete"),
    ("pods", "list watch"),
    ("events", "list"),
    ("events.k8s.io events", "create patch"),
    ("customresourcedefinitions", "get"),
    ("namespaces", "get"),
    ("leases", "get create update list"),
];

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
    verbs: Vec<String>,
}

/// The texts between each `define` and `end`, which are plain YAML.
fn text() -> String {
    let parts = RULES.split("{{- define ").skip(1).map(|part| {
        let (_, rest) = part.split_once("-}}\n").expect("the beginning of the rules");
        let (rules, _) = rest.split_once("{{- end }}").expect("the end of the rules");
        rules
    });
    parts.collect()
}

#[test]
fn the_operator_may_do_what_it_does_and_nothing_else() {
    let rules: Vec<Rule> = serde_saphyr::from_str(&text()).expect("rules");
    let mut granted = BTreeMap::new();
    for rule in &rules {
        for resource in &rule.resources {
            let group = rule.api_groups.join(",");
            let name = if group == "events.k8s.io" {
                format!("{group} {resource}")
            } else {
                resource.clone()
            };
            let verbs = rule.verbs.join(" ");
            let all = granted
                .remove(&name)
                .map_or_else(|| verbs.clone(), |before| format!("{before} {verbs}"));
            granted.insert(name, all);
            let of_the_cluster = ["customresourcedefinitions", "namespaces"].contains(&resource.as_str());
            assert_eq!(
                !rule.resource_names.is_empty(),
                of_the_cluster,
                "{resource}: what belongs to the cluster is read by name"
            );
        }
    }
    let used: BTreeMap<_, _> = USED
        .into_iter()
        .map(|(resource, verbs)| (resource.to_owned(), verbs.to_owned()))
        .collect();
    assert_eq!(granted, used);
}

#[test]
fn each_rule_has_its_reason() {
    let mut before = "";
    for line in text().lines() {
        if line.starts_with("- apiGroups") {
            assert!(before.starts_with("# "), "no reason above {line}");
        }
        before = line;
    }
}
