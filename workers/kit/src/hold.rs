//! Named points at which a test can hold a worker, to kill it between two steps that belong together. No network.

use std::path::Path;

use medallion_crds::launch::{SCRATCH_PATH, environment};

/// Does nothing, unless the environment names this very point: then the process waits here for ever, once per scratch
/// folder, so that a container restarted in the same pod goes on.
pub async fn hold_point(name: &str) {
    if std::env::var(environment::HOLD_POINT).is_ok_and(|wanted| wanted == name) {
        let marker = Path::new(SCRATCH_PATH).join(format!("held-{name}"));
        let first_time = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&marker)
            .is_ok();
        if first_time {
            tracing::warn!(point = name, "held here until killed");
            std::future::pending::<()>().await;
        }
    }
}
