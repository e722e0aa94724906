//! Checks the exporter's settings and turns them into the engine's. No network.

use std::time::Duration;

use jiff::SignedDuration;
use medallion_crds::Reason;
use medallion_crds::launch::ExporterSettings;
use worker_kit::WorkerError;

use crate::engine::EngineSettings;
use crate::flush::FlushRule;

/// The engine's settings; an error names the field.
pub(crate) fn engine_settings(settings: &ExporterSettings) -> Result<EngineSettings, WorkerError> {
    let bad =
        |field: &str, rule: &str| WorkerError::settings(Reason::BadSettings, format!("worker.{field} must be {rule}"));
    let max_bytes = usize::try_from(settings.flush_max_bytes)
        .ok()
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| bad("flushMaxBytes", "at least 1"))?;
    if settings.flush_max_age_seconds < 1 {
        return Err(bad("flushMaxAgeSeconds", "at least 1"));
    }
    let poll = u64::try_from(settings.poll_milliseconds)
        .ok()
        .filter(|milliseconds| (10..=10_000).contains(milliseconds))
        .ok_or_else(|| bad("pollMilliseconds", "from 10 to 10000"))?;
    Ok(EngineSettings {
        flush: FlushRule {
            max_bytes,
            max_age: SignedDuration::from_secs(settings.flush_max_age_seconds.into()),
        },
        poll: Duration::from_millis(poll),
    })
}

#[cfg(test)]
mod tests {
    use medallion_crds::launch::{ContractSettings, ContractVersionSettings, LakeSettings};
    use medallion_crds::pipeline::RunsOn;
    use rstest::rstest;

    use super::*;

    fn settings() -> ExporterSettings {
        ExporterSettings {
            contract: ContractSettings {
                versions: vec![ContractVersionSettings {
                    name: "v1".to_owned(),
                    schema_path: "schema.json".to_owned(),
                    digest: String::new(),
                }],
                key: "/key".to_owned(),
                event_id: "/id".to_owned(),
                event_time: "/at".to_owned(),
                event_version: None,
            },
            table: "orders".to_owned(),
            lake: LakeSettings {
                bronze_table: "s3://bronze/orders".to_owned(),
                silver: "s3://silver".to_owned(),
                gold: "s3://gold".to_owned(),
            },
            runs_on: RunsOn::Cluster,
            flush_max_bytes: 1024,
            flush_max_age_seconds: 5,
            poll_milliseconds: 250,
        }
    }

    #[test]
    fn good_settings_are_taken_over() {
        let engine = engine_settings(&settings()).expect("good");
        assert_eq!(
            (engine.flush.max_bytes, engine.poll),
            (1024, Duration::from_millis(250))
        );
        assert_eq!(engine.flush.max_age, SignedDuration::from_secs(5));
    }

    #[rstest]
    #[case::no_bytes(ExporterSettings { flush_max_bytes: 0, ..settings() }, "flushMaxBytes")]
    #[case::no_age(ExporterSettings { flush_max_age_seconds: 0, ..settings() }, "flushMaxAgeSeconds")]
    #[case::no_poll(ExporterSettings { poll_milliseconds: 0, ..settings() }, "pollMilliseconds")]
    fn a_bad_field_is_named(#[case] bad: ExporterSettings, #[case] field: &str) {
        let error = engine_settings(&bad).expect_err("bad");
        assert!(error.message.contains(field), "{error}");
    }
}
