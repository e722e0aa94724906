//! What can happen in the world besides the operator's own doing.

mod attempts;
mod pods;
mod provisioner;
mod spec;
mod streaming;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use medallion_crds::pipeline::{DependencyState, Retention};
use medallion_crds::progress::{DeadLetters, Trouble, TroubleClass};
use medallion_crds::{ADOPT_ANNOTATION, REQUESTED_AT_ANNOTATION, Reason, Stage, Worker};
use medallion_plan::Contract;
use serde::Deserialize;

use super::World;
use spec::merge;

/// One thing that happens; afterwards the operator settles, unless the step says otherwise.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Step {
    /// The operator works until nothing changes.
    Settle,
    /// One pass of the operator.
    Apply,
    /// The provisioner finds everything.
    Provisioned,
    /// The provisioner misses these.
    Missing(Vec<String>),
    /// The provisioner finds everything but this one as it must be.
    Unmet { name: String, state: DependencyState },
    /// The contract's ConfigMap is not there.
    ContractMissing,
    /// The contract's ConfigMap is there.
    ContractFound,
    /// The streaming workers' pods are ready and say so.
    WorkersReady,
    /// The pods of a stage wait for a reason that only an event tells.
    PodsWait { stage: Stage, event: String },
    /// The Deployment of a stage gets no pods.
    PodsRefused { stage: Stage, message: String },
    /// The Job under way of a stage gets no pod, and an event tells why.
    JobRefused { stage: Stage, message: String },
    /// The worker of a stage has failed once and runs again, not ready yet.
    Crashed(Stage),
    /// A pod of a stage runs on and no longer answers.
    Silent(Stage),
    /// A streaming worker reports trouble.
    Trouble {
        stage: Stage,
        loss_risk: bool,
        reason: Reason,
    },
    /// Bronze stands at a version.
    Bronze(i64),
    /// So many dead letters wait.
    DeadLetters(i64),
    /// The attempt under way of a stage comes to something.
    Attempt { stage: Stage, outcome: Outcome },
    /// Time passes, in seconds.
    Pass(i64),
    /// The spec is changed: these fields are merged into it.
    Spec(serde_json::Value),
    /// The annotation medallion.dev/requested-at.
    RequestedAt(String),
    /// The image of the dbt project changes.
    DbtImage(String),
    /// The administrator gives a worker this memory.
    Memory { worker: Worker, limit: String },
    /// Somebody's container stands before the worker's in all pods that there are, and never ends; Jobs wait for it.
    Stranger,
    /// The administrator changes the configuration: these fields are merged into it.
    Configured(serde_json::Value),
    /// The annotation medallion.dev/adopt.
    Adopt(String),
    /// A worker says how much of what its source keeps is used.
    Retention {
        stage: Stage,
        used_seconds: i64,
        of_seconds: i64,
    },
    /// Somebody deletes the pipeline.
    Delete,
}

/// What an attempt comes to.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    Pending,
    ImageNotPulled,
    Running,
    Succeeded,
    AlreadyCommitted,
    RecordError,
    EnvironmentError,
    LossRisk,
    BadSettings,
    OutOfMemory,
    Killed,
    Evicted,
    ReportLost,
    PodLost,
    JobGone,
    TimedOut,
}

impl World {
    #[allow(clippy::too_many_lines, reason = "one arm a step")]
    pub fn step(&mut self, step: Step) {
        match step {
            Step::Settle => {}
            Step::Apply => {
                let plan = self.plan();
                self.apply(plan);
            }
            Step::Provisioned => self.provisioner(&[]),
            Step::Missing(names) => {
                let missing: Vec<_> = names.into_iter().map(|name| (name, DependencyState::Missing)).collect();
                self.provisioner(&missing);
            }
            Step::Unmet { name, state } => self.provisioner(&[(name, state)]),
            Step::ContractMissing => self.observed.contract = Contract::Missing,
            Step::ContractFound => {
                self.observed.contract = Contract::Found {
                    digest: "contract-digest".to_owned(),
                };
            }
            Step::WorkersReady => self.workers_ready(),
            Step::PodsWait { stage, event } => self.pods_wait(stage, &event),
            Step::PodsRefused { stage, message } => self.pods_refused(stage, &message),
            Step::JobRefused { stage, message } => {
                let uid = self.active_job(stage).and_then(ResourceExt::uid).expect("a Job");
                self.observed.warnings.insert(uid, message);
            }
            Step::Crashed(stage) => self.crashed(stage),
            Step::Silent(stage) => {
                let uid = self.pods_of(stage).first().and_then(|pod| pod.uid());
                self.observed.progress.remove(&uid.expect("a pod"));
            }
            Step::Trouble {
                stage,
                loss_risk,
                reason,
            } => {
                let class = if loss_risk {
                    TroubleClass::LossRisk
                } else {
                    TroubleClass::Environment
                };
                let since = self.now;
                let message = format!("what {stage} is in trouble about, and what to do");
                self.work(stage, |work| {
                    work.trouble = Some(Trouble {
                        class,
                        reason,
                        message,
                        since,
                    });
                });
            }
            Step::Bronze(version) => {
                let now = self.now;
                self.work(Stage::Bronze, |work| {
                    work.position = Some(version);
                    work.last_commit_time = Some(now);
                    work.rows = Some(7);
                });
            }
            Step::DeadLetters(count) => {
                self.work(Stage::Persist, |work| {
                    work.dead_letters = Some(DeadLetters {
                        count,
                        newest: Vec::new(),
                    });
                });
            }
            Step::Attempt { stage, outcome } => self.attempt(stage, outcome),
            Step::Pass(seconds) => self.pass(seconds),
            Step::Spec(patch) => self.change_spec(patch),
            Step::RequestedAt(value) => {
                self.pipeline
                    .annotations_mut()
                    .insert(REQUESTED_AT_ANNOTATION.to_owned(), value);
            }
            Step::DbtImage(image) => {
                self.config.images.dbt_projects.insert("purchases".to_owned(), image);
            }
            Step::Memory { worker, limit } => {
                let limits = std::collections::BTreeMap::from([("memory".to_owned(), Quantity(limit))]);
                let size = self.config.sizes.entry("grown".to_owned()).or_default();
                size.resources.limits = Some(limits);
                self.config.workers.entry(worker).or_default().size = Some("grown".to_owned());
            }
            Step::Stranger => self.stranger(),
            Step::Configured(patch) => {
                let mut config = serde_json::to_value(&self.config).expect("a configuration");
                merge(&mut config, patch);
                self.config = serde_json::from_value(config).expect("a configuration");
            }
            Step::Adopt(values) => {
                self.pipeline
                    .annotations_mut()
                    .insert(ADOPT_ANNOTATION.to_owned(), values);
            }
            Step::Retention {
                stage,
                used_seconds,
                of_seconds,
            } => self.work(stage, |work| {
                work.retention = Some(Retention {
                    used_seconds,
                    of_seconds,
                });
            }),
            Step::Delete => self.pipeline.metadata.deletion_timestamp = Some(Time(self.now)),
        }
    }
}
