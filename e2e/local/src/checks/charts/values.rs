//! Values: every one has a default when it is null or missing, and what is rendered from them says what they say. Touches no network.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value, json};

use super::everything::everything;
use super::helm::{Helm, Render, find, identity};

/// Maps that are the user's own: a key that is null there is taken out.
const WHOLE: [&str; 2] = ["resources", "sizes"];

pub async fn check(helm: &Helm, operator: &Path) -> Result<()> {
    nulls(helm, operator).await?;
    contents(helm, operator).await?;
    labels(helm, operator).await
}

/// `--set x=null`, and `--reuse-values` from a release that did not know `x` yet.
async fn nulls(helm: &Helm, operator: &Path) -> Result<()> {
    let shipped: Value = serde_saphyr::from_str(&fs::read_to_string(operator.join("values.yaml"))?)?;
    let shipped = shipped.as_object().context("values.yaml is no map")?;
    let by_default = helm.text(&Render::new(operator, json!({}))).await?;
    for values in with_nulls(shipped) {
        let said = values.to_string();
        let rendered = helm
            .text(&Render::new(operator, values))
            .await
            .with_context(|| said.clone())?;
        ensure!(
            rendered == by_default,
            "{said} renders something else than the defaults"
        );
    }
    let thinned = json!({"resources": {"limits": null}, "sizes": {"large": null}});
    let objects = helm.objects(&Render::new(operator, thinned)).await?;
    let deployment = find(&objects, "Deployment", "medallion-operator")?;
    ensure!(
        deployment["spec"]["template"]["spec"]["containers"][0]["resources"]
            .get("limits")
            .is_none(),
        "limits that were taken out of resources are back"
    );
    ensure!(
        config(&objects)?["sizes"].get("large").is_none(),
        "a size that was taken out is back"
    );
    let error = helm
        .text(&Render::new(operator, json!({"sizes": {"small": null}})))
        .await
        .err()
        .context("a default size that does not exist was taken")?;
    ensure!(format!("{error:#}").contains("there is no size \"small\""), "{error:#}");
    Ok(())
}

/// The values with one null each, for every value that holds others, and one with nulls everywhere.
fn with_nulls(shipped: &Map<String, Value>) -> Vec<Value> {
    let mut all = vec![Value::Object(
        shipped.keys().map(|name| (name.clone(), Value::Null)).collect(),
    )];
    for (name, value) in shipped {
        all.push(json!({name: null}));
        if !WHOLE.contains(&name.as_str()) {
            maps_with_nulls(value, &mut |inner| all.push(json!({name: inner})));
        }
    }
    all
}

/// Gives the map with all its values null, and with one of its maps being so.
fn maps_with_nulls(value: &Value, given: &mut dyn FnMut(Value)) {
    let Some(map) = value.as_object().filter(|map| !map.is_empty()) else {
        return;
    };
    given(Value::Object(
        map.keys().map(|name| (name.clone(), Value::Null)).collect(),
    ));
    for (name, inner) in map {
        maps_with_nulls(inner, &mut |inner| given(json!({name: inner})));
    }
}

async fn contents(helm: &Helm, operator: &Path) -> Result<()> {
    let objects = helm.objects(&Render::new(operator, everything())).await?;
    for object in objects
        .iter()
        .filter(|object| !identity(object).2.starts_with("medallion-map"))
        .filter(|object| !identity(object).2.starts_with("medallion-text"))
    {
        ensure!(
            object["metadata"]["labels"]["team"] == "data",
            "commonLabels are not on {object}"
        );
    }
    // An extra object may be a map or a text; both are templates.
    for name in ["medallion-map", "medallion-text"] {
        find(&objects, "ConfigMap", name)?;
    }
    let pod = &find(&objects, "Deployment", "medallion-operator")?["spec"]["template"];
    let port = &pod["spec"]["containers"][0]["ports"][0]["containerPort"];
    let service = find(&objects, "Service", "medallion-operator-metrics")?;
    ensure!(
        service["metadata"]["annotations"]["prometheus.io/port"].as_str() == Some(port.to_string().as_str()),
        "Prometheus is sent to another port than the pod listens on: {service}"
    );
    let config = config(&objects)?;
    let known = operator.join("../../operator/tests/data/config.json");
    if config != serde_json::from_str::<Value>(&fs::read_to_string(&known)?)? {
        let rendered = helm.home.with_file_name("config.json");
        fs::write(&rendered, format!("{config:#}\n"))?;
        bail!(
            "the operator's tests read another configuration than the chart renders: copy {} over {} and run them",
            rendered.display(),
            known.display()
        );
    }
    for (worker, settings) in config["workers"].as_object().context("no workers")? {
        ensure!(
            settings["podAnnotations"]["prometheus.io/port"] == "9090",
            "{worker}: Prometheus is sent to another port than workers listen on"
        );
    }
    ensure!(
        config["sizes"]["tiny"]["resources"]["limits"]["cpu"] == "1",
        "a quantity is no text: {}",
        config["sizes"]["tiny"]
    );
    Ok(())
}

/// What is said of one object wins over what is said of all, and what selectors go by over both.
async fn labels(helm: &Helm, operator: &Path) -> Result<()> {
    let given = |value: &str| json!({"release": value, "app.kubernetes.io/name": value});
    let values = json!({
        "commonLabels": given("everywhere"),
        "podLabels": given("pod"),
        "metrics": {
            "serviceMonitor": {"enabled": true, "labels": given("service-monitor")},
            "podMonitor": {"enabled": true, "labels": given("pod-monitor")},
            "prometheusRule": {"enabled": true, "labels": given("rule")},
        },
    });
    let objects = helm.objects(&Render::new(operator, values)).await?;
    let deployment = find(&objects, "Deployment", "medallion-operator")?;
    for (object, wanted) in [
        (deployment, "everywhere"),
        (&deployment["spec"]["template"], "pod"),
        (
            find(&objects, "ServiceMonitor", "medallion-operator")?,
            "service-monitor",
        ),
        (
            find(&objects, "PodMonitor", "medallion-operator-workers")?,
            "pod-monitor",
        ),
        (find(&objects, "PrometheusRule", "medallion-operator")?, "rule"),
    ] {
        let labels = &object["metadata"]["labels"];
        ensure!(
            labels["release"] == wanted && labels["app.kubernetes.io/name"] == "medallion-operator",
            "labels of the {wanted} are not on it: {labels}"
        );
    }
    Ok(())
}

/// The operator's configuration file.
pub fn config(objects: &[Value]) -> Result<Value> {
    let map = find(objects, "ConfigMap", "medallion-operator")?;
    let text = map["data"]["config.json"].as_str().context("no config.json")?;
    Ok(serde_json::from_str(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_are_tried_at_every_map_and_not_in_those_that_are_the_users_own() {
        let shipped = json!({"a": {"b": {"c": 1}, "d": {}}, "resources": {"limits": {"cpu": 1}}});
        let tried = with_nulls(shipped.as_object().unwrap());
        assert_eq!(
            tried,
            [
                json!({"a": null, "resources": null}),
                json!({"a": null}),
                json!({"a": {"b": null, "d": null}}),
                json!({"a": {"b": {"c": null}}}),
                json!({"resources": null}),
            ]
        );
    }
}
