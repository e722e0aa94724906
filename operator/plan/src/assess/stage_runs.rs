//! What is known of a batch stage from its runs. No network.

use std::ops::Deref;

use jiff::Timestamp;
use kube::ResourceExt;
use medallion_crds::pipeline::StageStatus;
use medallion_crds::stage_run::{OutputTable, TableVersion};
use medallion_crds::{Stage, StageRun, labels};

use crate::model::cluster::Observed;
use crate::model::pipeline::ValidatedPipeline;
use crate::model::product::Product;
use crate::model::{names, run};
use crate::runs;
use crate::stages::StageEntry;

/// A batch stage's runs, oldest first, and what the status remembers of those that are gone.
pub(crate) struct StageRuns<'a> {
    pub stage: Stage,
    pub all: Vec<&'a StageRun>,
    /// The last that moved the stage's position.
    succeeded: Option<&'a StageRun>,
    pub previous: Option<&'a StageStatus>,
    /// What the status remembers of the stage before.
    before: Option<&'a StageStatus>,
    pipeline: &'a ValidatedPipeline,
    observed: &'a Observed,
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
    pub outputs: Vec<OutputTable>,
    pub completed: Option<Timestamp>,
    /// When the run was made; what was committed later is not consumed.
    pub created: Option<Timestamp>,
    pub rows: Option<i64>,
    /// Digest of what decided its product; `None`: not known.
    pub product: Option<String>,
}

impl<'a> StageRuns<'a> {
    pub fn new(pipeline: &'a ValidatedPipeline, observed: &'a Observed, entry: &StageEntry) -> Self {
        let stage = entry.stage;
        let mut all: Vec<_> = observed
            .runs
            .iter()
            .map(Deref::deref)
            .filter(|run| run.spec.stage == Some(stage) && run::belongs(run, pipeline))
            .collect();
        all.sort_by(|one, other| run::by_creation(one, other));
        let succeeded = all
            .iter()
            .copied()
            .filter(|run| run::has_succeeded(run) && runs::of(run).is_some_and(|kind| kind.moves_position))
            .max_by(|one, other| run::by_completion(one, other));
        let remembered = |stage: Stage| observed.stored.stages.iter().find(|status| status.name == stage);
        Self {
            stage,
            all,
            succeeded,
            previous: remembered(stage),
            before: entry.upstream.and_then(remembered),
            pipeline,
            observed,
        }
    }

    /// The run under way: the oldest that has not ended.
    pub fn active(&self) -> Option<&'a StageRun> {
        self.all.iter().copied().find(|run| !run::is_over(run))
    }

    /// The run that was made last.
    pub fn newest(&self) -> Option<&'a StageRun> {
        self.all.last().copied()
    }

    /// The newest run that the operator made: numbers rest on it.
    pub fn newest_own(&self) -> Option<&'a StageRun> {
        let mut newest_first = self.all.iter().rev().copied();
        newest_first.find(|run| run::is_own(run, self.pipeline))
    }

    /// Number of a run that the operator made. A name that people give is no number, whatever it looks like.
    pub fn number(&self, run: &StageRun) -> Option<i64> {
        let own = run::is_own(run, self.pipeline);
        own.then(|| names::run_number(&self.pipeline.name, self.stage, &run.name_any()))
            .flatten()
    }

    /// The number of the next run: one more than any that the operator gave, and beyond those whose name stands, whoever gave it.
    pub fn next_number(&self) -> i64 {
        let seen = self
            .all
            .iter()
            .filter_map(|run| self.number(run))
            .max()
            .unwrap_or_default();
        let remembered = self
            .previous
            .and_then(|previous| previous.last_run.as_deref())
            .and_then(|name| names::run_number(&self.pipeline.name, self.stage, name))
            .unwrap_or_default();
        let next = seen.max(remembered).saturating_add(1);
        let stands = |number: i64| {
            let name = names::run(&self.pipeline.name, self.stage, number);
            self.observed.runs.iter().any(|run| run.name_any() == name)
        };
        (next..=i64::MAX).find(|number| !stands(*number)).unwrap_or(i64::MAX)
    }

    /// How many runs have failed since the last success, the newest included. Few of them are kept, so the numbers tell: every run
    /// between that of the success and the newest has failed.
    pub fn failures_in_a_row(&self) -> i32 {
        let seen = self.all.iter().rev().take_while(|run| run::has_failed(run)).count();
        let seen = i64::try_from(seen).unwrap_or(i64::MAX);
        let newest = self.newest().and_then(|newest| self.number(newest));
        let before = match self.success() {
            Some(success) => success.number,
            None => Some(0),
        };
        let by_number = newest.zip(before).map(|(newest, before)| newest.saturating_sub(before));
        i32::try_from(by_number.map_or(seen, |number| number.max(seen))).unwrap_or(i32::MAX)
    }

    /// The last succeeded run, from its object or, if that is gone, from the status.
    pub fn success(&self) -> Option<Success> {
        let seen = self.succeeded.map(|run| self.of_run(run));
        let remembered = self.previous.and_then(|previous| self.of_status(previous));
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
            inputs: run.spec.inputs().to_vec(),
            outputs: status.outputs,
            completed: status.completion_time.map(|time| time.0),
            created: run.creation_timestamp().map(|time| time.0),
            rows: status.rows,
            product: self.product_of(run).map(str::to_owned),
        }
    }

    /// Inputs that were just what the stage before had left may not be said twice in a status.
    fn of_status(&self, status: &StageStatus) -> Option<Success> {
        let mut inputs = status.inputs.clone();
        if inputs.is_empty() && !status.outputs.is_empty() {
            let left = self.before.iter().flat_map(|before| &before.outputs);
            inputs = left.map(OutputTable::as_input).collect();
        }
        (!inputs.is_empty()).then(|| Success {
            number: status.position,
            inputs,
            outputs: status.outputs.clone(),
            completed: status.last_commit_time.as_ref().map(|time| time.0),
            created: status.last_run_time.as_ref().map(|time| time.0),
            rows: status.rows,
            product: None,
        })
    }

    /// Digest of what decided a run's product: in its last attempt, or else when the run was made. `None`: not known, because a person
    /// or an earlier version of the operator made it.
    pub fn product_of(&self, run: &'a StageRun) -> Option<&'a str> {
        let attempt = run.status.as_ref().map(|status| status.attempt).unwrap_or_default();
        let job = self.observed.job(&names::attempt(&run.name_any(), attempt));
        let of_attempt = job.and_then(|job| job.annotations().get(labels::PRODUCT_HASH));
        of_attempt
            .or_else(|| run.annotations().get(labels::PRODUCT_HASH))
            .map(String::as_str)
    }

    /// Digest of the launch settings that a run was begun with: of a person's, those of its last attempt. `None`: not known.
    pub fn launch_hash_of(&self, run: &'a StageRun) -> Option<&'a str> {
        let attempt = run.status.as_ref().map(|status| status.attempt).unwrap_or_default();
        let job = self.observed.job(&names::attempt(&run.name_any(), attempt));
        let of_attempt = job.and_then(|job| job.annotations().get(labels::LAUNCH_HASH));
        let of_run = run.annotations().get(labels::LAUNCH_HASH);
        of_run.or(of_attempt).map(String::as_str)
    }

    /// Whether the last success is of another product than the one that is wanted.
    pub fn are_outdated(&self, wanted: Option<&Product>) -> bool {
        let made = self.success().and_then(|success| success.product);
        made.zip(wanted).is_some_and(|(made, wanted)| made != wanted.digest)
    }

    /// What this stage offers to the next one.
    pub fn offer(&self) -> Option<Source> {
        let success = self.success()?;
        (!success.outputs.is_empty()).then_some(Source {
            inputs: success.outputs.iter().map(OutputTable::as_input).collect(),
            committed: success.completed,
        })
    }
}

/// Whether a source holds something that is not consumed yet, by what counts as new for the stage.
pub(crate) fn is_new(counts: fn(i64, i64) -> bool, source: &[TableVersion], consumed: &[TableVersion]) -> bool {
    source.iter().any(|table| {
        let before = consumed.iter().find(|other| other.name == table.name);
        before.is_none_or(|before| counts(table.version, before.version))
    })
}
