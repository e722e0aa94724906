//! Catalog: runs of the cataloger on Gold. No network.

use medallion_crds::launch::{CatalogerSettings, RunSettings};
use medallion_crds::pipeline::DependencyKind;
use medallion_crds::{Stage, Worker};

use super::entry::{Batch, StageEntry, StageRequest, Work, is_other};
use crate::build::pod::WorkerPod;
use crate::build::settings::{self, Launch};
use crate::model::pipeline::ValidatedPipeline;
use crate::model::product::Product;
use crate::model::wish::batch_wish;

pub(super) const STAGE: StageEntry = StageEntry {
    stage: Stage::Catalog,
    pod: WorkerPod {
        worker: Worker::Cataloger,
        // Each table is registered by one call; the next attempt looks what is left.
        grace_seconds: 30,
        serves_http: false,
        uses_aws: true,
        uses_kafka: false,
    },
    upstream: Some(Stage::Gold),
    pauses_with: None,
    needs: &[DependencyKind::GoldBucket],
    wish: |stage, spec| {
        spec.catalog.as_ref()?;
        Some(batch_wish!(stage, spec.stages.catalog.clone().unwrap_or_default()))
    },
    work: Work::Batch(Batch {
        launch,
        is_new: is_other,
        product,
    }),
};

fn launch(request: &StageRequest<'_>, run: RunSettings) -> Option<(String, Launch)> {
    let settings = request.settings;
    let glue = settings.pipeline.catalog.as_ref()?;
    let image = settings.config.images.workers.clone();
    let launch = settings.launch(
        Some(request.entry.stage),
        &image,
        CatalogerSettings {
            run,
            management: settings.pipeline.management,
            lake: settings.lake(),
            database: glue.database.clone(),
            silver_database: glue.silver_database.clone(),
        },
    );
    Some((image, launch))
}

/// Where the tables are registered.
fn product(pipeline: &ValidatedPipeline) -> Option<Product> {
    let glue = pipeline.catalog.as_ref()?;
    Some(Product {
        made_by: "catalog",
        digest: settings::digest_of(&(&glue.database, &glue.silver_database)),
    })
}
