//! Where the time comes from. No network.

use std::sync::Arc;

use jiff::Timestamp;

/// The exporter's clock; tests have their own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
