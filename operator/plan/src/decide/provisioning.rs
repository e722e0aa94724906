//! Creating or verifying the dependencies, again and again until everything is as it must be. No network.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use medallion_crds::Reason;
use medallion_crds::launch::report::{ProvisionReport, Report};
use medallion_crds::pipeline::{ContractStatus, Dependency, DependencyKind, DependencyState, ProvisioningStatus};
use medallion_crds::text::cut;

use super::retention;
use crate::build::settings::Launch;
use crate::model::action::Plan;
use crate::model::cluster::Contract;
use crate::model::job::{self, JobEnd};
use crate::model::obstacle::Obstacle;
use crate::model::pipeline::ValidatedPipeline;
use crate::model::pod;
use crate::model::time::{self, whole_seconds};
use crate::stages::{Basis, Place, provisioner};

const BACK_OFF_SECONDS: i32 = 5;
const LONGEST_BACK_OFF_SECONDS: i32 = 300;
/// How many pipelines begin to take a changed image or configuration in a second.
const ROLLED_PER_SECOND: i64 = 5;
/// How often a missing `ConfigMap` is looked for.
const CONTRACT_SECONDS: i32 = 5;
/// What the name of the dependency on the contract's `ConfigMap` begins with.
const CONFIG_MAP: &str = "ConfigMap/";
/// How many dependencies a status lists.
const DEPENDENCIES: usize = 30;

/// Where provisioning stands, and its next step.
pub(crate) struct Provisioning {
    /// Everything is as it must be for this very spec.
    pub done: bool,
    /// The provisioner has reported what it found for this very spec, image and configuration.
    reported: bool,
    /// The last try did not succeed, or something keeps the one under way from starting.
    in_trouble: bool,
    pub status: Option<ProvisioningStatus>,
    pub dependencies: Vec<Dependency>,
    pub contract: Option<ContractStatus>,
    /// What keeps it from being done.
    pub obstacle: Option<Obstacle>,
    /// What it does.
    pub plan: Plan,
}

/// The next step.
pub(crate) fn step(basis: &Basis<'_>) -> Provisioning {
    let stored = &basis.observed.stored;
    let mut provisioning = Provisioning {
        done: false,
        reported: false,
        in_trouble: false,
        status: stored.provisioning.clone(),
        dependencies: reported(basis),
        contract: stored.contract.clone(),
        obstacle: None,
        plan: Plan {
            children: provisioner::children(basis.pipeline, basis.config),
            ..Plan::default()
        },
    };
    if let Some(refusal) = basis.pipeline.refusal() {
        provisioning.plan = Plan::default();
        provisioning.obstacle = Some(Obstacle::new(refusal.reason.clone(), &refusal.message));
        return provisioning;
    }
    match basis.settings() {
        Some(settings) => provisioning.with_contract(basis, &provisioner::launch(basis, &settings)),
        None => provisioning.without_contract(basis),
    }
    let dependency = contract_dependency(basis.pipeline, &basis.observed.contract);
    provisioning.dependencies.insert(0, dependency);
    provisioning.dependencies.truncate(DEPENDENCIES);
    provisioning
}

impl Provisioning {
    /// What keeps a stage from being started or changed: nothing is known for this spec and image, or something that it needs is
    /// not there.
    pub fn hinders_change(&self, place: Place<'_>) -> Option<Obstacle> {
        let waits = || self.obstacle.clone().filter(|_| !self.reported);
        waits().or_else(|| self.lacks(place))
    }

    /// What keeps a stage from going on: what it needs was not found, be it by the provisioner of another image.
    pub fn hinders_runs(&self, place: Place<'_>) -> Option<Obstacle> {
        self.lacks(place)
    }

    fn lacks(&self, place: Place<'_>) -> Option<Obstacle> {
        // Nothing was found yet, or nothing may be done.
        let blind = self
            .dependencies
            .iter()
            .all(|dependency| dependency.kind == DependencyKind::Contract);
        if self.status.is_none() || blind {
            return self.obstacle.clone();
        }
        // All pods mount the ConfigMap, whether their stage needs what is in it or not.
        let needs =
            |dependency: &&Dependency| place.entry.needs.contains(&dependency.kind) || is_config_map(dependency);
        let unmet: Vec<_> = self
            .dependencies
            .iter()
            .filter(needs)
            .filter(|dependency| !dependency.state.is_met())
            .cloned()
            .collect();
        if unmet.is_empty() {
            return None;
        }
        let unknown = unmet
            .iter()
            .all(|dependency| dependency.state == DependencyState::Unknown);
        self.obstacle
            .clone()
            .filter(|_| unknown)
            .or_else(|| Some(missing(&unmet)))
    }

    fn without_contract(&mut self, basis: &Basis<'_>) {
        self.plan.wake_at = Some(time::later(basis.now, CONTRACT_SECONDS));
        self.obstacle = Some(contract_obstacle(basis));
    }

    fn with_contract(&mut self, basis: &Basis<'_>, launch: &Launch) {
        let (pipeline, now) = (basis.pipeline, basis.now);
        let mut status = match self.status.take() {
            Some(known) if known.hash == launch.hash => known,
            Some(other) if provisioner::is_same_wish(&other.hash, &launch.hash) => turn(basis, launch),
            _ => {
                // What was found for another wish says nothing about this one.
                for dependency in &mut self.dependencies {
                    (dependency.state, dependency.message) = (DependencyState::Unknown, None);
                }
                begun(launch)
            }
        };
        if !status.succeeded {
            if let Some(retry) = status.retry_time.clone() {
                if now >= retry.0 {
                    status.attempt += 1;
                    status.retry_time = None;
                } else {
                    self.in_trouble = true;
                    self.plan.wake_at = Some(retry.0);
                }
            }
            if status.retry_time.is_none() {
                self.look(&mut status, basis, launch);
            }
            if !status.succeeded {
                self.obstacle = Some(self.obstacle_of(&status));
            }
        }
        self.done = status.succeeded;
        self.reported = status.reported;
        let current = provisioner::name(pipeline, &status.hash, status.attempt);
        self.plan.delete_jobs = retention::tries_to_delete(basis.observed, &current);
        self.status = Some(status);
    }

    /// Looks at the try under way, or starts it.
    fn look(&mut self, status: &mut ProvisioningStatus, basis: &Basis<'_>, launch: &Launch) {
        let Basis {
            pipeline,
            observed,
            now,
            ..
        } = *basis;
        self.plan.wake_at = Some(time::later(now, CONTRACT_SECONDS));
        let name = provisioner::name(pipeline, &status.hash, status.attempt);
        let Some(job) = observed.job(&name) else {
            // Until the next try is seen, what is known is how the last one ended.
            self.in_trouble = status.attempt > 1;
            let job = provisioner::job(pipeline, basis.config, launch, status.attempt);
            self.plan.create_jobs = vec![job];
            return;
        };
        let pods = observed.pods_of_job(job);
        let ended = pods.iter().find_map(|pod| pod::terminated(pod)).filter(|ended| {
            // Taken away before it could say anything: Kubernetes starts another pod.
            ended.message.is_some() || job::end(job).is_some()
        });
        match ended.map(|ended| (ended, pod::report(ended))) {
            Some((ended, Some(Report::Provision(report)))) => self.reported(status, report, ended.exit_code, basis),
            Some((_, Some(Report::Failure(failure)))) => {
                self.failed(status, &format!("{}: {}", failure.reason, failure.message), basis);
            }
            Some((ended, _)) => {
                let words = ended.message.as_deref().unwrap_or("no message").trim();
                self.failed(
                    status,
                    &format!("the provisioner ended with exit code {}: {words}", ended.exit_code),
                    basis,
                );
            }
            None => {
                let obstacle = observed
                    .obstacle_of(job, now)
                    .map(|obstacle| format!("{}: {}", obstacle.reason, obstacle.message));
                match job::end(job) {
                    None => {
                        self.in_trouble = obstacle.is_some();
                        status.message = obstacle.map(|message| cut(&message, 1024));
                    }
                    Some(end) => {
                        let message = "the provisioner ended and left no report";
                        let message = match (obstacle, end) {
                            (Some(obstacle), _) => format!("{message}: {obstacle}"),
                            (None, JobEnd::Failed { reason, message: why }) => format!("{message}: {reason}: {why}"),
                            (None, JobEnd::Complete) => message.to_owned(),
                        };
                        self.failed(status, &message, basis);
                    }
                }
            }
        }
    }

    fn reported(
        &mut self,
        status: &mut ProvisioningStatus,
        report: ProvisionReport,
        exit_code: i32,
        basis: &Basis<'_>,
    ) {
        status.reported = true;
        self.dependencies = report.dependencies;
        for dependency in &mut self.dependencies {
            dependency.name = cut(&dependency.name, 300);
            dependency.message = dependency.message.take().map(|message| cut(&message, 1024));
        }
        if !report.contract_versions.is_empty() {
            self.contract = Some(ContractStatus {
                versions: report.contract_versions,
            });
        }
        let unmet = self.dependencies.iter().any(|dependency| !dependency.state.is_met());
        if unmet || exit_code != 0 || self.contract.is_none() {
            let message = format!("not everything is as it must be (exit code {exit_code})");
            self.failed(status, &message, basis);
        } else {
            status.succeeded = true;
            status.message = None;
            self.plan.wake_at = None;
        }
    }

    fn failed(&mut self, status: &mut ProvisioningStatus, message: &str, basis: &Basis<'_>) {
        let wait = time::back_off(BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS, status.attempt);
        let seed = format!("{} {}", basis.pipeline.uid, status.attempt);
        let retry = time::after(whole_seconds(basis.now), time::jittered(wait, &seed));
        let retry = whole_seconds(retry);
        self.in_trouble = true;
        status.message = Some(cut(message, 1024));
        status.retry_time = Some(Time(retry));
        self.plan.wake_at = Some(retry);
    }

    fn obstacle_of(&self, status: &ProvisioningStatus) -> Obstacle {
        let unmet: Vec<_> = self
            .dependencies
            .iter()
            .filter(|dependency| !dependency.state.is_met())
            .cloned()
            .collect();
        if status.attempt == 0 {
            return self.waits_for_turn(&unmet);
        }
        if status.reported && !unmet.is_empty() {
            return missing(&unmet);
        }
        match &status.message {
            Some(message) if self.in_trouble => Obstacle::new(Reason::ProvisioningFailed, message),
            _ => Obstacle::new(
                Reason::Provisioning,
                "the provisioner looks at what the pipeline depends on",
            ),
        }
    }

    /// What is said until the pipeline's turn has come: what was found before holds meanwhile.
    fn waits_for_turn(&self, unmet: &[Dependency]) -> Obstacle {
        let turns = "a changed image or Helm value is taken up by the pipelines in turns";
        if unmet
            .iter()
            .any(|dependency| dependency.state != DependencyState::Unknown)
        {
            missing(unmet)
        } else if self.dependencies.is_empty() || !unmet.is_empty() {
            let message = format!("{turns}; then the provisioner looks at what the pipeline depends on");
            Obstacle::new(Reason::Provisioning, message)
        } else {
            let message = format!("{turns}; what stands goes on meanwhile");
            Obstacle::new(Reason::RollingOut, message)
        }
    }
}

fn begun(launch: &Launch) -> ProvisioningStatus {
    ProvisioningStatus {
        hash: launch.hash.clone(),
        succeeded: false,
        reported: false,
        attempt: 1,
        retry_time: None,
        message: None,
    }
}

/// A changed image or configuration alone: each pipeline has its turn, spread over a time that grows with their number, so that they do
/// not all roll at once. What was not well has its turn too: an image that cannot be started leaves all pipelines so, and the next one,
/// or the way back, comes to all of them together.
fn turn(basis: &Basis<'_>, launch: &Launch) -> ProvisioningStatus {
    let begun = begun(launch);
    let delay = time::share(&basis.pipeline.uid, basis.observed.pipelines / ROLLED_PER_SECOND);
    if delay == 0 {
        return begun;
    }
    let delay = i32::try_from(delay).unwrap_or(i32::MAX);
    ProvisioningStatus {
        attempt: 0,
        retry_time: Some(Time(time::later(whole_seconds(basis.now), delay))),
        ..begun
    }
}

/// Names what is missing, the first ones with their fix.
fn missing(unmet: &[Dependency]) -> Obstacle {
    let shown: Vec<_> = unmet
        .iter()
        .take(3)
        .map(|dependency| match &dependency.message {
            Some(message) => format!("{}: {message}", dependency.name),
            None => format!("{} is {:?}", dependency.name, dependency.state),
        })
        .collect();
    let mut message = shown.join("; ");
    if unmet.len() > shown.len() {
        message = format!(
            "{message}; and {} more, see status.dependencies",
            unmet.len() - shown.len()
        );
    }
    Obstacle::new(Reason::DependenciesMissing, message)
}

/// What the last report said; the `ConfigMap` and the Secret are looked at anew each time, whatever their names were before.
fn reported(basis: &Basis<'_>) -> Vec<Dependency> {
    let is_own = |dependency: &Dependency| match dependency.kind {
        DependencyKind::Secret => true,
        _ => is_config_map(dependency),
    };
    basis
        .observed
        .stored
        .dependencies
        .iter()
        .filter(|dependency| !is_own(dependency))
        .cloned()
        .collect()
}

/// Whether it is the contract's `ConfigMap` itself; on the contract in it the provisioner reports.
fn is_config_map(dependency: &Dependency) -> bool {
    dependency.kind == DependencyKind::Contract && dependency.name.starts_with(CONFIG_MAP)
}

/// What is the matter with the contract that is not there.
pub(crate) fn contract_obstacle(basis: &Basis<'_>) -> Obstacle {
    match &basis.observed.contract {
        Contract::Unknown => Obstacle::new(Reason::Provisioning, "the contract's ConfigMap has not been read yet"),
        contract => missing(&[contract_dependency(basis.pipeline, contract)]),
    }
}

/// Name of the dependency on the gateway's Secret.
pub(crate) fn secret_name(pipeline: &ValidatedPipeline) -> Option<String> {
    let tokens = pipeline.tokens.as_ref()?;
    Some(format!("Secret/{}", tokens.name))
}

fn contract_dependency(pipeline: &ValidatedPipeline, contract: &Contract) -> Dependency {
    let reference = &pipeline.schema_ref;
    let (state, message) = match contract {
        Contract::Found { .. } => (DependencyState::Exists, None),
        Contract::Unknown => (DependencyState::Unknown, None),
        Contract::Missing => (
            DependencyState::Missing,
            Some(format!(
                "no ConfigMap {} in namespace {}; create it with the contract's JSON Schema under key {}",
                reference.name, pipeline.namespace, reference.key
            )),
        ),
        Contract::KeyMissing { keys } => (
            DependencyState::Differs,
            Some(format!(
                "ConfigMap {} has no key {}, only [{}]; add the key or correct spec.contract.versions[].schemaRef.key",
                reference.name,
                reference.key,
                keys.join(", ")
            )),
        ),
    };
    Dependency {
        name: format!("{CONFIG_MAP}{}", reference.name),
        kind: DependencyKind::Contract,
        state,
        message: message.map(|message| cut(&message, 1024)),
    }
}
