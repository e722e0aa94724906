//! Creating or verifying the dependencies, again and again until everything is as it must be. No network.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use medallion_crds::launch::report::{ProvisionReport, Report};
use medallion_crds::pipeline::{ContractStatus, Dependency, DependencyState, ProvisioningStatus};
use medallion_crds::text::cut;

use crate::attempt;
use crate::config::OperatorConfig;
use crate::job::PlannedJob;
use crate::observed::{Contract, Observed};
use crate::pods::{self, Obstacle};
use crate::provisioner;
use crate::rules;
use crate::settings::Launch;
use crate::validate::ValidatedPipeline;

const BACK_OFF_SECONDS: i32 = 5;
const LONGEST_BACK_OFF_SECONDS: i32 = 60;
/// How often a missing `ConfigMap` is looked for.
const CONTRACT_SECONDS: i32 = 5;
/// How many dependencies a status lists.
const DEPENDENCIES: usize = 30;

/// Where provisioning stands, and its next step.
pub(crate) struct Provisioning {
    /// Everything is as it must be for this very spec.
    pub done: bool,
    pub status: Option<ProvisioningStatus>,
    pub dependencies: Vec<Dependency>,
    pub contract: Option<ContractStatus>,
    pub create_job: Option<PlannedJob>,
    /// Name of the try's Job, which is kept.
    pub job: Option<String>,
    /// Name of its settings, which are kept too.
    pub settings: Option<String>,
    /// What keeps it from being done.
    pub obstacle: Option<Obstacle>,
    pub wake_at: Option<Timestamp>,
}

/// The next step. `launch` is absent while the contract is not there.
pub(crate) fn step(
    pipeline: &ValidatedPipeline,
    config: &OperatorConfig,
    observed: &Observed,
    launch: Option<&Launch>,
    now: Timestamp,
) -> Provisioning {
    let mut provisioning = Provisioning {
        done: false,
        status: pipeline.status.provisioning.clone(),
        dependencies: reported(pipeline),
        contract: pipeline.status.contract.clone(),
        create_job: None,
        job: None,
        settings: None,
        obstacle: None,
        wake_at: None,
    };
    match launch {
        Some(launch) => provisioning.with_contract(pipeline, config, observed, launch, now),
        None => provisioning.without_contract(pipeline, &observed.contract, now),
    }
    provisioning
        .dependencies
        .insert(0, contract_dependency(pipeline, &observed.contract));
    provisioning.dependencies.truncate(DEPENDENCIES);
    provisioning
}

impl Provisioning {
    fn without_contract(&mut self, pipeline: &ValidatedPipeline, contract: &Contract, now: Timestamp) {
        self.wake_at = Some(rules::later(now, CONTRACT_SECONDS));
        let dependency = contract_dependency(pipeline, contract);
        self.obstacle = Some(match contract {
            Contract::Unknown => Obstacle {
                reason: "Provisioning".to_owned(),
                message: "the contract's ConfigMap has not been read yet".to_owned(),
            },
            _ => missing(&[dependency]),
        });
    }

    fn with_contract(
        &mut self,
        pipeline: &ValidatedPipeline,
        config: &OperatorConfig,
        observed: &Observed,
        launch: &Launch,
        now: Timestamp,
    ) {
        let known = self.status.take().filter(|status| status.hash == launch.hash);
        let mut status = known.unwrap_or_else(|| ProvisioningStatus {
            hash: launch.hash.clone(),
            succeeded: false,
            attempt: 1,
            retry_time: None,
            message: None,
        });
        if !status.succeeded {
            if let Some(retry) = status.retry_time.clone() {
                if now >= retry.0 {
                    status.attempt += 1;
                    status.retry_time = None;
                } else {
                    self.wake_at = Some(retry.0);
                }
            }
            if status.retry_time.is_none() {
                self.look(&mut status, pipeline, config, observed, launch, now);
            }
            if !status.succeeded {
                self.obstacle = Some(self.obstacle_of(&status));
            }
        }
        self.done = status.succeeded;
        self.job = Some(provisioner::name(pipeline, &status.hash, status.attempt));
        self.settings = Some(provisioner::settings_name(pipeline, &status.hash));
        self.status = Some(status);
    }

    /// Looks at the try under way, or starts it.
    fn look(
        &mut self,
        status: &mut ProvisioningStatus,
        pipeline: &ValidatedPipeline,
        config: &OperatorConfig,
        observed: &Observed,
        launch: &Launch,
        now: Timestamp,
    ) {
        self.wake_at = Some(rules::later(now, CONTRACT_SECONDS));
        let name = provisioner::name(pipeline, &status.hash, status.attempt);
        let Some(job) = observed.job(&name) else {
            self.create_job = Some(provisioner::job(pipeline, config, launch, status.attempt));
            return;
        };
        let pods = observed.pods_of_job(job);
        let ended = pods.iter().find_map(|pod| pods::terminated(pod)).filter(|ended| {
            // Taken away before it could say anything: Kubernetes starts another pod.
            ended.message.is_some() || pods::job_end(job).is_some()
        });
        match ended.map(|ended| (ended, pods::report(ended))) {
            Some((ended, Some(Report::Provision(report)))) => self.reported(status, report, ended.exit_code, now),
            Some((_, Some(Report::Failure(failure)))) => {
                self.failed(status, &format!("{}: {}", failure.reason, failure.message), now);
            }
            Some((ended, _)) => {
                let words = ended.message.as_deref().unwrap_or("no message").trim();
                self.failed(
                    status,
                    &format!("the provisioner ended with exit code {}: {words}", ended.exit_code),
                    now,
                );
            }
            None if pods::job_end(job).is_some() => {
                let mut message = "the provisioner ended and left no report".to_owned();
                if let Some(before) = &status.message {
                    message = format!("{message}; before that: {before}");
                }
                self.failed(status, &message, now);
            }
            None => {
                let obstacle = attempt::obstacle(observed, job, pods.first().copied());
                let message = obstacle.map(|obstacle| format!("{}: {}", obstacle.reason, obstacle.message));
                status.message = message.map(|message| cut(&message, 1024));
            }
        }
    }

    fn reported(&mut self, status: &mut ProvisioningStatus, report: ProvisionReport, exit_code: i32, now: Timestamp) {
        self.dependencies = report.dependencies;
        for dependency in &mut self.dependencies {
            dependency.name = cut(&dependency.name, 300);
            dependency.message = dependency.message.take().map(|message| cut(&message, 1024));
        }
        if let Some(version) = report.contract_version {
            self.contract = Some(ContractStatus { version });
        }
        let unmet = self.dependencies.iter().any(|dependency| !dependency.state.is_met());
        if unmet || exit_code != 0 || self.contract.is_none() {
            let message = format!("not everything is as it must be (exit code {exit_code})");
            self.failed(status, &message, now);
        } else {
            status.succeeded = true;
            status.message = None;
            self.wake_at = None;
        }
    }

    fn failed(&mut self, status: &mut ProvisioningStatus, message: &str, now: Timestamp) {
        let wait = rules::back_off(BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS, status.attempt);
        let retry = rules::after(crate::conditions::whole_seconds(now), wait);
        status.message = Some(cut(message, 1024));
        status.retry_time = Some(Time(retry));
        self.wake_at = Some(retry);
    }

    fn obstacle_of(&self, status: &ProvisioningStatus) -> Obstacle {
        let unmet: Vec<_> = self
            .dependencies
            .iter()
            .filter(|dependency| !dependency.state.is_met())
            .cloned()
            .collect();
        if !unmet.is_empty() {
            return missing(&unmet);
        }
        match &status.message {
            Some(message) => Obstacle {
                reason: "ProvisioningFailed".to_owned(),
                message: message.clone(),
            },
            None => Obstacle {
                reason: "Provisioning".to_owned(),
                message: "the provisioner looks at what the pipeline depends on".to_owned(),
            },
        }
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
    Obstacle {
        reason: "DependenciesMissing".to_owned(),
        message,
    }
}

/// What the last report said; the `ConfigMap` and the Secret are looked at anew each time.
fn reported(pipeline: &ValidatedPipeline) -> Vec<Dependency> {
    let own = [contract_name(pipeline), secret_name(pipeline).unwrap_or_default()];
    pipeline
        .status
        .dependencies
        .iter()
        .filter(|dependency| !own.contains(&dependency.name))
        .cloned()
        .collect()
}

fn contract_name(pipeline: &ValidatedPipeline) -> String {
    format!("ConfigMap/{}", pipeline.spec.contract.schema_ref.name)
}

/// Name of the dependency on the gateway's Secret.
pub(crate) fn secret_name(pipeline: &ValidatedPipeline) -> Option<String> {
    let tokens = pipeline.spec.stages.ingest.authentication.bearer_tokens.as_ref()?;
    Some(format!("Secret/{}", tokens.secret_key_ref.name))
}

fn contract_dependency(pipeline: &ValidatedPipeline, contract: &Contract) -> Dependency {
    let reference = &pipeline.spec.contract.schema_ref;
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
                "ConfigMap {} has no key {}, only [{}]; add the key or correct spec.contract.schemaRef.key",
                reference.name,
                reference.key,
                keys.join(", ")
            )),
        ),
    };
    Dependency {
        name: contract_name(pipeline),
        state,
        message: message.map(|message| cut(&message, 1024)),
    }
}
