//! The pipeline's status, put together, and the events that tell of its turns. No network.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use medallion_crds::pipeline::{
    DbtStatus, Dependency, DependencyKind, DependencyState, Endpoints, PipelineStatus, StageState,
};
use medallion_crds::text::cut;
use medallion_crds::{Reason, Stage};

use super::health::{self, Health};
use super::readiness::{self, Readiness};
use super::{bounded, events, stage};
use crate::assess::dead_letters;
use crate::assess::streaming::Streaming;
use crate::build::service;
use crate::decide::batch::BatchStages;
use crate::decide::provisioning::{self, Provisioning};
use crate::model::action::{Plan, PlanError};
use crate::model::conditions::{self, Wanted};
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
    stages.extend(batch.stages.iter().map(|one| stage::batch(basis, one, waits_for)));
    let dead_letters = dead_letters::measured(basis);
    let health = health::judge(pipeline, &stages, dead_letters.as_ref(), unmeasured(streaming), now);
    let readiness = readiness::judge(basis, waits_for, streaming);
    let secret = provisioning::secret_name(pipeline).map(|name| secret_dependency(name, streaming));
    let status = bounded::bounded(PipelineStatus {
        observed_generation: pipeline.generation,
        conditions: all_conditions(basis, &readiness, &health),
        stages,
        dead_letters,
        dependencies: provisioning.dependencies.iter().cloned().chain(secret).collect(),
        provisioning: provisioning.status.clone(),
        endpoints: Some(endpoints(basis)),
        contract: provisioning.contract.clone(),
        dbt: pipeline.dbt_image.clone().map(|image| DbtStatus { image }),
        last_handled_requested_at: batch.handled_request.clone(),
        ..PipelineStatus::default()
    })
    .map_err(PlanError::Status)?;
    let turns = streaming.iter().filter_map(|stage| stage.turns_at).min();
    // Why a pod does not start, or is not made, is told by events, which nobody watches.
    let starting = observed.pods.iter().any(pod::is_starting) || observed.jobs_without_pods().next().is_some();
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

/// Where the pipeline is reached: at the first stage that serves events.
fn endpoints(basis: &Basis<'_>) -> Endpoints {
    let serving = basis.places().find(|place| place.entry.pod.serves_http);
    Endpoints {
        ingest: serving.map(|place| service::endpoint(basis.pipeline, place.entry.worker())),
    }
}

/// The four conditions, as generic tools read them.
fn all_conditions(basis: &Basis<'_>, readiness: &Readiness, health: &Health) -> Vec<Condition> {
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
    let mut wanted = vec![ready, healthy];
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

/// The first streaming stage that does not tell how it is getting on, as far as it is expected to.
fn unmeasured(streaming: &[Streaming<'_>]) -> Option<Stage> {
    streaming
        .iter()
        .find(|stage| !stage.measured && stage.state != StageState::Failed)
        .map(|stage| stage.place.entry.stage)
}
