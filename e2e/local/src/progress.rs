//! Shows what is going on and for how long: bars on a terminal, plain timed lines without one. Touches no network.

use std::future::Future;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::tail::last_lines;

const HEARTBEAT: Duration = Duration::from_secs(15);
/// Of what a step says, one line has room for so much.
const LONGEST: usize = 100;
const REDRAW: Duration = Duration::from_millis(200);

/// All steps of one command.
#[derive(Clone)]
pub struct Progress {
    bars: Option<MultiProgress>,
    begun: Instant,
}

/// One step under way; clones are the same step.
#[derive(Clone)]
pub struct Step(Arc<Inner>);

struct Inner {
    name: String,
    bar: Option<ProgressBar>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    saying: String,
    log: Option<PathBuf>,
}

impl Progress {
    pub fn new() -> Self {
        Self {
            bars: std::io::stderr().is_terminal().then(MultiProgress::new),
            begun: Instant::now(),
        }
    }

    /// A line that stays.
    pub fn line(&self, text: impl AsRef<str>) {
        let stamped = format!("[{:>6.1}s] {}", self.begun.elapsed().as_secs_f64(), text.as_ref());
        match &self.bars {
            Some(bars) => bars.suspend(|| eprintln!("{stamped}")),
            None => eprintln!("{stamped}"),
        }
    }

    /// Runs one step and shows it from its first moment to its end.
    pub async fn step<T, F>(&self, name: impl Into<String>, work: impl FnOnce(Step) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let name = name.into();
        let begun = Instant::now();
        let bar = self.bars.as_ref().map(|bars| {
            let style = ProgressStyle::with_template("{spinner} {prefix:<34.bold} {elapsed:>5} {wide_msg:.dim}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = bars.add(ProgressBar::new_spinner().with_style(style).with_prefix(name.clone()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            self.line(format!("{name} ..."));
        }
        let step = Step(Arc::new(Inner {
            name: name.clone(),
            bar,
            notes: Mutex::default(),
        }));
        let mut work = std::pin::pin!(work(step.clone()));
        let mut next = tokio::time::interval(if step.0.bar.is_some() { REDRAW } else { HEARTBEAT });
        next.tick().await;
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                _ = next.tick() => self.beat(&step, begun),
            }
        };
        if let Some(bar) = &step.0.bar {
            bar.finish_and_clear();
        }
        let took = begun.elapsed().as_secs_f64();
        match &result {
            Ok(_) => self.line(format!("{name}: done in {took:.1} s")),
            Err(_) => self.line(format!("{name}: FAILED after {took:.1} s")),
        }
        result
    }

    /// Runs something usually instant; it is shown only if it takes long.
    pub async fn quiet_step<T, F>(&self, work: impl FnOnce(Step) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let step = Step(Arc::new(Inner {
            name: "waiting".to_owned(),
            bar: None,
            notes: Mutex::default(),
        }));
        let begun = Instant::now();
        let mut work = std::pin::pin!(work(step.clone()));
        let mut next = tokio::time::interval(HEARTBEAT / 5);
        next.tick().await;
        loop {
            tokio::select! {
                result = &mut work => return result,
                _ = next.tick() => self.beat(&step, begun),
            }
        }
    }

    fn beat(&self, step: &Step, begun: Instant) {
        let saying = step.saying();
        if let Some(bar) = &step.0.bar {
            bar.set_message(saying);
        } else {
            let so_far = begun.elapsed().as_secs();
            self.line(format!("{}: {so_far} s so far  {saying}", step.0.name));
        }
    }
}

impl Step {
    /// What the step is doing now.
    pub fn say(&self, text: impl Into<String>) {
        let mut notes = self.0.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.saying = text.into();
        notes.log = None;
    }

    /// From now on the last line of this log says what the step is doing.
    pub fn follow(&self, log: &Path) {
        let mut notes = self.0.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.log = Some(log.to_path_buf());
    }

    fn saying(&self) -> String {
        let notes = self.0.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let saying = match &notes.log {
            Some(log) => last_lines(log, 1),
            None => notes.saying.clone(),
        };
        saying.chars().take(LONGEST).collect()
    }
}
