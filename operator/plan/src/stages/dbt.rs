//! What the dbt-runner's Jobs are made from, whichever layer they make. No network.

use medallion_crds::Worker;
use medallion_crds::launch::{DbtRunnerSettings, RunSettings};

use super::entry::{Batch, StageRequest, is_other};
use crate::build::pod::WorkerPod;
use crate::build::settings::{Launch, digest};
use crate::model::pipeline::ValidatedPipeline;
use crate::model::product::Product;

/// Folder of the dbt project in its image.
const PROJECT_PATH: &str = "/project";

pub(super) const POD: WorkerPod = WorkerPod {
    worker: Worker::DbtRunner,
    // What is not published yet is thrown away and done again.
    grace_seconds: 30,
    serves_http: false,
    uses_aws: true,
    uses_kafka: false,
};

/// A layer made from tables that may be made anew.
pub(super) const BATCH: Batch = Batch {
    launch,
    is_new: is_other,
    product,
};

/// `None` while the project's image is not known.
fn launch(request: &StageRequest<'_>, run: RunSettings) -> Option<(String, Launch)> {
    let settings = request.settings;
    let image = settings.pipeline.dbt_image.clone()?;
    let limits = settings
        .config
        .size(request.entry.worker(), request.wish.size.as_deref())
        .dbt;
    let launch = settings.launch(
        Some(request.entry.stage),
        &image,
        DbtRunnerSettings {
            run,
            contract: settings.contract(),
            lake: settings.lake(),
            project_path: PROJECT_PATH.to_owned(),
            memory_bytes: limits.memory_bytes,
            threads: limits.threads,
        },
    );
    Some((image, launch))
}

/// The project decides what the rows of a layer are. Its image is named, not read: the same name is taken for the same project.
fn product(pipeline: &ValidatedPipeline) -> Option<Product> {
    Some(Product {
        made_by: "dbt project",
        digest: digest(&[pipeline.dbt_image.as_ref()?]),
    })
}
