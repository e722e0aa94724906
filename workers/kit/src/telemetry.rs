//! Structured logs on standard output: JSON lines in a pod, readable text on a terminal. No network.

use std::io::IsTerminal;

use medallion_crds::launch::environment;
use tracing_subscriber::EnvFilter;

/// Starts logging; a second call changes nothing.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_env(environment::LOG).unwrap_or_else(|_| EnvFilter::new("info,delta_kernel=warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    // A failure means that a subscriber is there already, as in tests.
    let _ = if std::io::stdout().is_terminal() {
        builder.compact().try_init()
    } else {
        builder.json().flatten_event(true).with_current_span(false).try_init()
    };
}
