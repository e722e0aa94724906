//! How long the parts of a run took: an artifact and a metric. No network.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

use crate::metrics::RunMetrics;
use crate::protocol::Took;

/// The parts of a run that have ended, in the order in which they did; what is done more than once is added up.
#[derive(Debug, Default)]
pub struct Timing(Mutex<Vec<Took>>);

#[derive(Serialize)]
struct Steps<'s> {
    steps: &'s [Took],
}

impl Timing {
    /// Notes a part that began at a moment and ends now.
    pub fn ended(&self, metrics: &RunMetrics, name: impl Into<String>, begun: Instant) {
        self.note(
            metrics,
            Took {
                name: name.into(),
                seconds: begun.elapsed().as_secs_f64(),
            },
        );
    }

    /// Notes what the dbt process has measured itself; the prefix says what kind of thing took so long.
    pub fn reported(&self, metrics: &RunMetrics, prefix: &str, all: Vec<Took>) {
        for took in all {
            let name = format!("{prefix} {}", took.name);
            self.note(metrics, Took { name, ..took });
        }
    }

    fn note(&self, metrics: &RunMetrics, took: Took) {
        metrics.seconds.add(&took.name, took.seconds);
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match steps.iter_mut().find(|step| step.name == took.name) {
            Some(step) => step.seconds += took.seconds,
            None => steps.push(took),
        }
    }

    /// As it is kept beside the tables.
    pub fn to_json(&self) -> String {
        let steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::to_string(&Steps { steps: &steps }).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use worker_kit::Metrics;

    use super::*;

    #[test]
    fn each_part_is_an_entry_and_a_metric() {
        let (all, timing) = (Metrics::default(), Timing::default());
        let metrics = RunMetrics::new(&all);
        let took = Took {
            name: "orders".to_owned(),
            seconds: 1.5,
        };
        timing.reported(&metrics, "node", vec![took.clone()]);
        timing.reported(&metrics, "node", vec![took]);
        timing.ended(&metrics, "reading the logs", Instant::now());
        let kept: serde_json::Value = serde_json::from_str(&timing.to_json()).expect("json");
        assert_eq!(
            kept["steps"][0],
            serde_json::json!({"name": "node orders", "seconds": 3.0})
        );
        assert_eq!(kept["steps"][1]["name"], "reading the logs");
        let text = all.text();
        assert!(text.contains(r#"run_step_seconds{step="node orders"} 3.0"#), "{text}");
    }
}
