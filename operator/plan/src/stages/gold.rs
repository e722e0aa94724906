//! Gold: runs of the dbt-runner on Silver. No network.

use medallion_crds::Stage;
use medallion_crds::pipeline::{DependencyKind, PipelineSpec};

use super::dbt;
use super::entry::{Batch, StageEntry, Work, is_other, lacks_nothing};
use crate::model::pipeline::{BatchRules, StageWish, WorkWish};

pub(super) const STAGE: StageEntry = StageEntry {
    stage: Stage::Gold,
    pod: dbt::POD,
    upstream: Some(Stage::Silver),
    pauses_with: None,
    needs: &[
        DependencyKind::Contract,
        DependencyKind::SilverBucket,
        DependencyKind::GoldBucket,
    ],
    wish,
    work: Work::Batch(Batch {
        launch: dbt::launch,
        is_new: is_other,
        lacks_tables: lacks_nothing,
    }),
};

#[allow(
    clippy::unnecessary_wraps,
    reason = "a row of the table: other stages may be left out"
)]
fn wish(stage: Stage, spec: &PipelineSpec) -> Option<StageWish> {
    let wish = &spec.stages.gold;
    Some(StageWish {
        stage,
        suspend: wish.suspend,
        size: wish.size.clone(),
        max_age_seconds: wish.max_age_seconds,
        service_account: wish.service_account_name.clone(),
        work: WorkWish::Batch(BatchRules {
            retry: wish.retry.clone(),
            timeout_seconds: wish.timeout_seconds,
            min_interval_seconds: wish.min_interval_seconds,
        }),
    })
}
