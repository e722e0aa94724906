//! What one plan rests on, and the stages that its pipeline has. No network.

use jiff::Timestamp;
use medallion_crds::{Owner, Worker};

use super::entry::{Batch, StageEntry, StageRequest, Streaming, Work};
use crate::build::account;
use crate::build::settings::{self, LaunchSettings};
use crate::model::child::Child;
use crate::model::cluster::{Contract, Observed};
use crate::model::config::OperatorConfig;
use crate::model::pipeline::ValidatedPipeline;
use crate::model::wish::{BatchRules, StageWish, WorkWish};

/// What one plan rests on.
#[derive(Clone, Copy)]
pub(crate) struct Basis<'a> {
    pub table: &'a [StageEntry],
    pub pipeline: &'a ValidatedPipeline,
    pub observed: &'a Observed,
    pub config: &'a OperatorConfig,
    pub now: Timestamp,
}

/// A stage of the table that the pipeline has.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub entry: &'a StageEntry,
    pub wish: &'a StageWish,
}

impl<'a> Basis<'a> {
    /// The pipeline's stages, in the order of the table.
    pub fn places(&self) -> impl Iterator<Item = Place<'a>> {
        let pipeline = self.pipeline;
        self.table
            .iter()
            .filter_map(move |entry| pipeline.wish(entry.stage).map(|wish| Place { entry, wish }))
    }

    /// Those that work all the time.
    pub fn streaming(&self) -> impl Iterator<Item = (Place<'a>, &'a Streaming)> {
        self.places().filter_map(|place| match &place.entry.work {
            Work::Streaming(streaming) => Some((place, streaming)),
            Work::Batch(_) => None,
        })
    }

    /// Those that work in runs.
    pub fn batch(&self) -> impl Iterator<Item = (Place<'a>, &'a Batch, &'a BatchRules)> {
        self.places()
            .filter_map(|place| match (&place.entry.work, &place.wish.work) {
                (Work::Batch(batch), WorkWish::Batch(rules)) => Some((place, batch, rules)),
                _ => None,
            })
    }

    /// Whether the stage pauses: because the spec says so of it, or of the stage without which it must not go on.
    pub fn is_suspended(&self, place: Place<'_>) -> bool {
        let with = place.entry.pauses_with.and_then(|stage| self.pipeline.wish(stage));
        let whole = self.pipeline.suspend && matches!(place.entry.work, Work::Batch(_));
        whole || place.wish.suspend || with.is_some_and(|with| with.suspend)
    }

    /// Who the pipeline is in everything that it writes.
    pub fn owner(&self) -> Owner {
        settings::owner(self.pipeline, self.config)
    }

    /// The consumer group in use.
    pub fn consumer_group(&self) -> String {
        settings::consumer_group(&self.pipeline.kafka, &self.owner())
    }

    /// What settings are built from; `None` while the contract is not there.
    pub fn settings(&self) -> Option<LaunchSettings<'a>> {
        match &self.observed.contract {
            Contract::Found { digest } => Some(LaunchSettings {
                pipeline: self.pipeline,
                config: self.config,
                contract_digest: digest,
            }),
            _ => None,
        }
    }

    /// What a stage's objects are made from; `None` while the contract is not there or the stage has a fault.
    pub fn request(&self, place: Place<'a>) -> Option<StageRequest<'a>> {
        let settings = self.settings()?;
        self.pipeline
            .fault(place.entry.stage)
            .is_none()
            .then_some(StageRequest {
                settings,
                entry: place.entry,
                wish: place.wish,
                suspended: self.is_suspended(place),
            })
    }

    /// The account made for a worker, if one of its stages names no other.
    pub fn service_account(&self, worker: Worker) -> Option<Child> {
        self.places()
            .filter(|place| place.wish.has_pods())
            .any(|place| place.entry.worker() == worker && place.wish.service_account.is_none())
            .then(|| account::service_account(self.pipeline, self.config, worker))
    }
}
