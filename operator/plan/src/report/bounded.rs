//! Keeps a status within what an object may hold: words are shortened, positions never. No network.

use medallion_crds::pipeline::PipelineStatus;
use medallion_crds::text::cut;

/// A status has at most so many bytes as JSON.
const STATUS_BYTES: usize = 32 * 1024;

/// The status within its bound: words are shortened as far as it takes, positions never.
pub(crate) fn bounded(status: PipelineStatus) -> Result<PipelineStatus, serde_json::Error> {
    let mut fitting = status;
    for limit in [512, 256, 128, 64] {
        if serde_json::to_vec(&fitting)?.len() <= STATUS_BYTES {
            break;
        }
        shorten(&mut fitting, limit);
    }
    Ok(fitting)
}

fn shorten(status: &mut PipelineStatus, limit: usize) {
    let optional = |text: &mut Option<String>| *text = text.take().map(|text| cut(&text, limit));
    for stage in &mut status.stages {
        optional(&mut stage.message);
    }
    for dependency in &mut status.dependencies {
        optional(&mut dependency.message);
    }
    if let Some(provisioning) = &mut status.provisioning {
        optional(&mut provisioning.message);
    }
    for condition in &mut status.conditions {
        condition.message = cut(&condition.message, limit);
    }
    for letter in status.dead_letters.iter_mut().flat_map(|letters| &mut letters.newest) {
        letter.message = cut(&letter.message, limit);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use medallion_crds::pipeline::{
        DeadLetterReason, DeadLetterStatus, Dependency, DependencyKind, DependencyState, StageStatus,
    };
    use medallion_crds::stage_run::OutputTable;
    use medallion_crds::{Reason, Stage};

    use super::*;

    /// As long as everything may be: ten letters, a stage of many tables (a report has 4 KiB), long words everywhere.
    #[test]
    fn a_status_full_to_the_brim_stays_within_its_bound_and_keeps_positions() {
        let tables: Vec<_> = (0..60)
            .map(|number| OutputTable {
                name: format!("a_table_of_the_shop_{number:03}"),
                version: 1_000_000,
                project: None,
                oldest_project: None,
            })
            .collect();
        let long = || "é".repeat(512);
        let mut status = PipelineStatus::default();
        for stage in Stage::BATCH {
            status.stages.push(StageStatus {
                message: Some(long()),
                inputs: tables.iter().map(OutputTable::as_input).collect(),
                outputs: tables.clone(),
                ..crate::report::stage::empty(stage)
            });
        }
        status.dependencies = (0..12)
            .map(|number| Dependency {
                name: format!("Topic/{number}"),
                kind: DependencyKind::Topic,
                state: DependencyState::Missing,
                message: Some(long()),
            })
            .collect();
        let letter = DeadLetterReason {
            reason: Reason::SchemaMismatch,
            message: cut(&long(), 512),
            source: "purchase_orders/3/1234567".to_owned(),
            time: Time(Timestamp::UNIX_EPOCH),
        };
        status.dead_letters = Some(DeadLetterStatus {
            count: 10,
            newest: vec![letter; 10],
        });
        assert!(
            serde_json::to_vec(&status).unwrap().len() > STATUS_BYTES,
            "more than fits"
        );
        let bounded = bounded(status).unwrap();
        assert!(serde_json::to_vec(&bounded).unwrap().len() <= STATUS_BYTES);
        assert!(bounded.stages.iter().all(|stage| stage.outputs == tables));
        assert_eq!(bounded.dead_letters.unwrap().newest.len(), 10);
    }
}
