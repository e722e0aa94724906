//! Shows what is going on: a bar with time on a terminal, plain lines without one. Touches no network.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Without a terminal a step says at most this often how it is getting on.
const QUIET: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub struct Progress {
    bars: Option<MultiProgress>,
    begun: Instant,
    /// Stands before everything that is said, where several do something at once.
    whose: String,
}

impl Default for Progress {
    fn default() -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self {
            bars,
            begun: Instant::now(),
            whose: String::new(),
        }
    }
}

impl Progress {
    /// The same display for one of several that do something at once.
    #[must_use]
    pub fn of(&self, name: &str) -> Self {
        Self {
            whose: format!("{name}: "),
            ..self.clone()
        }
    }

    /// A line that stays.
    pub fn line(&self, text: impl AsRef<str>) {
        let text = format!("{}{}", self.whose, text.as_ref());
        match &self.bars {
            Some(bars) => bars.suspend(|| println!("{text}")),
            None => println!("{} {text}", self.clock()),
        }
    }

    /// Begins something that takes a while.
    pub fn step(&self, what: impl Into<String>) -> Step {
        let what = what.into();
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {prefix} {msg:.dim}") {
                bar.set_style(style);
            }
            bar.set_prefix(format!("{}{what}", self.whose));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            println!("{} {}{what} ...", self.clock(), self.whose);
        }
        Step {
            progress: self.clone(),
            what,
            bar,
            begun: Instant::now(),
            said: Arc::default(),
        }
    }

    fn clock(&self) -> String {
        format!("[{:>4}s]", self.begun.elapsed().as_secs())
    }
}

/// Something under way. Dropped without [`Step::done`] it has failed, and what failed says why.
pub struct Step {
    progress: Progress,
    what: String,
    bar: Option<ProgressBar>,
    begun: Instant,
    said: Arc<Mutex<Said>>,
}

#[derive(Default)]
struct Said {
    text: String,
    at: Option<Instant>,
}

impl Step {
    /// How it is getting on.
    pub fn say(&self, text: impl Into<String>) {
        let text = text.into();
        if let Some(bar) = &self.bar {
            bar.set_message(text);
            return;
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.text != text && said.at.is_none_or(|at| at.elapsed() >= QUIET) {
            println!(
                "{} {}{}: {text} ({} s)",
                self.progress.clock(),
                self.progress.whose,
                self.what,
                self.begun.elapsed().as_secs()
            );
            *said = Said {
                text,
                at: Some(Instant::now()),
            };
        }
    }

    pub fn done(self, text: impl AsRef<str>) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let text = text.as_ref();
        let colon = if text.is_empty() { "" } else { ": " };
        self.progress.line(format!(
            "{}{colon}{text} ({:.1} s)",
            self.what,
            self.begun.elapsed().as_secs_f64()
        ));
    }

    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
