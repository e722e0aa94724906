//! Gold: runs of the dbt-runner on Silver. No network.

use medallion_crds::Stage;
use medallion_crds::pipeline::DependencyKind;

use super::dbt;
use super::entry::{StageEntry, Work};
use crate::model::wish::batch_wish;

pub(super) const STAGE: StageEntry = StageEntry {
    stage: Stage::Gold,
    pod: dbt::POD,
    upstream: Some(Stage::Silver),
    pauses_with: None,
    needs: &[DependencyKind::SilverBucket, DependencyKind::GoldBucket],
    wish: |stage, spec| Some(batch_wish!(stage, spec.stages.gold)),
    work: Work::Batch(dbt::BATCH),
};
