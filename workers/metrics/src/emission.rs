//! Writes a program's metrics among its log lines once a minute, where CloudWatch finds them. Writes to standard output.

use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinHandle;

use crate::embedded::Embedder;

/// Alarms look at minutes.
const EVERY: Duration = Duration::from_mins(1);

/// The metrics are written until this is ended.
#[must_use]
pub struct Emission {
    task: JoinHandle<()>,
    pen: Arc<Mutex<Pen>>,
}

struct Pen {
    embedder: Embedder,
    text: Box<dyn Fn() -> String + Send>,
    put: Box<dyn FnMut(&str) + Send>,
}

impl Emission {
    /// Begins to write what `text` gives in the OpenMetrics format; for the first time in a minute, when something is known.
    pub fn begin(embedder: Embedder, text: impl Fn() -> String + Send + 'static) -> Self {
        Self::begin_to(embedder, text, to_standard_output)
    }

    fn begin_to(
        embedder: Embedder,
        text: impl Fn() -> String + Send + 'static,
        put: impl FnMut(&str) + Send + 'static,
    ) -> Self {
        let pen = Arc::new(Mutex::new(Pen {
            embedder,
            text: Box::new(text),
            put: Box::new(put),
        }));
        let task = tokio::spawn(for_ever(pen.clone()));
        Self { task, pen }
    }

    /// Writes for the last time: what a short run has to tell, and what came since the last minute.
    pub fn end(self) {
        self.task.abort();
        write(&self.pen);
    }
}

async fn for_ever(pen: Arc<Mutex<Pen>>) {
    let mut turns = tokio::time::interval(EVERY);
    // The first comes at once.
    turns.tick().await;
    loop {
        turns.tick().await;
        write(&pen);
    }
}

fn write(pen: &Mutex<Pen>) {
    let mut pen = pen.lock().unwrap_or_else(PoisonError::into_inner);
    let Pen { embedder, text, put } = &mut *pen;
    for line in embedder.lines(&text(), Timestamp::now().as_millisecond()) {
        put(&line);
    }
}

/// A line in one piece: the log writes to the same place.
fn to_standard_output(line: &str) {
    if let Err(error) = std::io::stdout().lock().write_all(format!("{line}\n").as_bytes()) {
        tracing::warn!(%error, "metrics could not be written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE medallion_exporter_records counter\nmedallion_exporter_records_total 4\n";

    #[tokio::test(start_paused = true)]
    async fn there_is_a_line_a_minute_and_one_at_the_end() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        let put = move |line: &str| kept.lock().unwrap().push(line.to_owned());
        let embedder = Embedder::new("exporter", vec![("pipeline", "orders".to_owned())]);
        let emission = Emission::begin_to(embedder, || TEXT.to_owned(), put);
        tokio::time::sleep(EVERY / 2).await;
        assert_eq!(lines.lock().unwrap().len(), 0, "nothing is known yet");
        tokio::time::sleep(EVERY).await;
        assert_eq!(lines.lock().unwrap().len(), 1);
        tokio::time::sleep(EVERY * 2).await;
        assert_eq!(lines.lock().unwrap().len(), 3);
        emission.end();
        tokio::time::sleep(EVERY * 2).await;
        let lines = lines.lock().unwrap();
        assert_eq!(lines.len(), 4, "and none after that");
        assert!(
            lines[0].contains(r#""medallion_exporter_records_total":4.0"#),
            "{lines:?}"
        );
        assert!(
            lines[3].contains(r#""medallion_exporter_records_total":0.0"#),
            "{lines:?}"
        );
    }
}
