//! What becomes of a run's attempts.

use k8s_openapi::api::core::v1::PodCondition;
use kube::ResourceExt;
use medallion_crds::launch::report::{FailureReport, Report, RunReport};
use medallion_crds::progress::Work;
use medallion_crds::stage_run::{OutputTable, RunProgress};
use medallion_crds::{Reason, Stage};

use super::super::World;
use super::Outcome;
use super::pods::{ended, running, waiting};

impl World {
    pub(super) fn attempt(&mut self, stage: Stage, outcome: Outcome) {
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
        let was_refused = job.uid().is_some_and(|uid| self.observed.warnings.contains_key(&uid));
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
            // It never got a pod.
            Outcome::TimedOut if was_refused => (None, Some(("Failed", "DeadlineExceeded"))),
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

    pub(super) fn success(&self, stage: Stage, already_committed: bool) -> Report {
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
                .map(|name| OutputTable::new((*name).to_owned(), version + 100))
                .collect(),
            rows: if already_committed { 0 } else { 7 },
        })
    }
}
