//! What becomes of the pods that work all the time, and what they say.

use k8s_openapi::api::apps::v1::{DeploymentCondition, DeploymentStatus};
use k8s_openapi::api::core::v1::{PodCondition, PodStatus};
use kube::ResourceExt;
use medallion_crds::launch::report::{FailureReport, Report};
use medallion_crds::progress::{Identity, Progress, Work};
use medallion_crds::{Reason, Stage, labels};
use medallion_plan::{Pod, PodSpec};

use super::super::World;
use super::pods::{container, ended, running, waiting};

impl World {
    pub(super) fn workers_ready(&mut self) {
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
                    spec: spec.template.spec.clone().map(PodSpec::from),
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

    pub(super) fn pods_wait(&mut self, stage: Stage, event: &str) {
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

    pub(super) fn pods_refused(&mut self, stage: Stage, message: &str) {
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

    pub(super) fn crashed(&mut self, stage: Stage) {
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

    pub(super) fn work(&mut self, stage: Stage, change: impl FnOnce(&mut Work)) {
        let Some(uid) = self.pods_of(stage).first().and_then(|pod| pod.uid()) else {
            return;
        };
        let now = self.now;
        if let Some(progress) = self.observed.progress.get_mut(&uid) {
            change(&mut progress.work);
            progress.time = now;
        }
    }

    pub(super) fn progress(&self, pod: &Pod, stage: Option<Stage>, work: Work) -> Progress {
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
}
