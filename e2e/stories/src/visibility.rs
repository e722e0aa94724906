//! When events became visible in the warehouse: a sampler that looks at the orders while data flows. Touches PostgreSQL.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use tokio::task::JoinHandle;

use crate::stack::Stack;
use crate::warehouse::{Warehouse, quoted};

/// How often the sampler looks: what it says is late by at most this.
pub const PERIOD: Duration = Duration::from_millis(500);

type Lines = HashMap<String, i64>;

/// Lines of each order at a time.
#[derive(Clone, Debug)]
struct Sample {
    time: Timestamp,
    lines: Lines,
}

/// Looks in the background until it is dropped.
pub struct Sampler {
    samples: Arc<Mutex<Vec<Sample>>>,
    task: JoinHandle<()>,
}

impl Sampler {
    /// The first sample is taken before this returns: what is visible already is not new.
    pub async fn start(stack: &Stack, schema: &str) -> Result<Self> {
        let warehouse = Warehouse::connect(stack).await?;
        let schema = schema.to_owned();
        let samples = Arc::new(Mutex::new(vec![Sample {
            time: Timestamp::now(),
            lines: look(&warehouse, &schema).await?,
        }]));
        let kept = samples.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(PERIOD).await;
                // The store may be killed while a story runs; the next look goes on.
                let Ok(lines) = look(&warehouse, &schema).await else {
                    continue;
                };
                let mut samples = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if samples.last().is_none_or(|last| last.lines != lines) {
                    samples.push(Sample {
                        time: Timestamp::now(),
                        lines,
                    });
                }
            }
        });
        Ok(Self { samples, task })
    }

    /// Lines in the warehouse now.
    pub fn lines(&self) -> i64 {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.last().map_or(0, |last| last.lines.values().sum())
    }

    /// For each order the times at which its lines were accepted, against the times at which as many were seen: the
    /// delays in seconds, sorted, and the time of the last change.
    pub fn delays(&self, accepted: &BTreeMap<String, Vec<Timestamp>>) -> (Vec<f64>, Option<Timestamp>) {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        delays(&samples, accepted)
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(warehouse: &Warehouse, schema: &str) -> Result<Lines> {
    if !warehouse.has_table(schema, "orders").await? {
        return Ok(Lines::new());
    }
    let query = format!(
        "SELECT order_number, sum(line_count)::bigint FROM {}.orders GROUP BY 1",
        quoted(schema)
    );
    let rows = warehouse.client().query(&query, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

fn delays(samples: &[Sample], accepted: &BTreeMap<String, Vec<Timestamp>>) -> (Vec<f64>, Option<Timestamp>) {
    let mut delays = Vec::new();
    let mut last = None;
    for (order, times) in accepted {
        let mut times = times.clone();
        times.sort();
        let seen = |sample: &Sample| usize::try_from(sample.lines.get(order).copied().unwrap_or(0)).unwrap_or(0);
        let mut visible = samples.first().map_or(0, &seen);
        for sample in samples.iter().skip(1) {
            let now = seen(sample).min(times.len());
            for time in times.iter().take(now).skip(visible) {
                delays.push((sample.time - *time).total(jiff::Unit::Second).unwrap_or_default());
                last = last.max(Some(sample.time));
            }
            visible = visible.max(now);
        }
    }
    delays.sort_by(f64::total_cmp);
    (delays, last)
}

/// The value that a part of all values does not exceed.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    let index = ((sorted.len().saturating_sub(1)) as f64 * part).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_visible_when_as_many_lines_are() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let sample = |second, lines| Sample {
            time: at(second),
            lines: [("1".to_owned(), lines)].into(),
        };
        let samples = [sample(100, 1), sample(110, 2), sample(120, 4)];
        let accepted = [("1".to_owned(), vec![at(90), at(105), at(106), at(107)])].into();
        let (delays, last) = delays(&samples, &accepted);
        assert_eq!(delays, [5.0, 13.0, 14.0], "the first line was there before");
        assert_eq!(last, Some(at(120)));
        assert!((quantile(&delays, 0.5) - 13.0).abs() < f64::EPSILON);
    }
}
