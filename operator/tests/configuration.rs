//! The configuration that the chart renders is one that the operator reads, with every value set. No network.

use medallion_plan::OperatorConfig;
use serde_json::Value;

/// What the chart renders from values that are all set; the charts' checks compare it with what is rendered now.
const RENDERED: &str = include_str!("data/config.json");

#[test]
fn the_operator_reads_what_the_chart_renders() {
    let config: OperatorConfig = serde_saphyr::from_str(RENDERED).expect("a configuration");
    let read = serde_json::to_value(&config).expect("JSON");
    let rendered = serde_json::from_str(RENDERED).expect("JSON");
    let mut lost = Vec::new();
    compare("", &rendered, &read, &mut lost);
    assert!(lost.is_empty(), "not read: {lost:#?}");
}

/// What was read may say more, the defaults, and must say no less. What is empty says nothing.
fn compare(path: &str, rendered: &Value, read: &Value, lost: &mut Vec<String>) {
    match rendered {
        Value::Object(fields) => {
            for (name, value) in fields {
                compare(&format!("{path}.{name}"), value, &read[name], lost);
            }
        }
        Value::Array(values) if values.is_empty() => {}
        _ if rendered == read => {}
        _ => lost.push(format!("{path}: {rendered} is {read}")),
    }
}
