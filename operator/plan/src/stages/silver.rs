//! Silver: runs of the dbt-runner on Bronze. No network.

use medallion_crds::Stage;
use medallion_crds::pipeline::DependencyKind;

use super::dbt;
use super::entry::{Batch, StageEntry, Work};
use crate::model::wish::batch_wish;

pub(super) const STAGE: StageEntry = StageEntry {
    stage: Stage::Silver,
    pod: dbt::POD,
    upstream: Some(Stage::Bronze),
    pauses_with: None,
    // Not the contract: a version that is refused says nothing of the events that are in Bronze.
    needs: &[DependencyKind::BronzeBucket, DependencyKind::SilverBucket],
    wish: |stage, spec| Some(batch_wish!(stage, spec.stages.silver)),
    work: Work::Batch(Batch {
        // Bronze only grows: a smaller number is an old answer.
        is_new: |found, consumed| found > consumed,
        ..dbt::BATCH
    }),
};
