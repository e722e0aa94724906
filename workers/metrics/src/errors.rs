//! Counts the lines of level ERROR that a program writes: each asks for a person. No network.

use std::sync::LazyLock;

use prometheus_client::metrics::counter::Counter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// A process has one log.
static ERRORS: LazyLock<Counter> = LazyLock::new(Counter::default);

/// The lines of level ERROR so far, to be registered.
pub fn errors() -> Counter {
    ERRORS.clone()
}

/// Counts what is written; it goes on top of what writes, whose filter holds for it too.
#[derive(Clone, Copy, Debug)]
pub struct CountErrors;

impl<S: Subscriber> Layer<S> for CountErrors {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == Level::ERROR {
            ERRORS.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn what_is_an_error_and_is_written_is_counted() {
        let log = tracing_subscriber::fmt()
            .with_env_filter("info,quiet=off")
            .with_writer(std::io::sink)
            .finish()
            .with(CountErrors);
        let before = errors().get();
        tracing::subscriber::with_default(log, || {
            tracing::error!("one");
            tracing::warn!("it heals");
            tracing::error!(target: "quiet", "nobody reads it");
            tracing::error!("two");
        });
        assert_eq!(errors().get() - before, 2);
    }
}
