//! Persist: the consumer's Deployment. No network.

use medallion_crds::launch::ConsumerSettings;
use medallion_crds::pipeline::{DependencyKind, PipelineSpec};
use medallion_crds::{Stage, Worker};

use super::entry::{StageEntry, StageRequest, Streaming, Work};
use crate::build::deployment::{self, DeploymentRequest};
use crate::build::pod::WorkerPod;
use crate::model::child::Child;
use crate::model::pipeline::{StageWish, WorkWish};

pub(super) const STAGE: StageEntry = StageEntry {
    stage: Stage::Persist,
    pod: WorkerPod {
        worker: Worker::Consumer,
        // Puts in flight, their commit and leaving the group.
        grace_seconds: 45,
        serves_http: false,
        uses_aws: true,
        uses_kafka: true,
    },
    upstream: Some(Stage::Ingest),
    pauses_with: Some(Stage::Bronze),
    needs: &[
        DependencyKind::Contract,
        DependencyKind::Topic,
        DependencyKind::DeadLetterTopic,
        DependencyKind::ConsumerGroup,
        DependencyKind::Table,
    ],
    wish,
    work: Work::Streaming(Streaming {
        children,
        source_keeps_seconds: None,
    }),
};

#[allow(
    clippy::unnecessary_wraps,
    reason = "a row of the table: other stages may be left out"
)]
fn wish(stage: Stage, spec: &PipelineSpec) -> Option<StageWish> {
    let wish = &spec.stages.persist;
    Some(StageWish {
        stage,
        suspend: wish.suspend,
        size: wish.size.clone(),
        max_age_seconds: wish.max_age_seconds,
        service_account: wish.service_account_name.clone(),
        work: WorkWish::Streaming {
            replicas: wish.replicas,
        },
    })
}

fn children(request: &StageRequest<'_>) -> Vec<Child> {
    let settings = request.settings;
    let (pipeline, config) = (settings.pipeline, settings.config);
    let launch = settings.launch(
        Some(request.entry.stage),
        &config.images.workers,
        ConsumerSettings {
            contract: settings.contract(),
            kafka: settings.kafka(),
            group: settings.consumer_group(),
            table: pipeline.table.clone(),
            max_in_flight: 64,
            max_buffer_bytes: 64 * 1024 * 1024,
        },
    );
    deployment::children(
        pipeline,
        config,
        DeploymentRequest {
            stage: request.entry.stage,
            pod: request.entry.pod,
            replicas: request.replicas(),
            recreate: false,
            tokens: None,
            service_account: request.service_account(),
            size: request.wish.size.as_deref(),
            launch: &launch,
        },
    )
}
