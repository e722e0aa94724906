//! Leaves the termination report for the operator. No network.

use medallion_crds::launch::TERMINATION_PATH;
use medallion_crds::launch::report::Report;

/// Writes the report where the kubelet reads it; outside a pod there is no such file, and the log has the text anyway.
pub(crate) fn leave(report: &Report) {
    if let Err(error) = std::fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(TERMINATION_PATH)
        .and_then(|mut file| std::io::Write::write_all(&mut file, report.to_termination_message().as_bytes()))
    {
        tracing::debug!(%error, path = TERMINATION_PATH, "no termination report written");
    }
}
