//! The chart's alerts: rules that Prometheus takes, that fire on a pipeline that is not well and are silent on one that is. Touches no network.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::process::Command;

use super::helm::{Helm, Render, find};
use crate::cache;
use crate::run;

/// Where the tests say that the pages of alarms are read.
const PAGES: &str = "https://alarms.example/alarms.md";
/// Files with tests of the rules, beside each other in a folder of `e2e/local`. In the first of them nothing fires.
const TESTS: [&str; 3] = ["healthy.yaml", "failing.yaml", "weeks.yaml"];

pub async fn check(helm: &Helm, operator: &Path, promtool: &Path) -> Result<()> {
    let values = json!({"metrics": {"prometheusRule": {"enabled": true, "alarmPages": PAGES}}});
    let objects = helm.objects(&Render::new(operator, values)).await?;
    let rules = &find(&objects, "PrometheusRule", "medallion-operator")?["spec"];
    let folder = helm.home.with_file_name("rules");
    cache::clear(&folder)?;
    fs::create_dir_all(&folder)?;
    // What is YAML's may be JSON.
    fs::write(folder.join("rules.yaml"), rules.to_string())?;
    let root = operator.join("../..");
    let mut texts = Vec::new();
    for test in TESTS {
        let from = root.join("e2e/local/rules").join(test);
        let text = fs::read_to_string(&from).with_context(|| from.display().to_string())?;
        fs::write(folder.join(test), &text)?;
        texts.push(text);
    }
    untested(rules, &texts[1..].concat())?;
    pages(rules, &fs::read_to_string(root.join("docs/alarms.md"))?)?;
    run::output(promtool_of(promtool, &folder).args(["check", "rules", "rules.yaml"])).await?;
    run::output(promtool_of(promtool, &folder).args(["test", "rules"]).args(TESTS)).await?;
    println!(
        "promtool: {} alerts, each seen to fire and to be silent",
        names(rules).len()
    );
    cache::clear(&folder)
}

fn promtool_of(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    command
}

/// The rules of all groups.
fn all(rules: &Value) -> impl Iterator<Item = &Value> {
    let groups = rules["groups"].as_array().into_iter().flatten();
    groups.flat_map(|group| group["rules"].as_array().into_iter().flatten())
}

fn names(rules: &Value) -> BTreeSet<&str> {
    all(rules).filter_map(|rule| rule["alert"].as_str()).collect()
}

/// An alert that no test has seen fire may as well not be there.
fn untested(rules: &Value, fired: &str) -> Result<()> {
    let names = names(rules);
    ensure!(!names.is_empty(), "there are no alerts");
    let never: Vec<_> = names
        .iter()
        .filter(|name| !fired.contains(&format!("alertname=\"{name}\"")))
        .collect();
    ensure!(
        never.is_empty(),
        "no test in e2e/local/rules sees these fire: {never:?}"
    );
    Ok(())
}

/// Each alert leads to a heading, as the page's reader makes anchors of headings.
fn pages(rules: &Value, alarms: &str) -> Result<()> {
    let anchors: BTreeSet<_> = alarms
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(str::to_lowercase)
        .collect();
    for rule in all(rules) {
        let address = rule["annotations"]["runbook_url"].as_str().unwrap_or_default();
        let anchor = address.strip_prefix(PAGES).and_then(|rest| rest.strip_prefix('#'));
        ensure!(
            anchor.is_some_and(|anchor| anchors.contains(anchor)),
            "{} leads to {address:?}, and docs/alarms.md has no such heading",
            rule["alert"]
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(alert: &str, page: &str) -> Value {
        let annotations = json!({"runbook_url": format!("{PAGES}#{page}")});
        json!({"groups": [{"rules": [{"alert": alert, "annotations": annotations}]}]})
    }

    #[test]
    fn an_alert_that_no_test_sees_fire_is_named() {
        let fired = r#"{labels: 'ALERTS{alertname="A", severity="warning"}', value: 1}"#;
        assert!(untested(&rules("A", "a"), fired).is_ok());
        let error = untested(&rules("B", "a"), fired).unwrap_err().to_string();
        assert!(error.contains("\"B\""), "{error}");
        assert!(untested(&json!({"groups": []}), fired).is_err());
    }

    #[test]
    fn an_alert_without_a_page_is_named() {
        let alarms = "# Alarms\n\n### StageAge\n\nSomething waits.\n";
        assert!(pages(&rules("A", "stageage"), alarms).is_ok());
        let error = pages(&rules("A", "stage-age"), alarms).unwrap_err().to_string();
        assert!(error.contains("stage-age"), "{error}");
    }
}
