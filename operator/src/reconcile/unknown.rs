//! Tells runs of a pipeline that does not exist what they wait for. Talks to the Kubernetes API.

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use medallion_crds::{Pipeline, Reason, StageRun, StageRunStatus, labels};
use medallion_plan::conditions::{self, Wanted};
use medallion_plan::is_over;
use serde_json::json;

use crate::api::call::{CallError, call};
use crate::context::Context;
use crate::key::PipelineKey;
use crate::metrics::Metrics;
use crate::watch::room::Room;

/// Writes the status of each run that waits for the pipeline.
pub(crate) async fn tell(context: &Context, key: &PipelineKey, room: &Room) -> Result<(), CallError> {
    let api: Api<StageRun> = Api::namespaced(context.client.clone(), &key.namespace);
    for run in room.runs.values().filter(|run| waits(run)) {
        let Some(status) = status(run, key, Timestamp::now()) else {
            continue;
        };
        let name = run.name_any();
        let patch = json!({
            "apiVersion": StageRun::api_version(&()),
            "kind": StageRun::kind(&()),
            "metadata": {"name": name, "uid": run.uid(), "resourceVersion": run.resource_version()},
            "status": status,
        });
        let parameters = PatchParams::apply(labels::MANAGER).force();
        let patch = Patch::Apply(&patch);
        let written = api.patch_status(&name, &parameters, &patch);
        match call(|| format!("write status of StageRun {name}"), written).await {
            Ok(_) => {
                Metrics::count(&context.metrics.writes, "StageRun/status");
                tracing::warn!(
                    run = name,
                    namespace = &*key.namespace,
                    "run of a Pipeline that does not exist"
                );
            }
            // The watch shows soon what became of it.
            Err(error) if error.is_conflict() || error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// One that a pipeline owned goes with it.
fn waits(run: &StageRun) -> bool {
    let is_owned = run
        .owner_references()
        .iter()
        .any(|owner| owner.kind == Pipeline::kind(&()));
    !is_over(run) && !is_owned && run.metadata.deletion_timestamp.is_none()
}

/// The status that says so; `None` if it says so already.
fn status(run: &StageRun, key: &PipelineKey, now: Timestamp) -> Option<StageRunStatus> {
    let reason = &Reason::PipelineMissing;
    let mut status = run.status.clone().unwrap_or_default();
    let message = format!(
        "no Pipeline {} in namespace {}: create it, or delete this run and make one that names a Pipeline that exists (spec.pipelineRef.name)",
        key.name, key.namespace
    );
    if status
        .conditions
        .iter()
        .any(|condition| condition.reason == reason.as_str() && condition.message == message)
    {
        return None;
    }
    let generation = run.metadata.generation.unwrap_or_default();
    let wanted = [("Succeeded", "Unknown"), ("Stalled", "True")].map(|(kind, value)| Wanted {
        kind,
        status: value,
        reason,
        message: &message,
    });
    status.observed_generation = generation;
    status.conditions = conditions::set(&status.conditions, &wanted, generation, now);
    Some(status)
}
