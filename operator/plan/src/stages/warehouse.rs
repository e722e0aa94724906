//! Warehouse: runs of the loader on Gold. No network.

use medallion_crds::launch::{LoaderSettings, RunSettings};
use medallion_crds::pipeline::DependencyKind;
use medallion_crds::{Stage, Worker};

use super::entry::{Batch, StageEntry, StageRequest, Work, is_other};
use crate::build::pod::WorkerPod;
use crate::build::settings::{self, Launch};
use crate::model::pipeline::{ValidatedPipeline, Warehouse};
use crate::model::product::Product;
use crate::model::wish::batch_wish;

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
    wish: |stage, spec| Some(batch_wish!(stage, spec.stages.warehouse.as_ref()?)),
    work: Work::Batch(Batch {
        launch,
        is_new: is_other,
        product,
    }),
};

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

/// Where the tables stand and which there are. By whom and as whom they are loaded makes no other rows.
fn product(pipeline: &ValidatedPipeline) -> Option<Product> {
    let Warehouse { redshift, tables } = pipeline.warehouse.as_ref()?;
    let mut tables: Vec<_> = tables.iter().map(|table| (&table.name, table.mode)).collect();
    // Another order is the same list.
    tables.sort_by_key(|(name, _)| *name);
    Some(Product {
        made_by: "warehouse",
        digest: settings::digest_of(&(
            &redshift.workgroup_name,
            &redshift.cluster_identifier,
            &redshift.database,
            &redshift.schema,
            tables,
        )),
    })
}
