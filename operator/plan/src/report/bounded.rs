//! Keeps a status within what an object may hold: words are shortened, what stands elsewhere is left out, positions never. No network.

use medallion_crds::Stage;
use medallion_crds::pipeline::PipelineStatus;
use medallion_crds::stage_run::{OutputTable, TableVersion};
use medallion_crds::text::cut;

use crate::stages::StageEntry;

/// A status has at most so many bytes as JSON.
const STATUS_BYTES: usize = 32 * 1024;

/// The status within its bound. Words are shortened as far as it takes; before they say next to nothing, what the runs say as well
/// is left out.
pub(crate) fn bounded(status: PipelineStatus, table: &[StageEntry]) -> Result<PipelineStatus, serde_json::Error> {
    let steps: [&dyn Fn(&mut PipelineStatus); 7] = [
        &|status: &mut PipelineStatus| shorten(status, 512),
        &|status: &mut PipelineStatus| shorten(status, 256),
        &|status: &mut PipelineStatus| of_outputs(status, |output| output.oldest_project = None),
        &|status: &mut PipelineStatus| of_outputs(status, |output| output.project = None),
        &|status: &mut PipelineStatus| say_once(status, table),
        &|status: &mut PipelineStatus| shorten(status, 128),
        &|status: &mut PipelineStatus| shorten(status, 64),
    ];
    let mut fitting = status;
    for step in steps {
        if serde_json::to_vec(&fitting)?.len() <= STATUS_BYTES {
            break;
        }
        step(&mut fitting);
    }
    Ok(fitting)
}

fn of_outputs(status: &mut PipelineStatus, change: impl Fn(&mut OutputTable)) {
    let stages = status.stages.iter_mut();
    stages.flat_map(|stage| &mut stage.outputs).for_each(change);
}

/// Leaves out the inputs of stages that have consumed just what the stage before has left. Who reads such a status finds them there:
/// a stage that has outputs had inputs too.
fn say_once(status: &mut PipelineStatus, table: &[StageEntry]) {
    let stages = status.stages.iter();
    let left: Vec<(Stage, Vec<TableVersion>)> = stages
        .map(|stage| (stage.name, stage.outputs.iter().map(OutputTable::as_input).collect()))
        .collect();
    for stage in &mut status.stages {
        let entry = table.iter().find(|entry| entry.stage == stage.name);
        let upstream = entry.and_then(|entry| entry.upstream);
        let same = left
            .iter()
            .any(|(name, tables)| Some(*name) == upstream && *tables == stage.inputs);
        if same && !stage.outputs.is_empty() {
            stage.inputs = Vec::new();
        }
    }
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
    use medallion_crds::Reason;
    use medallion_crds::launch::report::{MAX_NAME, MAX_TABLES};
    use medallion_crds::pipeline::{
        DeadLetterReason, DeadLetterStatus, Dependency, DependencyKind, DependencyState, StageStatus,
    };

    use super::*;
    use crate::stages::STAGES;

    /// Tables with names of so many letters.
    fn tables(count: usize, letters: usize, project: Option<&str>) -> Vec<OutputTable> {
        let table = |number: usize| OutputTable {
            project: project.map(str::to_owned),
            oldest_project: project.map(str::to_owned),
            ..OutputTable::new(format!("{}{number:03}", "t".repeat(letters - 3)), 1_000_000)
        };
        (0..count).map(table).collect()
    }

    /// As long as everything else may be: ten letters, a dozen dependencies, long words everywhere.
    fn full(stages: Vec<StageStatus>) -> PipelineStatus {
        let long = || "é".repeat(512);
        let worded = stages.into_iter().map(|stage| StageStatus {
            message: Some(long()),
            ..stage
        });
        let dependencies = (0..12).map(|number| Dependency {
            name: format!("Topic/{number}"),
            kind: DependencyKind::Topic,
            state: DependencyState::Missing,
            message: Some(long()),
        });
        let letter = DeadLetterReason {
            reason: Reason::SchemaMismatch,
            message: cut(&long(), 512),
            source: "purchase_orders/3/1234567".to_owned(),
            time: Time(Timestamp::UNIX_EPOCH),
        };
        PipelineStatus {
            stages: worded.collect(),
            dependencies: dependencies.collect(),
            dead_letters: Some(DeadLetterStatus {
                count: 10,
                newest: vec![letter; 10],
            }),
            ..PipelineStatus::default()
        }
    }

    fn length(status: &PipelineStatus) -> usize {
        serde_json::to_vec(status).unwrap().len()
    }

    #[test]
    fn a_status_full_to_the_brim_stays_within_its_bound_and_keeps_positions() {
        let tables = tables(60, 24, None);
        let stages = Stage::BATCH.into_iter().map(|stage| StageStatus {
            inputs: tables.iter().map(OutputTable::as_input).collect(),
            outputs: tables.clone(),
            ..crate::report::stage::empty(stage)
        });
        let status = full(stages.collect());
        assert!(length(&status) > STATUS_BYTES, "more than fits");
        let bounded = bounded(status, STAGES).unwrap();
        assert!(length(&bounded) <= STATUS_BYTES);
        assert!(bounded.stages.iter().all(|stage| stage.outputs == tables));
        assert_eq!(bounded.dead_letters.unwrap().newest.len(), 10);
    }

    #[test]
    fn as_many_tables_as_a_layer_may_have_with_the_longest_names_fit() {
        let made = tables(MAX_TABLES, MAX_NAME, Some("0123456789abcdef"));
        let loaded = tables(MAX_TABLES, MAX_NAME, None);
        let consumed: Vec<TableVersion> = made.iter().map(OutputTable::as_input).collect();
        let bronze = TableVersion {
            name: "bronze".to_owned(),
            version: 1_000_000,
        };
        let stage = |name, inputs, outputs| StageStatus {
            inputs,
            outputs,
            ..crate::report::stage::empty(name)
        };
        let status = full(vec![
            stage(Stage::Silver, vec![bronze.clone()], made.clone()),
            stage(Stage::Gold, consumed.clone(), made),
            stage(Stage::Warehouse, consumed, loaded.clone()),
        ]);
        let bounded = bounded(status, STAGES).unwrap();
        assert!(length(&bounded) <= STATUS_BYTES, "{}", length(&bounded));
        assert!(
            bounded.stages.iter().all(|stage| stage.outputs == loaded),
            "positions stay"
        );
        assert_eq!(bounded.stages[0].inputs, [bronze], "said nowhere else");
    }

    #[test]
    fn what_fits_is_left_as_it_is() {
        let made = tables(3, 24, Some("0123456789abcdef"));
        let status = PipelineStatus {
            stages: vec![StageStatus {
                inputs: made.iter().map(OutputTable::as_input).collect(),
                outputs: made,
                ..crate::report::stage::empty(Stage::Gold)
            }],
            ..PipelineStatus::default()
        };
        assert_eq!(bounded(status.clone(), STAGES).unwrap(), status);
    }
}
