//! Pods of Jobs, and what the kubelet says of containers.

use k8s_openapi::api::batch::v1::{Job, JobCondition, JobStatus};
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::ResourceExt;
use medallion_crds::labels;
use medallion_crds::launch::report::Report;
use medallion_plan::{Pod, PodSpec};

use super::super::World;

impl World {
    pub(super) fn pod_of_job(&mut self, job: &Job, state: ContainerState) -> Pod {
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
            spec: template.spec.map(PodSpec::from),
            status: Some(PodStatus {
                container_statuses: Some(vec![container(&worker, state)]),
                ..PodStatus::default()
            }),
        }
    }

    pub(super) fn stranger(&mut self) {
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

    pub(super) fn end_job(&mut self, job: &Job, kind: &str, reason: &str) {
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

pub(super) fn container(worker: &str, state: ContainerState) -> ContainerStatus {
    ContainerStatus {
        name: worker.to_owned(),
        image: "medallion:1".to_owned(),
        state: Some(state),
        ..ContainerStatus::default()
    }
}

pub(super) fn running(now: jiff::Timestamp) -> ContainerState {
    ContainerState {
        running: Some(ContainerStateRunning {
            started_at: Some(Time(now)),
        }),
        ..ContainerState::default()
    }
}

pub(super) fn waiting(reason: &str, message: &str) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
        }),
        ..ContainerState::default()
    }
}

pub(super) fn ended(exit_code: i32, reason: Option<&str>, report: Option<&Report>) -> ContainerState {
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
