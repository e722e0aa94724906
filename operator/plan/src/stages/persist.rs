//! Persist: the consumer's Deployment. No network.

use medallion_crds::launch::ConsumerSettings;
use medallion_crds::pipeline::DependencyKind;
use medallion_crds::{Stage, Worker};

use super::entry::{StageEntry, StageRequest, Streaming, Work};
use crate::build::deployment::{self, DeploymentRequest};
use crate::build::pod::WorkerPod;
use crate::model::child::Child;
use crate::model::wish::streaming_wish;

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
    wish: |stage, spec| {
        Some(streaming_wish!(
            stage,
            spec.stages.persist,
            spec.stages.persist.replicas
        ))
    },
    work: Work::Streaming(Streaming {
        children,
        source_keeps_seconds: None,
        function: None,
    }),
};

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
            expire_after_days: pipeline.expire_after_days,
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
