//! The pipeline's status, put together, and the events of its turns. No network.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use medallion_crds::pipeline::{
    DbtStatus, Dependency, DependencyKind, DependencyState, Endpoints, KafkaStatus, PipelineStatus, StageState,
};
use medallion_crds::text::cut;
use medallion_crds::{Reason, Severity};

use super::health::{self, Health};
use super::readiness::{self, Readiness};
use super::{bounded, events, stage};
use crate::assess::dead_letters;
use crate::assess::streaming::Streaming;
use crate::build::service;
use crate::build::volumes::{KAFKA_CA, KAFKA_CREDENTIALS};
use crate::decide::batch::BatchStages;
use crate::decide::provisioning::{self, Provisioning};
use crate::model::action::{Plan, PlanError};
use crate::model::conditions::{self, Wanted};
use crate::model::obstacle::Obstacle;
use crate::model::{pod, time};
use crate::stages::Basis;

/// Without any other reason a pipeline is looked at again after this long.
const RESYNC_SECONDS: i32 = 60;
/// How often pods that are starting are looked at.
const START_SECONDS: i32 = 5;

/// What is true of the pipeline, and when it is to be looked at again.
pub(crate) fn report(
    basis: &Basis<'_>,
    provisioning: &Provisioning,
    streaming: &[Streaming<'_>],
    batch: &BatchStages<'_>,
) -> Result<Plan, PlanError> {
    let (pipeline, observed, now) = (basis.pipeline, basis.observed, basis.now);
    let waits_for = provisioning.obstacle.as_ref();
    let mut stages: Vec<_> = streaming.iter().map(|one| stage::streaming(basis, one)).collect();
    stages.extend(batch.stages.iter().map(|one| stage::batch(basis, one)));
    let dead_letters = dead_letters::measured(basis);
    let health = health::judge(pipeline, &stages, dead_letters.as_ref(), unmeasured(streaming), now);
    let readiness = readiness::judge(basis, waits_for, streaming);
    // A function has its tokens elsewhere.
    let serves = basis
        .places()
        .any(|place| place.entry.pod.serves_http && place.wish.has_pods());
    let secret = provisioning::secret_name(pipeline)
        .filter(|_| serves)
        .map(|name| secret_dependency(name, streaming));
    let status = PipelineStatus {
        observed_generation: pipeline.generation,
        conditions: all_conditions(basis, provisioning, &readiness, &health),
        stages,
        dead_letters,
        dependencies: provisioning.dependencies.iter().cloned().chain(secret).collect(),
        provisioning: provisioning.status.clone(),
        endpoints: Some(endpoints(basis)),
        contract: provisioning.contract.clone(),
        dbt: pipeline.dbt_image.clone().map(|image| DbtStatus { image }),
        last_handled_requested_at: batch.handled_request.clone(),
        owner: Some(basis.owner().to_string()),
        kafka: Some(KafkaStatus {
            consumer_group: basis.consumer_group(),
            topic_id: topic_id(basis, streaming),
        }),
    };
    let status = bounded::bounded(status, basis.table).map_err(PlanError::Status)?;
    let turns = streaming.iter().filter_map(|stage| stage.turns_at).min();
    // Why a pod does not start, or is not made, stands in events, which nobody watches.
    let starting =
        observed.pods.iter().any(|pod| pod::is_starting(pod)) || observed.jobs_without_pods().next().is_some();
    let looks = [
        health.turns_at,
        turns,
        starting.then(|| time::later(now, START_SECONDS)),
        Some(time::later(now, RESYNC_SECONDS)),
    ];
    Ok(Plan {
        events: events::of_transitions(&observed.stored, &status),
        status: Some(status),
        wake_at: looks.into_iter().flatten().min(),
        ..Plan::default()
    })
}

/// The topic as the pods that read it know it, or as they last did.
fn topic_id(basis: &Basis<'_>, streaming: &[Streaming<'_>]) -> Option<String> {
    let said = streaming.iter().find_map(|stage| stage.figures.topic_id.as_deref());
    let before = basis.observed.stored.kafka.as_ref();
    said.map(|id| cut(id, 64))
        .or_else(|| before.and_then(|kafka| kafka.topic_id.clone()))
}

/// Where the pipeline is reached inside the cluster: at the first stage that serves events there.
fn endpoints(basis: &Basis<'_>) -> Endpoints {
    let mut places = basis.places();
    let serving = places.find(|place| place.entry.pod.serves_http && place.wish.has_pods());
    Endpoints {
        ingest: serving.map(|place| service::endpoint(basis.pipeline, place.entry.worker())),
    }
}

/// The conditions: what was accepted, what is there, whether the workloads stand, whether data is fresh; and what generic tools read.
fn all_conditions(
    basis: &Basis<'_>,
    provisioning: &Provisioning,
    readiness: &Readiness,
    health: &Health,
) -> Vec<Condition> {
    let refusal = basis.pipeline.faults.first();
    let accepted = refusal.map_or_else(
        || Obstacle::new(Reason::Accepted, "the references and the configuration are good"),
        |fault| Obstacle::new(fault.reason.clone(), &fault.message),
    );
    let accepted = Wanted {
        kind: "Accepted",
        status: if refusal.is_none() { "True" } else { "False" },
        reason: &accepted.reason,
        message: &accepted.message,
    };
    let there = Obstacle::new(
        Reason::DependenciesExist,
        "everything that the pipeline depends on is as it must be",
    );
    let (status, obstacle) = match &provisioning.obstacle {
        None => ("True", &there),
        Some(obstacle) if obstacle.reason == Reason::RollingOut => ("True", &there),
        // Nobody knows yet.
        Some(obstacle) if obstacle.reason.severity() == Severity::Normal => ("Unknown", obstacle),
        Some(obstacle) => ("False", obstacle),
    };
    let dependencies = Wanted {
        kind: "DependenciesReady",
        status,
        reason: &obstacle.reason,
        message: &obstacle.message,
    };
    let ready = Wanted {
        kind: "Ready",
        status: if readiness.ready { "True" } else { "False" },
        reason: &readiness.reason,
        message: &readiness.message,
    };
    let healthy = Wanted {
        kind: "Healthy",
        status: health.status,
        reason: &health.reason,
        message: &health.message,
    };
    let mut wanted = vec![accepted, dependencies, ready, healthy];
    if !readiness.ready {
        wanted.push(Wanted {
            kind: if readiness.stalled { "Stalled" } else { "Reconciling" },
            status: "True",
            reason: &readiness.reason,
            message: &readiness.message,
        });
    }
    conditions::set(
        &basis.observed.stored.conditions,
        &wanted,
        basis.pipeline.generation,
        basis.now,
    )
}

/// The dependency on the gateway's Secret, which the operator must not read: known only by what its pods say.
fn secret_dependency(name: String, streaming: &[Streaming<'_>]) -> Dependency {
    let serving = streaming.iter().find(|stage| stage.place.entry.pod.serves_http);
    let obstacle = serving.and_then(|stage| stage.obstacle.as_ref());
    // Those for the brokers are another matter.
    let obstacle = obstacle.filter(|obstacle| {
        let volume = obstacle.volume.as_deref();
        volume.is_none_or(|volume| volume != KAFKA_CA && volume != KAFKA_CREDENTIALS)
    });
    let missed = obstacle.and_then(|obstacle| match obstacle.reason {
        Reason::SecretMissing => Some(DependencyState::Missing),
        Reason::SecretKeyMissing => Some(DependencyState::Differs),
        _ => None,
    });
    let stands = serving.is_some_and(|stage| stage.ready_replicas.unwrap_or_default() > 0);
    Dependency {
        name,
        kind: DependencyKind::Secret,
        state: missed.unwrap_or(if stands {
            DependencyState::Exists
        } else {
            DependencyState::Unknown
        }),
        message: obstacle
            .filter(|_| missed.is_some())
            .map(|obstacle| cut(&obstacle.message, 1024)),
    }
}

/// Why the first streaming stage that is not known is not, as far as it is expected to be.
fn unmeasured<'a>(streaming: &'a [Streaming<'_>]) -> Option<&'a Obstacle> {
    streaming
        .iter()
        .filter(|stage| stage.state != StageState::Failed)
        .find_map(|stage| stage.unmeasured.as_ref())
}
