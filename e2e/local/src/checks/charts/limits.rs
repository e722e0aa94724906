//! The limits of namespaces: the admission policy says what the operator's configuration says. Touches no network.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::helm::{Helm, Render, find};
use super::values;

/// The kind, as a cluster names it among what it has.
pub const POLICY: &str = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy";
const NAME: &str = "medallion-operator.medallion-system";

pub async fn check(helm: &Helm, operator: &Path) -> Result<()> {
    let limits = json!([
        {"namespaces": ["shop", "team-*"], "topics": ["a.b*"], "brokers": ["kafka:9092"]},
        {"namespaces": ["*"], "buckets": []},
    ]);
    let given = |more: Value| {
        let mut values = json!({"limits": limits});
        if let (Some(values), Some(more)) = (values.as_object_mut(), more.as_object()) {
            values.extend(more.clone());
        }
        Render::new(operator, values)
    };
    let objects = helm
        .objects(&Render {
            kinds: &[POLICY],
            ..given(json!({}))
        })
        .await?;
    ensure!(
        values::config(&objects)?["limits"] == limits,
        "the operator is not told the limits"
    );
    let policy = find(&objects, "ValidatingAdmissionPolicy", NAME)?;
    let rules = policy["spec"]["validations"]
        .as_array()
        .context("no rules")?
        .iter()
        .filter_map(|rule| rule["expression"].as_str())
        .filter(|rule| rule.contains("entry"))
        .collect::<Vec<_>>();
    ensure!(
        rules
            == [
                "variables.specStands || variables.entry >= 0",
                r#"variables.specStands || variables.entry != 0 || variables.brokers.all(name, name.matches("^(kafka:9092)$"))"#,
                r#"variables.specStands || variables.entry != 0 || variables.topics.all(name, name.matches("^(a\\.b.*)$"))"#,
                r#"variables.specStands || variables.entry != 1 || variables.buckets.all(name, name.matches("^()$"))"#,
            ],
        "the rules are others: {rules:#?}"
    );
    annotations(policy)?;
    let entry = policy["spec"]["variables"]
        .as_array()
        .context("no variables")?
        .iter()
        .find(|variable| variable["name"] == "entry");
    ensure!(
        entry.is_some_and(|entry| entry["expression"]
            == r#"object.metadata.namespace.matches("^(shop|team-.*)$") ? 0 : object.metadata.namespace.matches("^(.*)$") ? 1 : -1"#),
        "the first entry that matches must hold: {entry:?}"
    );
    let binding = find(&objects, "ValidatingAdmissionPolicyBinding", NAME)?;
    ensure!(binding["spec"]["policyName"] == NAME, "{binding}");

    // Where the cluster does not have the kind, the operator alone refuses, unless it is asked for all the same.
    let without = helm.objects(&given(json!({}))).await?;
    ensure!(
        find(&without, "ValidatingAdmissionPolicy", NAME).is_err(),
        "a kind that the cluster does not have"
    );
    let forced = helm
        .objects(&given(json!({"admissionPolicy": {"force": true}})))
        .await?;
    find(&forced, "ValidatingAdmissionPolicy", NAME)?;
    Ok(())
}

/// A long annotation that stood before the policy must not keep the garbage collector from deleting the Pipeline.
fn annotations(policy: &Value) -> Result<()> {
    for annotation in ["medallion.dev/requested-at", "medallion.dev/adopt"] {
        let key = format!("{annotation:?}");
        let rules = policy["spec"]["validations"].as_array().into_iter().flatten();
        let mut rules = rules.filter_map(|rule| rule["expression"].as_str());
        let rule = rules
            .find(|rule| rule.contains(&key))
            .with_context(|| format!("no rule for {annotation}"))?;
        let unchanged = format!("variables.annotations[{key}] == variables.annotationsBefore[{key}]");
        ensure!(
            rule.starts_with("has(object.metadata.deletionTimestamp) || ") && rule.contains(&unchanged),
            "{rule}"
        );
    }
    Ok(())
}
