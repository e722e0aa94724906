//! What can happen in the world besides the operator's own doing.

use k8s_openapi::api::apps::v1::{DeploymentCondition, DeploymentStatus};
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobStatus};
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod,
    PodCondition, PodStatus,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::ResourceExt;
use medallion_crds::launch::report::{FailureReport, ProvisionReport, Report, RunReport};
use medallion_crds::pipeline::{Dependency, DependencyKind, DependencyState, Retention};
use medallion_crds::progress::{DeadLetters, Identity, Progress, Trouble, TroubleClass, Work};
use medallion_crds::stage_run::{RunProgress, TableVersion};
use medallion_crds::{ADOPT_ANNOTATION, REQUESTED_AT_ANNOTATION, Reason, Stage, Worker, labels};
use medallion_plan::Contract;
use serde::Deserialize;

use super::World;

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
            Step::Missing(names) => self.provisioner(&names),
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

    /// The user's YAML with changes, before the operator has seen it; null removes.
    pub fn start_from(&mut self, patch: serde_json::Value) {
        let mut spec = serde_json::to_value(&self.pipeline.spec).expect("a spec");
        merge(&mut spec, patch);
        self.pipeline.spec = serde_json::from_value(spec).expect("a spec");
        kube::core::cel::validate_cel(&self.pipeline).expect("the schema's rules");
    }

    fn change_spec(&mut self, patch: serde_json::Value) {
        let mut spec = serde_json::to_value(&self.pipeline.spec).expect("a spec");
        merge(&mut spec, patch);
        let old = self.pipeline.clone();
        self.pipeline.spec = serde_json::from_value(spec).expect("a spec");
        kube::core::cel::validate_cel_update(&self.pipeline, &old).expect("the schema's rules");
        if self.pipeline.spec != old.spec {
            self.pipeline.metadata.generation = self.pipeline.metadata.generation.map(|generation| generation + 1);
        }
    }

    fn provisioner(&mut self, missing: &[String]) {
        let Some(job) = self
            .observed
            .jobs
            .iter()
            .rev()
            .find(|job| job.labels().get(labels::RUN).is_none())
            .cloned()
        else {
            return;
        };
        let topic = |name: &str, state, message| Dependency {
            name: name.to_owned(),
            kind: kind_of(name),
            state,
            message,
        };
        let mut dependencies = vec![topic("Table/purchase_orders", DependencyState::Exists, None)];
        for name in missing {
            let message = format!("no {name}; create it, or set spec.management to Managed");
            dependencies.push(topic(name, DependencyState::Missing, Some(message)));
        }
        let report = Report::Provision(ProvisionReport {
            dependencies,
            contract_version: Some("c0ffee".to_owned()),
        });
        let code = if missing.is_empty() { 0 } else { 21 };
        let pod = self.pod_of_job(&job, ended(code, None, Some(&report)));
        self.observed.pods.push(pod.into());
        self.end_job(
            &job,
            if code == 0 { "Complete" } else { "Failed" },
            "BackoffLimitExceeded",
        );
    }

    fn workers_ready(&mut self) {
        let deployments = self.observed.deployments.clone();
        for deployment in deployments {
            let spec = deployment.spec.clone().expect("a spec");
            let replicas = spec.replicas.unwrap_or(1);
            let metadata = spec.template.metadata.expect("metadata");
            let worker = metadata.labels.clone().expect("labels")[labels::WORKER].clone();
            let entry = self.table.iter().find(|entry| entry.pod.worker.as_str() == worker);
            let stage = entry.expect("a stage").stage;
            self.observed
                .pods
                .retain(|pod| pod.labels().get(labels::WORKER) != Some(&worker));
            for _ in 0..replicas {
                let mut metadata = metadata.clone();
                metadata.name = Some(self.next(&deployment.name_any()));
                self.born(&mut metadata);
                let pod = Pod {
                    metadata,
                    spec: spec.template.spec.clone(),
                    status: Some(PodStatus {
                        conditions: Some(vec![PodCondition {
                            type_: "Ready".to_owned(),
                            status: "True".to_owned(),
                            ..PodCondition::default()
                        }]),
                        container_statuses: Some(vec![container(&worker, running(self.now))]),
                        ..PodStatus::default()
                    }),
                };
                let uid = pod.uid().expect("a uid");
                let work = Work {
                    lag: Some(0),
                    ..Work::default()
                };
                self.observed
                    .progress
                    .insert(uid, self.progress(&pod, Some(stage), work));
                self.observed.pods.push(pod.into());
            }
            let known = self
                .observed
                .deployments
                .iter_mut()
                .find(|one| one.metadata.uid == deployment.metadata.uid);
            known.expect("the deployment").status = Some(DeploymentStatus {
                observed_generation: deployment.metadata.generation,
                replicas: Some(replicas),
                updated_replicas: Some(replicas),
                available_replicas: Some(replicas),
                ready_replicas: Some(replicas),
                ..DeploymentStatus::default()
            });
        }
    }

    fn pods_wait(&mut self, stage: Stage, event: &str) {
        let worker = self.worker(stage).as_str();
        for pod in &mut self.observed.pods {
            if pod.labels().get(labels::WORKER).map(String::as_str) == Some(worker) {
                let uid = pod.uid().expect("a uid");
                self.observed.warnings.insert(uid.clone(), event.to_owned());
                self.observed.progress.remove(&uid);
                pod.status = Some(PodStatus {
                    container_statuses: Some(vec![container(worker, waiting("ContainerCreating", ""))]),
                    ..PodStatus::default()
                });
            }
        }
        for deployment in &mut self.observed.deployments {
            let ours = deployment.name_any().ends_with(worker);
            if let Some(status) = deployment.status.as_mut().filter(|_| ours) {
                status.available_replicas = None;
            }
        }
    }

    fn pods_refused(&mut self, stage: Stage, message: &str) {
        let worker = self.worker(stage).as_str();
        self.observed
            .pods
            .retain(|pod| pod.labels().get(labels::WORKER).map(String::as_str) != Some(worker));
        for deployment in &mut self.observed.deployments {
            if deployment.name_any().ends_with(worker) {
                deployment.status = Some(DeploymentStatus {
                    conditions: Some(vec![DeploymentCondition {
                        type_: "ReplicaFailure".to_owned(),
                        status: "True".to_owned(),
                        reason: Some("FailedCreate".to_owned()),
                        message: Some(message.to_owned()),
                        ..DeploymentCondition::default()
                    }]),
                    ..DeploymentStatus::default()
                });
            }
        }
    }

    fn crashed(&mut self, stage: Stage) {
        let worker = self.worker(stage).as_str();
        let report = Report::Failure(FailureReport {
            reason: Reason::KafkaUnavailable,
            message: "no broker answers; check spec.kafka.bootstrapServers".to_owned(),
        });
        let now = self.now;
        for pod in &mut self.observed.pods {
            if pod.labels().get(labels::WORKER).map(String::as_str) == Some(worker) {
                let mut container = container(worker, running(now));
                container.last_state = Some(ended(21, None, Some(&report)));
                pod.status = Some(PodStatus {
                    container_statuses: Some(vec![container]),
                    ..PodStatus::default()
                });
            }
        }
    }

    fn work(&mut self, stage: Stage, change: impl FnOnce(&mut Work)) {
        let Some(uid) = self.pods_of(stage).first().and_then(|pod| pod.uid()) else {
            return;
        };
        let now = self.now;
        if let Some(progress) = self.observed.progress.get_mut(&uid) {
            change(&mut progress.work);
            progress.time = now;
        }
    }

    fn progress(&self, pod: &Pod, stage: Option<Stage>, work: Work) -> Progress {
        Progress {
            identity: Identity {
                pipeline_uid: "pipeline-uid".to_owned(),
                pod_uid: pod.uid().unwrap_or_default(),
                stage,
                settings_hash: pod
                    .annotations()
                    .get(labels::SETTINGS_HASH)
                    .cloned()
                    .unwrap_or_default(),
            },
            time: self.now,
            work,
        }
    }

    fn attempt(&mut self, stage: Stage, outcome: Outcome) {
        let Some(job) = self.active_job(stage).cloned() else {
            return;
        };
        if job.status.as_ref().is_some_and(|status| status.conditions.is_some()) {
            return;
        }
        let known: Vec<_> = self.observed.pods_of_job(&job).iter().map(|pod| pod.uid()).collect();
        self.observed.pods.retain(|pod| !known.contains(&pod.uid()));
        let failure = |reason: Reason| {
            Report::Failure(FailureReport {
                message: format!("{reason}: what to do"),
                reason,
            })
        };
        let (container_state, end) = match outcome {
            Outcome::Pending => (Some(waiting("ContainerCreating", "")), None),
            Outcome::ImageNotPulled => (Some(waiting("ImagePullBackOff", "no such image")), None),
            Outcome::Running => (Some(running(self.now)), None),
            Outcome::Succeeded | Outcome::AlreadyCommitted => {
                let report = self.success(stage, outcome == Outcome::AlreadyCommitted);
                (Some(ended(0, None, Some(&report))), Some(("Complete", "")))
            }
            Outcome::RecordError => (
                Some(ended(20, None, Some(&failure(Reason::DbtFailed)))),
                Some(("Failed", "")),
            ),
            Outcome::EnvironmentError => (
                Some(ended(21, None, Some(&failure(Reason::LakeUnavailable)))),
                Some(("Failed", "")),
            ),
            Outcome::LossRisk => (
                Some(ended(23, None, Some(&failure(Reason::TableDiffers)))),
                Some(("Failed", "")),
            ),
            Outcome::BadSettings => (
                Some(ended(24, None, Some(&failure(Reason::BadSettings)))),
                Some(("Failed", "")),
            ),
            Outcome::OutOfMemory => (Some(ended(137, Some("OOMKilled"), None)), Some(("Failed", ""))),
            Outcome::Killed => (Some(ended(137, Some("Error"), None)), Some(("Failed", ""))),
            Outcome::Evicted => (Some(ended(143, None, None)), Some(("Failed", ""))),
            Outcome::ReportLost => (Some(ended(0, None, None)), Some(("Complete", ""))),
            Outcome::PodLost => (None, Some(("Failed", "BackoffLimitExceeded"))),
            Outcome::TimedOut => (Some(ended(143, None, None)), Some(("Failed", "DeadlineExceeded"))),
            Outcome::JobGone => {
                self.remove_job(&job.name_any());
                return;
            }
        };
        if let Some(container_state) = container_state {
            let mut pod = self.pod_of_job(&job, container_state);
            if outcome == Outcome::Evicted {
                pod.status
                    .get_or_insert_default()
                    .conditions
                    .get_or_insert_default()
                    .push(PodCondition {
                        type_: "DisruptionTarget".to_owned(),
                        status: "True".to_owned(),
                        ..PodCondition::default()
                    });
            }
            if outcome == Outcome::Running {
                let run = RunProgress {
                    done: 1,
                    total: 4,
                    current: Some("model.purchases.orders".to_owned()),
                };
                let work = Work {
                    run: Some(run),
                    ..Work::default()
                };
                let progress = self.progress(&pod, Some(stage), work);
                self.observed.progress.insert(pod.uid().expect("a uid"), progress);
            }
            self.observed.pods.push(pod.into());
        }
        if let Some((kind, reason)) = end {
            self.end_job(&job, kind, reason);
        }
    }

    fn success(&self, stage: Stage, already_committed: bool) -> Report {
        let run = self.active_run(stage).expect("a run");
        let version = run
            .spec
            .inputs()
            .iter()
            .map(|input| input.version)
            .max()
            .unwrap_or_default();
        let names: &[&str] = match stage {
            Stage::Silver => &["order_lines"],
            Stage::Gold => &["daily_sales", "orders"],
            _ => &["orders"],
        };
        Report::Run(RunReport {
            run_uid: run.uid().expect("a uid"),
            attempt: run.status.clone().unwrap_or_default().attempt,
            already_committed,
            inputs: run.spec.inputs().to_vec(),
            outputs: names
                .iter()
                .map(|name| TableVersion {
                    name: (*name).to_owned(),
                    version: version + 100,
                    project: None,
                    oldest_project: None,
                })
                .collect(),
            rows: if already_committed { 0 } else { 7 },
        })
    }

    fn pod_of_job(&mut self, job: &Job, state: ContainerState) -> Pod {
        let template = job.spec.clone().expect("a spec").template;
        let mut metadata: ObjectMeta = template.metadata.unwrap_or_default();
        metadata.name = Some(self.next(&job.name_any()));
        self.born(&mut metadata);
        let worker = metadata.labels.clone().expect("labels")[labels::WORKER].clone();
        metadata.owner_references = Some(vec![OwnerReference {
            api_version: "batch/v1".to_owned(),
            kind: "Job".to_owned(),
            name: job.name_any(),
            uid: job.uid().expect("a uid"),
            ..OwnerReference::default()
        }]);
        Pod {
            metadata,
            spec: template.spec,
            status: Some(PodStatus {
                container_statuses: Some(vec![container(&worker, state)]),
                ..PodStatus::default()
            }),
        }
    }

    fn stranger(&mut self) {
        let now = self.now;
        for pod in &mut self.observed.pods {
            let status = pod.status.get_or_insert_default();
            let all = status.container_statuses.get_or_insert_default();
            if all.iter().all(|container| container.name != "aa-proxy") {
                all.insert(0, container("aa-proxy", running(now)));
            }
            for terminated in all.iter_mut().filter_map(|one| one.state.as_mut()?.terminated.as_mut()) {
                terminated.finished_at = Some(Time(now));
            }
        }
        for job in &mut self.observed.jobs {
            job.status = None;
        }
    }

    fn end_job(&mut self, job: &Job, kind: &str, reason: &str) {
        let known = self
            .observed
            .jobs
            .iter_mut()
            .find(|one| one.metadata.uid == job.metadata.uid)
            .expect("the Job");
        known.status = Some(JobStatus {
            conditions: Some(vec![JobCondition {
                type_: kind.to_owned(),
                status: "True".to_owned(),
                reason: Some(reason.to_owned()),
                message: Some("said by the Job".to_owned()),
                ..JobCondition::default()
            }]),
            ..JobStatus::default()
        });
    }
}

fn kind_of(name: &str) -> DependencyKind {
    match name.split('/').next() {
        Some("Topic") => DependencyKind::Topic,
        Some("Table") => DependencyKind::Table,
        Some("Bucket") => DependencyKind::GoldBucket,
        Some("Schema") => DependencyKind::WarehouseSchema,
        _ => DependencyKind::Other,
    }
}

fn container(worker: &str, state: ContainerState) -> ContainerStatus {
    ContainerStatus {
        name: worker.to_owned(),
        image: "medallion:1".to_owned(),
        state: Some(state),
        ..ContainerStatus::default()
    }
}

fn running(now: jiff::Timestamp) -> ContainerState {
    ContainerState {
        running: Some(ContainerStateRunning {
            started_at: Some(Time(now)),
        }),
        ..ContainerState::default()
    }
}

fn waiting(reason: &str, message: &str) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
        }),
        ..ContainerState::default()
    }
}

fn ended(exit_code: i32, reason: Option<&str>, report: Option<&Report>) -> ContainerState {
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            exit_code,
            reason: reason.map(str::to_owned),
            message: report.map(Report::to_termination_message),
            ..ContainerStateTerminated::default()
        }),
        ..ContainerState::default()
    }
}

fn merge(target: &mut serde_json::Value, patch: serde_json::Value) {
    match (target, patch) {
        (serde_json::Value::Object(target), serde_json::Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    target.remove(&key);
                    continue;
                }
                merge(target.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        (target, patch) => *target = patch,
    }
}
