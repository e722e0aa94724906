//! A cluster in memory: carries plans out as the operator does, and lets workers, Jobs and people do their part. No network.

// Each test binary uses its own part of this.
#![allow(dead_code, unused_imports)]

pub mod rules;
mod steps;

pub use steps::{Outcome, Step};

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::ResourceExt;
use medallion_crds::pipeline::StageStatus;
use medallion_crds::{Pipeline, Stage, StageRun, Worker, labels};
use medallion_plan::{
    Child, Contract, Observed, OperatorConfig, Plan, PlannedEvent, Pod, STAGES, StageEntry, ValidatedPipeline, plan,
};

pub const CONFIG: &str = r#"
installation: here
images: {workers: "medallion:1", dbtProjects: {purchases: "dbt-purchases:1"}}
sizes: {small: {}}
"#;

#[derive(Clone)]
pub struct World {
    /// The stages there are.
    pub table: Vec<StageEntry>,
    pub config: OperatorConfig,
    pub pipeline: Pipeline,
    pub observed: Observed,
    pub children: BTreeSet<String>,
    pub events: Vec<PlannedEvent>,
    /// How often each Job was created.
    pub jobs_created: BTreeMap<String, usize>,
    pub now: Timestamp,
    counter: u64,
}

impl World {
    /// A world with the user's YAML in it, as the API server would have taken it.
    pub fn new(yaml: &str) -> Self {
        let mut pipeline: Pipeline = serde_saphyr::from_str(yaml).expect("the user's YAML");
        pipeline.metadata.namespace.get_or_insert_with(|| "shop".to_owned());
        rules::of_pipelines(&pipeline, None).expect("the schema's rules");
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        pipeline.metadata.uid = Some("pipeline-uid".to_owned());
        pipeline.metadata.generation = Some(1);
        pipeline.metadata.creation_timestamp = Some(Time(now));
        Self {
            table: STAGES.to_vec(),
            config: serde_saphyr::from_str(CONFIG).expect("the configuration"),
            pipeline,
            observed: Observed {
                contract: Contract::Found {
                    digest: "contract-digest".to_owned(),
                },
                ..Observed::default()
            },
            children: BTreeSet::new(),
            events: Vec::new(),
            jobs_created: BTreeMap::new(),
            now,
            counter: 0,
        }
    }

    pub fn plan(&self) -> Plan {
        self.plan_on(&self.pipeline, &self.observed)
    }

    /// The plan that follows from a picture that may be old.
    pub fn plan_on(&self, pipeline: &Pipeline, observed: &Observed) -> Plan {
        let mut observed = Observed {
            stored: pipeline.status.clone().unwrap_or_default(),
            ..observed.clone()
        };
        // An operator keeps no more of them.
        for pod in &mut observed.pods {
            pod.forget_unread();
        }
        let pipeline = ValidatedPipeline::with_stages(&self.table, pipeline, &self.config).expect("a valid pipeline");
        plan(&self.table, &pipeline, &observed, &self.config, self.now).expect("a plan")
    }

    /// One pass of an operator whose stores lag behind: as `apply`, with the server refusing what was decided on an old object.
    pub fn apply_late(&mut self, pipeline: &Pipeline, observed: &Observed) {
        let mut plan = self.plan_on(pipeline, observed);
        let seen_last = serde_json::to_value(&self.pipeline).expect("a pipeline")
            == serde_json::to_value(pipeline).expect("a pipeline");
        let creates = !plan.create_jobs.is_empty()
            || !plan.create_runs.is_empty()
            || plan.runs.iter().any(|run| run.create_job.is_some());
        if creates && !seen_last {
            return;
        }
        if !seen_last {
            plan.status = None;
        }
        self.apply(plan);
    }

    /// One pass of an operator that has not been shown the newest wish yet. It knows the status, which it alone writes, and makes and goes
    /// on with runs. Before anything else is made the server is asked, and a status that was decided so is refused.
    pub fn apply_unseen(&mut self, wish: &Pipeline) {
        let mut plan = self.plan_on(wish, &self.observed);
        let is_new = |child: &Child| !self.children.contains(&format!("{}/{}", child.kind(), child.name()));
        if !plan.create_jobs.is_empty() || plan.children.iter().any(is_new) {
            return;
        }
        plan.status = None;
        self.apply(plan);
    }

    /// Plans and applies until nothing changes any more at this moment.
    pub fn settle(&mut self) {
        let mut before = self.picture();
        for _ in 0..50 {
            let plan = self.plan();
            self.apply(plan);
            let after = self.picture();
            if after == before {
                return;
            }
            before = after;
        }
        panic!("does not settle: {:?}", self.events.last());
    }

    /// Everything that stands, as text.
    pub fn picture(&self) -> String {
        serde_json::to_string(&(&self.pipeline, &self.observed, &self.children)).expect("a picture")
    }

    /// One pass of the operator.
    pub fn apply(&mut self, plan: Plan) {
        for child in plan.children {
            self.children.insert(format!("{}/{}", child.kind(), child.name()));
            if let Child::Deployment(deployment) = child {
                self.apply_deployment(*deployment);
            }
        }
        for job in plan.create_jobs {
            self.create_job(&job);
        }
        for step in plan.runs {
            let current =
                self.observed.runs.iter().any(|run| {
                    run.uid().as_ref() == Some(&step.id.uid) && run.resource_version() == step.resource_version
                });
            if !current {
                continue;
            }
            if let Some(status) = step.status {
                let next = self.next("rv");
                let run = self.run_mut(&step.id.name);
                run.status = Some(status);
                run.metadata.resource_version = Some(next);
            }
            if let Some(job) = step.create_job {
                self.create_job(&job);
            }
        }
        for mut run in plan.create_runs {
            if self
                .observed
                .runs
                .iter()
                .any(|known| known.name_any() == run.name_any())
            {
                continue;
            }
            if run.spec.stage.is_some_and(|stage| Stage::ALL.contains(&stage)) {
                rules::of_runs(&run).expect("a run that the API server takes");
            }
            self.born(&mut run.metadata);
            self.observed.runs.push(run.into());
        }
        for id in plan.delete_jobs {
            if self.observed.job(&id.name).and_then(ResourceExt::uid) == Some(id.uid) {
                self.remove_job(&id.name);
            }
        }
        for id in plan.delete_runs {
            self.observed.runs.retain(|run| run.uid().as_ref() != Some(&id.uid));
            let jobs = self.observed.jobs.iter();
            let its: Vec<_> = jobs
                .filter(|job| job.owner_references().iter().any(|owner| owner.uid == id.uid))
                .map(|job| job.name_any())
                .collect();
            for job in its {
                self.remove_job(&job);
            }
        }
        self.children.retain(|child| !plan.remove.contains(child));
        self.keep_deployments(|deployment| !plan.remove.contains(deployment));
        if let Some(keep) = plan.keep {
            self.children.retain(|child| keep.contains(child));
            self.keep_deployments(|deployment| keep.contains(deployment));
        }
        if let Some(status) = plan.status {
            self.pipeline.status = Some(status);
        }
        self.events.extend(plan.events);
    }

    /// With a Deployment go its pods.
    fn keep_deployments(&mut self, stays: impl Fn(&str) -> bool) {
        let stays = |one: &Deployment| stays(&format!("Deployment/{}", one.name_any()));
        let all = self.observed.deployments.iter();
        let leaving = all.filter(|one| !stays(one)).filter_map(|one| {
            let template = &one.spec.as_ref()?.template;
            template.metadata.as_ref()?.labels.as_ref()?.get(labels::WORKER)
        });
        let leaving: Vec<String> = leaving.cloned().collect();
        let pods = &mut self.observed.pods;
        pods.retain(|pod| {
            pod.labels()
                .get(labels::WORKER)
                .is_none_or(|worker| !leaving.contains(worker))
        });
        self.observed.deployments.retain(|one| stays(one));
    }

    fn apply_deployment(&mut self, mut wanted: Deployment) {
        let mut known = self.observed.deployments.iter_mut();
        let known = known.find(|one| one.metadata.name == wanted.metadata.name);
        // What the operator says nothing about stays as an autoscaler has left it.
        if let (Some(before), Some(spec)) = (known.as_ref().and_then(|one| one.spec.as_ref()), &mut wanted.spec) {
            spec.replicas = spec.replicas.or(before.replicas);
        }
        match known {
            Some(known) if known.spec == wanted.spec => known.metadata.annotations = wanted.metadata.annotations,
            Some(known) => {
                known.metadata.annotations = wanted.metadata.annotations;
                known.spec = wanted.spec;
                known.metadata.generation = known.metadata.generation.map(|generation| generation + 1);
            }
            None => {
                let mut new = wanted;
                self.born(&mut new.metadata);
                self.observed.deployments.push(new.into());
            }
        }
    }

    fn create_job(&mut self, planned: &Job) {
        let name = planned.name_any();
        if self.observed.job(&name).is_none() {
            let mut job = planned.clone();
            *self.jobs_created.entry(name).or_default() += 1;
            self.born(&mut job.metadata);
            self.observed.jobs.push(job.into());
        }
    }

    fn remove_job(&mut self, name: &str) {
        let Some(job) = self.observed.job(name).cloned() else {
            return;
        };
        let pods: Vec<_> = self.observed.pods_of_job(&job).iter().map(|pod| pod.uid()).collect();
        self.observed.pods.retain(|pod| !pods.contains(&pod.uid()));
        self.observed
            .jobs
            .retain(|one| one.metadata.name.as_deref() != Some(name));
    }

    fn born(&mut self, metadata: &mut ObjectMeta) {
        metadata.uid = Some(self.next("uid"));
        metadata.resource_version = Some(self.next("rv"));
        metadata.generation = Some(1);
        metadata.creation_timestamp = Some(Time(self.now));
    }

    fn next(&mut self, word: &str) -> String {
        self.counter += 1;
        format!("{word}-{}", self.counter)
    }

    fn run_mut(&mut self, name: &str) -> &mut StageRun {
        self.observed
            .runs
            .iter_mut()
            .find(|run| run.name_any() == name)
            .expect("a run of that name")
    }

    pub fn active_run(&self, stage: Stage) -> Option<&StageRun> {
        self.observed
            .runs
            .iter()
            .map(|run| &**run)
            .find(|run| run.spec.stage == Some(stage) && !medallion_plan::is_over(run))
    }

    pub fn runs(&self, stage: Stage) -> Vec<&StageRun> {
        self.observed
            .runs
            .iter()
            .map(|run| &**run)
            .filter(|run| run.spec.stage == Some(stage))
            .collect()
    }

    /// The Job of the active run's attempt.
    pub fn active_job(&self, stage: Stage) -> Option<&Job> {
        let run = self.active_run(stage)?;
        let attempt = run.status.as_ref()?.attempt;
        self.observed.job(&format!("{}-{attempt}", run.name_any()))
    }

    pub fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    pub fn pods_of(&self, stage: Stage) -> Vec<&Pod> {
        self.observed.pods_of_worker(self.worker(stage))
    }

    /// The worker of a stage, by the table.
    pub fn worker(&self, stage: Stage) -> Worker {
        let entry = self.table.iter().find(|entry| entry.stage == stage);
        entry.expect("a stage of the table").pod.worker
    }

    /// What the status says of a stage.
    pub fn stage(&self, stage: Stage) -> StageStatus {
        let status = self.pipeline.status.clone().expect("a status");
        let found = status.stages.into_iter().find(|one| one.name == stage);
        found.expect("each stage has a status")
    }

    pub fn condition(&self, kind: &str) -> (String, String, String) {
        let status = self.pipeline.status.clone().unwrap_or_default();
        status
            .conditions
            .into_iter()
            .find(|condition| condition.type_ == kind)
            .map(|condition| (condition.status, condition.reason, condition.message))
            .unwrap_or_default()
    }
}
