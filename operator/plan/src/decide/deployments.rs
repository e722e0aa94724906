//! What must stand for the streaming stages, and what no longer has to. No network.

use k8s_openapi::api::apps::v1::Deployment;
use medallion_crds::Worker;

use super::provisioning::Provisioning;
use crate::assess::streaming::Streaming;
use crate::model::action::Plan;
use crate::model::child::Child;
use crate::model::cluster::Contract;
use crate::model::{deployment, names};
use crate::stages::{Basis, Place, StageEntry, Work};

/// The streaming stages' objects and the accounts of all workers, stage by stage, unless something that the stage needs is missing:
/// then what stands of it goes on as it is. To pause, a stage needs nothing.
pub(crate) fn plan(basis: &Basis<'_>, provisioning: &Provisioning) -> Plan {
    let mut children = Vec::new();
    let mut later = Vec::new();
    let mut accounts: Vec<Worker> = Vec::new();
    for place in basis.places() {
        if !place.wish.has_pods() {
            continue;
        }
        if provisioning.hinders_change(place).is_some() && !pauses(basis, place) {
            later.extend(first_children(basis, place));
            continue;
        }
        let worker = place.entry.worker();
        let made = match &place.entry.work {
            // A stage with a fault keeps what it has, unless it is to pause.
            Work::Streaming(streaming) => match basis.request(place) {
                Some(request) => (streaming.children)(&request),
                None => continue,
            },
            Work::Batch(_) => Vec::new(),
        };
        if !accounts.contains(&worker) {
            accounts.push(worker);
            children.extend(basis.service_account(worker));
        }
        children.extend(made);
    }
    Plan {
        children,
        later,
        remove: without_place(basis).chain(that_must_rest(basis)).collect(),
        ..Plan::default()
    }
}

/// What a stage that has never stood begins with: users read of all names that somebody else has at once, and not of one after the other
/// as their stages' turns come.
fn first_children<'a>(basis: &Basis<'a>, place: Place<'a>) -> Vec<Child> {
    if basis.pipeline.refusal().is_some() || deployment_of(basis, place).is_some() {
        return Vec::new();
    }
    let Some(request) = basis.request(place) else {
        return Vec::new();
    };
    let made = match &place.entry.work {
        Work::Streaming(streaming) => (streaming.children)(&request),
        Work::Batch(_) => Vec::new(),
    };
    basis
        .service_account(place.entry.worker())
        .into_iter()
        .chain(made)
        .collect()
}

/// What works for stages that the pipeline does without, or has no pods for: whoever takes a stage out of the spec, or gives its work to a
/// function, waits for no other stage. Settings and accounts do nothing, and stay until all is well.
fn without_place(basis: &Basis<'_>) -> impl Iterator<Item = String> {
    basis
        .table
        .iter()
        .filter(|entry| matches!(entry.work, Work::Streaming(_)))
        .map(StageEntry::worker)
        .filter(move |worker| {
            let mut places = basis.places();
            places.all(|place| place.entry.worker() != *worker || !place.wish.has_pods())
        })
        .flat_map(move |worker| {
            let name = names::child(&basis.pipeline.name, worker);
            ["Deployment", "Service", "PodDisruptionBudget"].map(|kind| format!("{kind}/{name}"))
        })
}

/// What works although its stage pauses. Without the contract, or from a spec that is refused, no Deployment can be made that wants no
/// pods, but the one there is can go: a pause needs nobody's leave.
fn that_must_rest(basis: &Basis<'_>) -> impl Iterator<Item = String> {
    let is_gone = matches!(basis.observed.contract, Contract::Missing | Contract::KeyMissing { .. });
    let paused = basis.streaming().filter(move |(place, _)| {
        let works = deployment_of(basis, *place).is_some_and(|found| !deployment::is_at_rest(found));
        let cannot_be_made = is_gone || basis.pipeline.fault(place.entry.stage).is_some();
        cannot_be_made && works && basis.is_suspended(*place)
    });
    paused.map(move |(place, _)| format!("Deployment/{}", name(basis, place)))
}

/// Whether a stage that has a Deployment is to pause.
fn pauses(basis: &Basis<'_>, place: Place<'_>) -> bool {
    basis.is_suspended(place) && deployment_of(basis, place).is_some()
}

fn deployment_of<'a>(basis: &Basis<'a>, place: Place<'_>) -> Option<&'a Deployment> {
    basis.observed.deployment(&name(basis, place))
}

fn name(basis: &Basis<'_>, place: Place<'_>) -> String {
    names::child(&basis.pipeline.name, place.entry.worker())
}

/// What stays, if it is known: until the new pods stand, an old one that is lost is made again, and mounts what it was made with.
pub(crate) fn keep(
    basis: &Basis<'_>,
    provisioning: &Provisioning,
    planned: &[Child],
    streaming: &[Streaming<'_>],
) -> Plan {
    let settled =
        provisioning.done && basis.pipeline.faults.is_empty() && streaming.iter().all(|stage| stage.rolled_out);
    let keep = settled.then(|| {
        let own = provisioning.plan.children.iter().chain(planned);
        let mounted = basis.observed.mounted_settings();
        own.map(|child| format!("{}/{}", child.kind(), child.name()))
            .chain(mounted.map(|name| format!("ConfigMap/{name}")))
            .collect()
    });
    Plan {
        keep,
        ..Plan::default()
    }
}
