//! What the Jobs of one batch stage are made from now, and its digest. No network.

use std::cell::OnceCell;

use medallion_crds::launch::RunSettings;

use super::provisioning;
use crate::build::job::{self, LaunchTemplate};
use crate::model::obstacle::Obstacle;
use crate::runs;
use crate::stages::{Basis, Batch, Place};

/// What the Jobs of one batch stage are made from now.
pub(crate) struct StageLaunch<'a> {
    basis: Basis<'a>,
    place: Place<'a>,
    batch: &'a Batch,
    hash: OnceCell<Option<String>>,
}

impl<'a> StageLaunch<'a> {
    pub fn new(basis: &Basis<'a>, place: Place<'a>, batch: &'a Batch) -> Self {
        Self {
            basis: *basis,
            place,
            batch,
            hash: OnceCell::new(),
        }
    }

    /// Digest of the launch settings of any run; `None` while no Job can be made. Made when it is first asked for: most looks decide
    /// nothing by it.
    pub fn hash(&self) -> Option<&str> {
        let hash = self.hash.get_or_init(|| {
            let any_run = self.template(runs::any_process())?;
            Some(job::launch_hash(self.basis.pipeline, self.basis.config, &any_run))
        });
        hash.as_deref()
    }

    /// Why no Job can be made; `None` while one can.
    pub fn obstacle(&self) -> Option<Obstacle> {
        if self.hash().is_some() {
            return None;
        }
        let fault = self.basis.pipeline.fault(self.place.entry.stage);
        let refused = fault.map(|fault| Obstacle::new(fault.reason.clone(), &fault.message));
        refused.or_else(|| {
            let is_there = self.basis.settings().is_some();
            (!is_there).then(|| provisioning::contract_obstacle(&self.basis))
        })
    }

    /// What the pods of a run are made from; `None` while they cannot be made.
    pub fn template(&self, run: RunSettings) -> Option<LaunchTemplate> {
        let request = self.basis.request(self.place)?;
        let (image, launch) = (self.batch.launch)(&request, run)?;
        Some(LaunchTemplate {
            stage: self.place.entry.stage,
            pod: self.place.entry.pod,
            service_account: request.service_account(),
            size: self.place.wish.size.clone(),
            image,
            launch,
        })
    }
}
