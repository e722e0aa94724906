//! What is told to CloudWatch, of all that `/metrics` shows: it bills each name with each set of dimensions. No network.

/// CloudWatch's namespace, as `terraform/modules/monitoring` asks for it.
pub const NAMESPACE: &str = "Medallion";

/// The families whose figures are told, with CloudWatch's unit. Left out is what has a label without an end (partitions, steps
/// of a run), and what only helps to look into a program.
const TOLD: [(&str, &str); 17] = [
    ("medallion_consumer_dead_letters", "Count"),
    ("medallion_consumer_lag_records", "Count"),
    ("medallion_consumer_put_seconds", "Seconds"),
    ("medallion_consumer_records", "Count"),
    ("medallion_exporter_commit_seconds", "Seconds"),
    ("medallion_exporter_commits", "Count"),
    ("medallion_exporter_records", "Count"),
    ("medallion_exporter_rows", "Count"),
    ("medallion_gateway_events", "Count"),
    ("medallion_gateway_produce_seconds", "Seconds"),
    ("medallion_gateway_requests", "Count"),
    ("medallion_load_table_rows", "Count"),
    ("medallion_log_errors", "Count"),
    ("medallion_operator_log_errors", "Count"),
    ("medallion_operator_stage_age_seconds", "Seconds"),
    ("medallion_retention_of_seconds", "Seconds"),
    ("medallion_retention_used_seconds", "Seconds"),
];

// The most metrics that CloudWatch takes of one line.
const _: () = assert!(TOLD.len() <= 100);

/// The unit of a family that is told.
pub(crate) fn unit(family: &str) -> Option<&'static str> {
    TOLD.iter().find(|(told, _)| *told == family).map(|(_, unit)| *unit)
}
