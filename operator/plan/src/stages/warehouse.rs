//! Warehouse: runs of the loader on Gold. No network.

use medallion_crds::launch::{LoaderSettings, RunSettings};
use medallion_crds::pipeline::{DependencyKind, PipelineSpec};
use medallion_crds::stage_run::TableVersion;
use medallion_crds::{Stage, Worker};

use super::entry::{Batch, StageEntry, StageRequest, Work, is_other};
use crate::build::pod::WorkerPod;
use crate::build::settings::{self, Launch};
use crate::model::pipeline::{BatchRules, StageWish, ValidatedPipeline, WorkWish};

pub(super) const STAGE: StageEntry = StageEntry {
    stage: Stage::Warehouse,
    pod: WorkerPod {
        worker: Worker::Loader,
        // What is not committed yet is rolled back and done again.
        grace_seconds: 30,
        serves_http: false,
        uses_aws: true,
        uses_kafka: false,
    },
    upstream: Some(Stage::Gold),
    pauses_with: None,
    needs: &[DependencyKind::GoldBucket, DependencyKind::WarehouseSchema],
    wish,
    work: Work::Batch(Batch {
        launch,
        is_new: is_other,
        lacks_tables,
    }),
};

fn wish(stage: Stage, spec: &PipelineSpec) -> Option<StageWish> {
    let wish = spec.stages.warehouse.as_ref()?;
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

fn launch(request: &StageRequest<'_>, run: RunSettings) -> Option<(String, Launch)> {
    let settings = request.settings;
    let warehouse = settings.pipeline.warehouse.as_ref()?;
    let image = settings.config.images.workers.clone();
    let launch = settings.launch(
        Some(request.entry.stage),
        &image,
        LoaderSettings {
            run,
            lake: settings.lake(),
            warehouse: settings::warehouse(warehouse),
            tables: warehouse.tables.clone(),
        },
    );
    Some((image, launch))
}

/// A table that is new in the spec is loaded at once: nobody waits for Gold to change first.
fn lacks_tables(pipeline: &ValidatedPipeline, loaded: &[TableVersion]) -> bool {
    let tables = pipeline.warehouse.iter().flat_map(|warehouse| &warehouse.tables);
    tables
        .into_iter()
        .any(|table| loaded.iter().all(|found| found.name != table.name))
}
