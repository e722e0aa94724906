//! Lines as CloudWatch takes them: its format, its limits, and figures that add up. No network.

use std::collections::BTreeSet;

use medallion_metrics::Embedder;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use serde_json::Value;

const SCHEMA: &str = include_str!("format.schema.json");
/// What CloudWatch Logs takes as one event.
const LONGEST: usize = 256 * 1024;
const NOW: i64 = 1_767_225_600_000;

/// A consumer's metrics.
struct Consumer {
    registry: Registry,
    records: Family<Vec<(&'static str, &'static str)>, Counter>,
    put_seconds: Histogram,
    lag: Gauge,
}

impl Consumer {
    fn new() -> Self {
        let mut registry = Registry::with_prefix("medallion");
        let records = Family::<Vec<(&'static str, &'static str)>, Counter>::default();
        let lag: Gauge = Gauge::default();
        let put_seconds = Histogram::new([0.001, 0.5]);
        registry.register("consumer_records", "Records", records.clone());
        registry.register("consumer_put_seconds", "Seconds", put_seconds.clone());
        registry.register("consumer_lag_records", "Records", lag.clone());
        let committed = Family::<Vec<(&str, &str)>, Gauge>::default();
        committed.get_or_create(&vec![("partition", "7")]).set(1);
        registry.register("consumer_committed_offset", "Offset by partition", committed);
        Self {
            registry,
            records,
            put_seconds,
            lag,
        }
    }

    fn record(&self, fate: &'static str, class: &'static str) {
        self.records
            .get_or_create(&vec![("fate", fate), ("class", class)])
            .inc();
    }

    /// The lines of now, each of them right as CloudWatch sees it.
    fn lines(&self, embedder: &mut Embedder) -> Vec<Value> {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("texts take what is written");
        let lines = embedder.lines(&text, NOW);
        lines.iter().map(|line| checked(line)).collect()
    }
}

/// A line that is right, read.
fn checked(line: &str) -> Value {
    assert!(line.len() <= LONGEST && !line.contains('\n'), "{line}");
    let read: Value = serde_json::from_str(line).expect("a line is JSON");
    let schema = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    let wrong: Vec<_> = validator.iter_errors(&read).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?}: {line}");
    let directive = &read["_aws"]["CloudWatchMetrics"][0];
    for dimension in texts(&directive["Dimensions"][0]) {
        assert!(
            read[&dimension].is_string(),
            "the dimension {dimension} has no value: {line}"
        );
    }
    for metric in directive["Metrics"].as_array().expect("metrics are a list") {
        let figure = &read[metric["Name"].as_str().expect("a metric has a name")];
        let spread = figure["Values"].as_array().map(Vec::len);
        assert!(
            figure.is_number() || spread == figure["Counts"].as_array().map(Vec::len),
            "{line}"
        );
    }
    read
}

fn texts(array: &Value) -> BTreeSet<String> {
    let texts = array.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

fn embedder() -> Embedder {
    let dimensions = [("namespace", "shop"), ("pipeline", "orders"), ("stage", "persist")];
    Embedder::new(
        "consumer",
        dimensions.map(|(name, value)| (name, value.to_owned())).to_vec(),
    )
}

/// The only line that has a metric.
fn with<'l>(lines: &'l [Value], metric: &str) -> &'l Value {
    let mut found = lines.iter().filter(|line| line.get(metric).is_some());
    let line = found.next().unwrap_or_else(|| panic!("no {metric}: {lines:#?}"));
    assert_eq!(found.next(), None, "{metric} twice");
    line
}

#[test]
fn a_gauge_has_the_dimensions_that_alarms_ask_for() {
    let consumer = Consumer::new();
    consumer.lag.set(12);
    let lines = consumer.lines(&mut embedder());
    let line = with(&lines, "medallion_consumer_lag_records");
    assert_eq!(line["medallion_consumer_lag_records"], 12.0);
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Namespace"], medallion_metrics::NAMESPACE);
    let dimensions = BTreeSet::from(["namespace", "pipeline", "stage"].map(str::to_owned));
    assert_eq!(texts(&directive["Dimensions"][0]), dimensions);
    assert_eq!(line["pipeline"], "orders");
    assert_eq!(line["program"], "consumer");
    assert_eq!(line["_aws"]["Timestamp"], NOW);
}

#[test]
fn counters_are_told_as_what_came_since() {
    let (consumer, mut embedder) = (Consumer::new(), embedder());
    consumer.record("stored", "");
    consumer.record("stored", "");
    consumer.record("dead_lettered", "Contract");
    let lines = consumer.lines(&mut embedder);
    let of = |lines: &[Value], fate: &str| {
        let line = lines.iter().find(|line| line["fate"] == fate).unwrap();
        (
            line["medallion_consumer_records_total"].clone(),
            line.get("class").cloned(),
        )
    };
    assert_eq!(
        of(&lines, "stored"),
        (Value::from(2.0), None),
        "an empty label is no dimension"
    );
    assert_eq!(
        of(&lines, "dead_lettered"),
        (Value::from(1.0), Some(Value::from("Contract")))
    );
    consumer.record("stored", "");
    let lines = consumer.lines(&mut embedder);
    assert_eq!(of(&lines, "stored").0, 1.0);
    assert_eq!(of(&lines, "dead_lettered").0, 0.0, "nothing came, and that is known");
}

#[test]
fn a_histogram_is_told_as_values_and_how_often_they_came_since() {
    let (consumer, mut embedder) = (Consumer::new(), embedder());
    for seconds in [0.0001, 0.2, 0.3, 60.0] {
        consumer.put_seconds.observe(seconds);
    }
    let name = "medallion_consumer_put_seconds";
    let lines = consumer.lines(&mut embedder);
    let spread = &with(&lines, name)[name];
    // Beyond the last bound there is no number, so it is told as at the bound; what one bound is told as twice adds up.
    assert_eq!(spread["Values"], serde_json::json!([0.001, 0.5, 0.5]));
    assert_eq!(spread["Counts"], serde_json::json!([1.0, 2.0, 1.0]));
    let lines = consumer.lines(&mut embedder);
    assert!(
        lines.iter().all(|line| line.get(name).is_none()),
        "nothing came: {lines:#?}"
    );
    consumer.put_seconds.observe(0.4);
    let lines = consumer.lines(&mut embedder);
    let spread = &with(&lines, name)[name];
    assert_eq!(spread["Counts"], serde_json::json!([1.0]));
}

#[test]
fn what_has_no_end_of_labels_is_not_told() {
    let lines = Consumer::new().lines(&mut embedder());
    assert!(lines.iter().all(|line| line.get("partition").is_none()), "{lines:#?}");
}

#[test]
fn a_line_is_no_line_of_the_log() {
    let consumer = Consumer::new();
    consumer.record("stored", "");
    for line in consumer.lines(&mut embedder()) {
        for field in ["level", "message", "worker"] {
            assert_eq!(line.get(field), None, "metric filters look at it");
        }
    }
}
