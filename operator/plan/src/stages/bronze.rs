//! Bronze: the exporter's Deployment, one pod at a time, because the stream's positions have one writer. It stands also where a
//! function writes: it alone can look at log and stream, and hand the stream over. No network.

use medallion_crds::launch::ExporterSettings;
use medallion_crds::pipeline::DependencyKind;
use medallion_crds::{Stage, Worker};

use super::entry::{StageEntry, StageRequest, Streaming, Work};
use crate::build::deployment::{self, DeploymentRequest};
use crate::build::pod::WorkerPod;
use crate::build::settings::{Launch, LaunchSettings};
use crate::model::child::Child;
use crate::model::wish::streaming_wish;

pub(super) const STAGE: StageEntry = StageEntry {
    stage: Stage::Bronze,
    pod: WorkerPod {
        worker: Worker::Exporter,
        // The last flush.
        grace_seconds: 45,
        serves_http: false,
        uses_aws: true,
        uses_kafka: false,
    },
    upstream: Some(Stage::Persist),
    pauses_with: None,
    needs: &[
        DependencyKind::Contract,
        DependencyKind::Table,
        DependencyKind::BronzeBucket,
    ],
    wish: |stage, spec| Some(streaming_wish!(stage, spec.stages.bronze, Some(1))),
    work: Work::Streaming(Streaming {
        children,
        source_keeps_seconds: Some(86_400),
        function: Some(function),
    }),
};

fn settings(settings: &LaunchSettings<'_>) -> ExporterSettings {
    let pipeline = settings.pipeline;
    ExporterSettings {
        contract: settings.contract(),
        table: pipeline.table.clone(),
        lake: settings.lake(),
        runs_on: pipeline.bronze_runs_on,
        flush_max_bytes: pipeline.flush.max_bytes,
        flush_max_age_seconds: pipeline.flush.max_age_seconds,
        poll_milliseconds: 500,
    }
}

/// As the pod's: both write the same table, and each reads in it who is to write.
fn function(launch: &LaunchSettings<'_>) -> Launch {
    launch.launch(Some(Stage::Bronze), "", settings(launch))
}

fn children(request: &StageRequest<'_>) -> Vec<Child> {
    let settings = request.settings;
    let (pipeline, config) = (settings.pipeline, settings.config);
    let launch = settings.launch(
        Some(request.entry.stage),
        &config.images.workers,
        self::settings(&settings),
    );
    deployment::children(
        pipeline,
        config,
        DeploymentRequest {
            stage: request.entry.stage,
            pod: request.entry.pod,
            replicas: request.replicas(),
            recreate: true,
            tokens: None,
            service_account: request.service_account(),
            size: request.wish.size.as_deref(),
            launch: &launch,
        },
    )
}
