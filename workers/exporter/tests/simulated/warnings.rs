//! Counts what the exporter warns of in its log. No network.
//!
//! One subscriber for the whole process, that counts by thread: with one of its own for a thread, a call site that another thread
//! reaches first is taken for switched off everywhere.

use std::cell::Cell;
use std::sync::Once;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

static LISTENING: Once = Once::new();

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// Counts on this thread from now on.
pub fn listen() {
    LISTENING.call_once(|| tracing::subscriber::set_global_default(Warnings).expect("nobody else listens"));
    COUNT.set(0);
}

/// Warnings of this thread since it listens.
pub fn count() -> usize {
    COUNT.get()
}

struct Warnings;

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() == Level::WARN && metadata.target().starts_with("exporter")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        COUNT.set(COUNT.get() + 1);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
