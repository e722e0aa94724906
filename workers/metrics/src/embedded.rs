//! Turns a program's metrics into lines of CloudWatch's embedded metric format. No network.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::exposition::{Kind, Labels, Sample, samples};
use crate::told::{NAMESPACE, unit};

/// Makes the lines of one program; knows what it has told before, because CloudWatch adds up what it is told.
#[derive(Debug)]
pub struct Embedder {
    dimensions: Vec<(&'static str, String)>,
    program: &'static str,
    counted: BTreeMap<(String, Labels), f64>,
}

/// What one metric comes to in a line.
enum Figure {
    One(f64),
    /// Values, and how often each was seen since the last line.
    Spread(Vec<f64>, Vec<f64>),
}

/// A metric in a line: its figure and its unit.
type Metrics = BTreeMap<String, (Figure, &'static str)>;

/// How far the buckets of a histogram have been read.
#[derive(Default)]
struct Read {
    /// Seen in them since the last line.
    seen: f64,
    /// The upper bound of the last one.
    bound: f64,
}

impl Embedder {
    /// Lines of the program of this name, its metrics under these dimensions beside their own labels. None of them is empty.
    pub fn new(program: &'static str, dimensions: Vec<(&'static str, String)>) -> Self {
        Self {
            dimensions,
            program,
            counted: BTreeMap::new(),
        }
    }

    /// The lines for a text in the OpenMetrics format at a moment, in milliseconds of the epoch: one for each set of labels. Counters
    /// and histograms are told as what came to them since the last time, gauges as they are.
    pub fn lines(&mut self, text: &str, milliseconds: i64) -> Vec<String> {
        let mut sets: BTreeMap<Labels, Metrics> = BTreeMap::new();
        let mut buckets: BTreeMap<(&str, Labels), Read> = BTreeMap::new();
        for sample in samples(text) {
            let Some(unit) = unit(sample.family).filter(|_| sample.value.is_finite()) else {
                continue;
            };
            let labels = dimensions_of(&sample.labels);
            let metrics = sets.entry(labels.clone()).or_default();
            match sample.kind {
                Kind::Gauge => {
                    metrics.insert(sample.name.to_owned(), (Figure::One(sample.value), unit));
                }
                Kind::Counter => {
                    let figure = Figure::One(self.since_last(&sample));
                    metrics.insert(sample.name.to_owned(), (figure, unit));
                }
                Kind::Histogram => {
                    let Some(bound) = sample.labels.get("le").and_then(|bound| bound.parse::<f64>().ok()) else {
                        continue;
                    };
                    let read = buckets.entry((sample.family, labels)).or_default();
                    let up_to_here = self.since_last(&sample);
                    // What is beyond the last bound is told as if it were at it: there is no number for endless.
                    read.bound = if bound.is_finite() { bound } else { read.bound };
                    let count = up_to_here - read.seen;
                    read.seen = up_to_here;
                    if count > 0.0 {
                        spread(metrics, sample.family, unit, read.bound, count);
                    }
                }
            }
        }
        sets.into_iter()
            .filter(|(_, metrics)| !metrics.is_empty())
            .map(|(labels, metrics)| self.line(labels, metrics, milliseconds))
            .collect()
    }

    /// What came to a sample that only grows, and remembers where it stands.
    fn since_last(&mut self, sample: &Sample<'_>) -> f64 {
        let series = (sample.name.to_owned(), sample.labels.clone());
        let before = self.counted.insert(series, sample.value).unwrap_or_default();
        (sample.value - before).max(0.0)
    }

    fn line(&self, labels: Labels, metrics: Metrics, milliseconds: i64) -> String {
        let own = self
            .dimensions
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let dimensions: Vec<(String, String)> = own.chain(labels).collect();
        let names: Vec<&str> = dimensions.iter().map(|(name, _)| name.as_str()).collect();
        let units: Vec<Value> = metrics
            .iter()
            .map(|(name, (_, unit))| json!({"Name": name, "Unit": unit}))
            .collect();
        let directive = json!({"Namespace": NAMESPACE, "Dimensions": [names], "Metrics": units});
        let about = json!({"Timestamp": milliseconds, "CloudWatchMetrics": [directive]});
        let mut line = Map::from_iter([("_aws".to_owned(), about), ("program".to_owned(), json!(self.program))]);
        line.extend(dimensions.into_iter().map(|(name, value)| (name, json!(value))));
        line.extend(metrics.into_iter().map(|(name, (figure, _))| (name, figure.value())));
        Value::Object(line).to_string()
    }
}

impl Figure {
    fn value(self) -> Value {
        match self {
            Self::One(value) => json!(value),
            Self::Spread(values, counts) => json!({"Values": values, "Counts": counts}),
        }
    }
}

fn spread(metrics: &mut Metrics, family: &str, unit: &'static str, value: f64, count: f64) {
    let (figure, _) = metrics
        .entry(family.to_owned())
        .or_insert_with(|| (Figure::Spread(Vec::new(), Vec::new()), unit));
    if let Figure::Spread(values, counts) = figure {
        values.push(value);
        counts.push(count);
    }
}

/// A label without a value says nothing, and CloudWatch takes no such dimension.
fn dimensions_of(labels: &Labels) -> Labels {
    labels
        .iter()
        .filter(|(name, value)| name.as_str() != "le" && !value.trim().is_empty())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
