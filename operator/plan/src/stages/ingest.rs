//! Ingest: the gateway's Deployment, Service and disruption budget, or the settings of its function. No network.

use medallion_crds::launch::{GatewaySettings, TOKENS_PATH};
use medallion_crds::pipeline::{DependencyKind, RunsOn};
use medallion_crds::{Stage, Worker};

use super::entry::{StageEntry, StageRequest, Streaming, Work};
use crate::build::deployment::{self, DeploymentRequest};
use crate::build::pod::WorkerPod;
use crate::build::service;
use crate::build::settings::{Launch, LaunchSettings};
use crate::model::child::Child;
use crate::model::wish::streaming_wish;

/// How long a gateway is unready before it closes its listener.
const DRAIN_SECONDS: i32 = 5;
/// Longest time for one request to the gateway.
const REQUEST_SECONDS: i32 = 30;
/// Longest time for one request to the function: an HTTP API gives up after 30 s, and its client shall get our answer.
const FUNCTION_REQUEST_SECONDS: i32 = 25;

pub(super) const STAGE: StageEntry = StageEntry {
    stage: Stage::Ingest,
    pod: WorkerPod {
        worker: Worker::Gateway,
        // Unready first, then the longest request, then what the producer still holds.
        grace_seconds: DRAIN_SECONDS + REQUEST_SECONDS + 10,
        serves_http: true,
        // It speaks to Kafka alone and gets no right on anything of AWS.
        uses_aws: false,
        uses_kafka: true,
    },
    upstream: None,
    pauses_with: None,
    needs: &[DependencyKind::Contract, DependencyKind::Topic],
    wish: |stage, spec| {
        let part = spec.stages.ingest.as_ref()?;
        Some(streaming_wish!(
            stage,
            part,
            part.replicas,
            part.runs_on == RunsOn::Cluster
        ))
    },
    work: Work::Streaming(Streaming {
        children,
        source_keeps_seconds: None,
        function: Some(function),
    }),
};

fn settings(settings: &LaunchSettings<'_>) -> GatewaySettings {
    GatewaySettings {
        contract: settings.contract(),
        kafka: settings.kafka(),
        tokens_path: settings.pipeline.tokens.as_ref().map(|_| TOKENS_PATH.to_owned()),
        drain_seconds: DRAIN_SECONDS,
        max_body_bytes: 8 * 1024 * 1024,
        max_events_per_request: 5000,
        request_timeout_seconds: REQUEST_SECONDS,
        max_buffer_bytes: 64 * 1024 * 1024,
    }
}

/// As the pods', but for how long a request takes; and nothing drains, because a function has one request at a time.
fn function(launch: &LaunchSettings<'_>) -> Launch {
    let settings = GatewaySettings {
        drain_seconds: 0,
        request_timeout_seconds: FUNCTION_REQUEST_SECONDS,
        ..settings(launch)
    };
    launch.launch(Some(Stage::Ingest), "", settings)
}

fn children(request: &StageRequest<'_>) -> Vec<Child> {
    let settings = request.settings;
    let (pipeline, config) = (settings.pipeline, settings.config);
    let (stage, worker) = (request.entry.stage, request.entry.worker());
    let launch = settings.launch(Some(stage), &config.images.workers, self::settings(&settings));
    let mut all = deployment::children(
        pipeline,
        config,
        DeploymentRequest {
            stage,
            pod: request.entry.pod,
            replicas: request.replicas(),
            recreate: false,
            tokens: pipeline.tokens.as_ref(),
            service_account: request.service_account(),
            size: request.wish.size.as_deref(),
            launch: &launch,
        },
    );
    all.push(Child::Service(Box::new(service::service(pipeline, stage, worker))));
    all.push(Child::PodDisruptionBudget(Box::new(service::disruption_budget(
        pipeline, stage, worker,
    ))));
    all
}
