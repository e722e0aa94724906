//! What is known of a batch stage from its runs. No network.

use jiff::Timestamp;
use kube::ResourceExt;
use medallion_crds::pipeline::StageStatus;
use medallion_crds::stage_run::TableVersion;
use medallion_crds::{Stage, StageRun, labels};

use crate::observed::Observed;
use crate::validate::ValidatedPipeline;
use crate::{names, run};

/// A batch stage's runs, oldest first, and what the status remembers of those that are gone.
pub(crate) struct BatchView<'a> {
    pub stage: Stage,
    pub runs: Vec<&'a StageRun>,
    pub previous: Option<&'a StageStatus>,
    pipeline_name: &'a str,
}

/// What the next run of a stage can take.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Source {
    pub inputs: Vec<TableVersion>,
    /// When the newest of it was committed.
    pub committed: Option<Timestamp>,
}

/// What the last succeeded run left.
pub(crate) struct Success {
    pub number: Option<i64>,
    /// Everything up to here is consumed.
    pub inputs: Vec<TableVersion>,
    pub outputs: Vec<TableVersion>,
    pub completed: Option<Timestamp>,
    /// When the run was made; what was committed later is not consumed.
    pub created: Option<Timestamp>,
    pub rows: Option<i64>,
}

impl<'a> BatchView<'a> {
    pub fn new(pipeline: &'a ValidatedPipeline, observed: &'a Observed, stage: Stage) -> Self {
        let mut runs: Vec<_> = observed
            .runs
            .iter()
            .filter(|run| run.spec.stage == stage && belongs(run, pipeline))
            .collect();
        runs.sort_by_key(|run| (run.creation_timestamp(), run.name_any()));
        let previous = pipeline.status.stages.iter().find(|status| status.name == stage);
        Self {
            stage,
            runs,
            previous,
            pipeline_name: &pipeline.name,
        }
    }

    /// The run under way: the oldest that has not ended.
    pub fn active(&self) -> Option<&'a StageRun> {
        self.runs.iter().copied().find(|run| !run::is_over(run))
    }

    /// The run that was made last.
    pub fn newest(&self) -> Option<&'a StageRun> {
        self.runs.last().copied()
    }

    /// Number of a run that the operator made.
    pub fn number(&self, run: &StageRun) -> Option<i64> {
        names::run_number(self.pipeline_name, self.stage, &run.name_any())
    }

    /// The number of the next run: one more than any that is or was.
    pub fn next_number(&self) -> i64 {
        let seen = self
            .runs
            .iter()
            .filter_map(|run| self.number(run))
            .max()
            .unwrap_or_default();
        let remembered = self
            .previous
            .and_then(|previous| previous.last_run.as_deref())
            .and_then(|name| names::run_number(self.pipeline_name, self.stage, name))
            .unwrap_or_default();
        seen.max(remembered).saturating_add(1)
    }

    /// The last succeeded run, from its object or, if that is gone, from the status.
    pub fn success(&self) -> Option<Success> {
        let run = self
            .runs
            .iter()
            .copied()
            .filter(|run| run::has_succeeded(run))
            .max_by_key(|run| {
                (
                    run.status.as_ref().and_then(|status| status.completion_time.clone()),
                    run.name_any(),
                )
            });
        let seen = run.map(|run| self.of_run(run));
        let remembered = self
            .previous
            .filter(|previous| !previous.inputs.is_empty())
            .map(of_status);
        match (seen, remembered) {
            (Some(seen), Some(remembered)) if remembered.number > seen.number && seen.number.is_some() => {
                Some(remembered)
            }
            (Some(seen), _) => Some(seen),
            (None, remembered) => remembered,
        }
    }

    fn of_run(&self, run: &StageRun) -> Success {
        let status = run.status.clone().unwrap_or_default();
        Success {
            number: self.number(run),
            inputs: run.spec.inputs.clone(),
            outputs: status.outputs,
            completed: status.completion_time.map(|time| time.0),
            created: run.creation_timestamp().map(|time| time.0),
            rows: status.rows,
        }
    }

    /// What this stage offers to the next one.
    pub fn offer(&self) -> Option<Source> {
        let success = self.success()?;
        (!success.outputs.is_empty()).then_some(Source {
            inputs: success.outputs,
            committed: success.completed,
        })
    }
}

fn of_status(status: &StageStatus) -> Success {
    Success {
        number: status.position,
        inputs: status.inputs.clone(),
        outputs: status.outputs.clone(),
        completed: status.last_commit_time.as_ref().map(|time| time.0),
        created: status.last_run_time.as_ref().map(|time| time.0),
        rows: status.rows,
    }
}

/// Whether a run is this pipeline's, and not one of an earlier pipeline of the same name.
fn belongs(run: &StageRun, pipeline: &ValidatedPipeline) -> bool {
    let owners = run.owner_references();
    run.spec.pipeline_ref.name == pipeline.name
        && (owners.is_empty() || owners.iter().any(|owner| owner.uid == pipeline.uid))
}

/// Whether the operator made the run, so that it may also remove it.
pub(crate) fn is_own(run: &StageRun, pipeline: &ValidatedPipeline) -> bool {
    run.owner_references().iter().any(|owner| owner.uid == pipeline.uid)
        && run
            .labels()
            .get(labels::MANAGED_BY)
            .is_some_and(|manager| manager == labels::MANAGER)
}

/// Whether a source holds something that is not consumed yet.
pub(crate) fn is_new(stage: Stage, source: &[TableVersion], consumed: &[TableVersion]) -> bool {
    let before = |table: &TableVersion| {
        consumed
            .iter()
            .find(|other| other.name == table.name)
            .map(|other| other.version)
    };
    source.iter().any(|table| match before(table) {
        None => true,
        // Bronze only grows: a smaller number is an old answer. Layer tables may have been made anew.
        Some(version) if stage == Stage::Silver => table.version > version,
        Some(version) => table.version != version,
    })
}
