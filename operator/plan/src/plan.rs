//! The plan as data, and the function that makes it: a table of contents of everything else here. No network.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use medallion_crds::launch::RunSettings;
use medallion_crds::pipeline::{DbtStatus, Endpoints, PipelineStatus, StageStatus};
use medallion_crds::stage_run::TableVersion;
use medallion_crds::text::cut;
use medallion_crds::{Stage, StageRun, StageRunStatus};
use serde::Serialize;
use thiserror::Error;

use crate::batch::{BatchView, Source};
use crate::child::Child;
use crate::config::OperatorConfig;
use crate::job::{self, PlannedJob, Recipe};
use crate::observed::{Contract, Observed};
use crate::pods::{self, Obstacle};
use crate::provisioning::{self, Provisioning};
use crate::run::{self, RunContext, RunStep};
use crate::settings::LaunchSettings;
use crate::stage_status::{self, BatchFacts};
use crate::streaming::{self, Streaming};
use crate::trigger::{self, Decision, TriggerContext};
use crate::validate::ValidatedPipeline;
use crate::{conditions, consumer, dbt_runner, exporter, gateway, health, history, loader, provisioner, rules, status};

/// Without any other reason a pipeline is looked at again after this long.
const RESYNC_SECONDS: i32 = 60;
/// How often pods that are starting are looked at.
const START_SECONDS: i32 = 5;
/// Reasons of a `False` that are part of an ordinary start or change.
const CALM: [&str; 3] = ["Provisioning", "Starting", "RollingOut"];

/// What is to be done, in the order of the fields.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Children that must stand, whole.
    pub children: Vec<Child>,
    /// `Kind/name` of the children that stay; others of this pipeline go. `None`: nothing goes.
    pub keep: Option<BTreeSet<String>>,
    /// Steps of runs that exist. A run's status is stored before its Job is made.
    pub runs: Vec<PlannedRun>,
    /// The provisioner's Job.
    pub create_jobs: Vec<PlannedJob>,
    /// Runs to create.
    pub create_runs: Vec<StageRun>,
    /// Jobs that are no longer needed.
    pub delete_jobs: Vec<ObjectId>,
    /// Runs beyond the history limits.
    pub delete_runs: Vec<ObjectId>,
    /// What is true of the pipeline; `None` while it is being deleted.
    pub status: Option<PipelineStatus>,
    /// What users are told by events, once the writes have succeeded.
    pub events: Vec<PlannedEvent>,
    /// When to plan again without any other reason to; `None` only while the pipeline is being deleted.
    pub wake_at: Option<Timestamp>,
}

/// The next step of one run: at most one write of its status, then at most one Job.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedRun {
    /// The run.
    pub id: ObjectId,
    /// Its version at which this was decided: another version is another decision.
    pub resource_version: Option<String>,
    /// The status after the step, if it differs.
    pub status: Option<StageRunStatus>,
    /// Only the attempt's progress differs: the write may wait a few seconds.
    pub only_progress: bool,
    /// The attempt's Job, whose intent is stored already.
    pub create_job: Option<PlannedJob>,
}

/// One object, by name and UID, so that no other of that name is hit.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectId {
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
}

impl ObjectId {
    /// The object's name and UID, if the server gave it any.
    pub fn of(metadata: &ObjectMeta) -> Option<Self> {
        Some(Self {
            name: metadata.name.clone()?,
            uid: metadata.uid.clone()?,
        })
    }
}

/// An event on the pipeline.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedEvent {
    /// Whether somebody should look.
    pub warning: bool,
    /// CamelCase word.
    pub reason: String,
    /// The run or the condition that it is about.
    pub about: String,
    /// What happened.
    pub note: String,
}

impl PlannedEvent {
    pub(crate) fn normal(reason: &str, about: &str, note: &str) -> Self {
        Self {
            warning: false,
            reason: cut(reason, 128),
            about: cut(about, 128),
            note: cut(note, 1000),
        }
    }

    pub(crate) fn warning(reason: &str, about: &str, note: &str) -> Self {
        Self {
            warning: true,
            ..Self::normal(reason, about, note)
        }
    }
}

/// Why no plan can be made.
#[derive(Debug, Error)]
pub enum PlanError {
    /// Settings that have no JSON form.
    #[error("cannot write a worker's settings: {0}")]
    Settings(#[source] serde_json::Error),
    /// A status that has no JSON form.
    #[error("cannot write the status: {0}")]
    Status(#[source] serde_json::Error),
}

/// Decides the next step of a pipeline. The same observation gives the same plan.
pub fn plan(
    pipeline: &ValidatedPipeline,
    observed: &Observed,
    config: &OperatorConfig,
    now: Timestamp,
) -> Result<Plan, PlanError> {
    if pipeline.deleting {
        // Owner references end everything inside the cluster; what is outside stays.
        return Ok(Plan::default());
    }
    let contract_digest = match &observed.contract {
        Contract::Found { digest } => Some(digest.as_str()),
        _ => None,
    };
    let settings = contract_digest.map(|contract_digest| LaunchSettings {
        pipeline,
        config,
        contract_digest,
    });
    let mut planner = Planner {
        pipeline,
        observed,
        config,
        settings,
        now,
        open_request: false,
        plan: Plan::default(),
    };

    let mut provisioning = planner.provision()?;
    planner.standing(&provisioning)?;
    let waits_for = provisioning.obstacle.clone();
    let streaming = planner.streaming(waits_for.as_ref());
    if streaming.iter().any(|stage| !stage.rolled_out) {
        // Until the new pods stand, an old one that is lost is made again, and mounts what it was made with.
        planner.plan.keep = None;
    }
    let mut stages: Vec<_> = streaming.iter().map(|stage| stage.status.clone()).collect();
    stages.extend(planner.batch(&streaming, &provisioning)?);

    if let Some(name) = provisioning::secret_name(pipeline) {
        provisioning
            .dependencies
            .push(status::secret_dependency(name, &streaming));
    }
    let dead_letters = streaming::dead_letters(pipeline, observed);
    let unmeasured = status::unmeasured(&streaming);
    let health = health::judge(pipeline, &stages, dead_letters.as_ref(), unmeasured, now);
    let readiness = status::readiness(
        pipeline,
        waits_for.as_ref(),
        &streaming,
        observed.apply_failure.as_deref(),
    );
    let status = PipelineStatus {
        observed_generation: pipeline.generation,
        conditions: status::conditions(pipeline, &readiness, &health, now),
        stages,
        dead_letters,
        dependencies: provisioning.dependencies,
        provisioning: provisioning.status,
        endpoints: Some(Endpoints {
            ingest: gateway::endpoint(pipeline),
        }),
        contract: provisioning.contract,
        dbt: pipeline.dbt_image.clone().map(|image| DbtStatus { image }),
        last_handled_requested_at: planner.handled_request(provisioning.done),
    };
    let status = status::bounded(status).map_err(PlanError::Status)?;
    planner.tell_transitions(&status);
    planner.plan.status = Some(status);
    planner.wake(health.turns_at);
    planner.wake(streaming.iter().filter_map(|stage| stage.turns_at).min());
    planner.wake(provisioning.wake_at);
    if observed.pods.iter().any(pods::is_starting) || observed.jobs_without_pods().next().is_some() {
        // Why a pod does not start, or is not made, is told by events, which nobody watches.
        planner.wake(Some(rules::later(now, START_SECONDS)));
    }
    planner.wake(Some(rules::later(now, RESYNC_SECONDS)));
    Ok(planner.plan)
}

struct Planner<'a> {
    pipeline: &'a ValidatedPipeline,
    observed: &'a Observed,
    config: &'a OperatorConfig,
    /// Absent while the contract is not there.
    settings: Option<LaunchSettings<'a>>,
    now: Timestamp,
    /// The newest request still waits for a run of some stage.
    open_request: bool,
    plan: Plan,
}

impl Planner<'_> {
    fn provision(&mut self) -> Result<Provisioning, PlanError> {
        let launch = self.settings.as_ref().map(LaunchSettings::provisioner).transpose()?;
        let mut provisioning = provisioning::step(self.pipeline, self.config, self.observed, launch.as_ref(), self.now);
        self.plan.children.extend(provisioner::children(self.pipeline));
        self.plan.create_jobs.extend(provisioning.create_job.take());
        self.plan
            .delete_jobs
            .extend(history::tries_to_delete(self.observed, provisioning.job.as_deref()));
        Ok(provisioning)
    }

    /// Plans the streaming workers, unless something they depend on is missing: then what stands goes on as it is.
    fn standing(&mut self, provisioning: &Provisioning) -> Result<(), PlanError> {
        let Some(settings) = self.settings.as_ref().filter(|_| provisioning.done) else {
            return Ok(());
        };
        let (pipeline, config) = (self.pipeline, self.config);
        let planned = [
            (
                Stage::Ingest,
                gateway::children(pipeline, config, &settings.gateway()?)?,
            ),
            (
                Stage::Persist,
                consumer::children(pipeline, config, &settings.consumer()?)?,
            ),
            (
                Stage::Bronze,
                exporter::children(pipeline, config, &settings.exporter()?)?,
            ),
        ];
        for (_, children) in planned
            .into_iter()
            .filter(|(stage, _)| pipeline.fault(*stage).is_none())
        {
            self.plan.children.extend(children);
        }
        for worker in [Stage::Silver.worker(), Stage::Warehouse.worker()] {
            self.plan
                .children
                .extend(crate::standing::service_account(self.pipeline, worker));
        }
        // A stage with a fault keeps what it has.
        if self.pipeline.faults.is_empty() {
            let planned = self
                .plan
                .children
                .iter()
                .map(|child| format!("{}/{}", child.kind(), child.name()));
            let mounted = streaming::mounted_settings(self.observed).map(|name| format!("ConfigMap/{name}"));
            let own = provisioning.settings.iter().map(|name| format!("ConfigMap/{name}"));
            self.plan.keep = Some(planned.chain(mounted).chain(own).collect());
        }
        Ok(())
    }

    fn streaming(&self, waits_for: Option<&Obstacle>) -> Vec<Streaming> {
        [Stage::Ingest, Stage::Persist, Stage::Bronze]
            .into_iter()
            .map(|stage| {
                let planned = streaming::planned_hash(&self.plan.children, &self.pipeline.name, stage);
                streaming::stage(self.pipeline, self.observed, stage, planned, waits_for, self.now)
            })
            .collect()
    }

    fn batch(&mut self, streaming: &[Streaming], provisioning: &Provisioning) -> Result<Vec<StageStatus>, PlanError> {
        let (pipeline, observed) = (self.pipeline, self.observed);
        let mut source = bronze(streaming);
        let bronze_known = streaming
            .iter()
            .map(|stage| &stage.status)
            // It has no version to offer until it has rows, and says when none are on their way.
            .any(|status| status.name == Stage::Bronze && (status.position.is_some() || status.lag == Some(0)));
        let mut upstream_settled = true;
        let mut statuses = Vec::new();
        for stage in Stage::BATCH {
            let Some(rules) = rules::batch(&pipeline.spec.stages, stage) else {
                continue;
            };
            let view = BatchView::new(pipeline, observed, stage);
            let recipe = self
                .recipe(stage, job::any_run())?
                .filter(|_| pipeline.fault(stage).is_none());
            let launch_hash = recipe
                .map(|recipe| job::launch_hash(pipeline, self.config, stage, &recipe))
                .transpose()?;
            let launch_hash = launch_hash.as_deref();
            let wants_request = trigger::wants_request(pipeline, &view);

            let step = view.active().map(|run| {
                let context = RunContext {
                    observed,
                    rules: &rules,
                    launch_hash,
                    hurry: wants_request,
                    now: self.now,
                };
                run::advance(&context, run)
            });
            let decision = trigger::decide(&TriggerContext {
                pipeline,
                view: &view,
                source: source.as_ref(),
                rules: &rules,
                launch_hash,
                upstream_settled,
                provisioned: provisioning.done,
                now: self.now,
            });
            statuses.push(stage_status::stage(&BatchFacts {
                pipeline,
                view: &view,
                source: source.as_ref(),
                step: step.as_ref(),
                decision: &decision,
                waits_for: provisioning.obstacle.as_ref(),
                now: self.now,
            }));
            if let (Some(run), Some(step)) = (view.active(), step) {
                self.take_step(run, step, &rules, launch_hash)?;
            }
            match (&decision, launch_hash) {
                (Decision::Start(source), Some(hash)) => {
                    self.plan
                        .create_runs
                        .push(trigger::new_run(pipeline, &view, source, hash));
                }
                (Decision::WaitUntil(time), _) => self.wake(Some(*time)),
                _ => {}
            }
            self.plan.delete_runs.extend(history::runs_to_delete(pipeline, &view));
            self.plan.delete_jobs.extend(history::jobs_to_delete(observed, &view));

            // Nobody knows yet what Bronze holds, or the stage before is about to offer something.
            let may_come = source.is_some() || !upstream_settled || (stage == Stage::Silver && !bronze_known);
            self.open_request |= wants_request && launch_hash.is_some() && may_come;
            upstream_settled = upstream_settled && view.active().is_none() && !(wants_request && source.is_some());
            source = view.offer();
        }
        Ok(statuses)
    }

    fn recipe(&self, stage: Stage, run: RunSettings) -> Result<Option<Recipe>, PlanError> {
        let Some(settings) = &self.settings else {
            return Ok(None);
        };
        match stage {
            Stage::Silver | Stage::Gold => dbt_runner::recipe(settings, stage, run),
            Stage::Warehouse => loader::recipe(settings, run),
            Stage::Ingest | Stage::Persist | Stage::Bronze => Ok(None),
        }
    }

    fn take_step(
        &mut self,
        run: &StageRun,
        step: RunStep,
        rules: &rules::BatchRules,
        launch_hash: Option<&str>,
    ) -> Result<(), PlanError> {
        let Some(id) = ObjectId::of(&run.metadata) else {
            return Ok(());
        };
        let stored = run.status.clone().unwrap_or_default();
        let create_job = match (step.create_job, launch_hash) {
            (Some(number), Some(launch_hash)) => self
                .recipe(run.spec.stage, job::run_settings(run, number, self.now))?
                .map(|recipe| {
                    let attempt = job::Attempt {
                        run,
                        number,
                        recipe: &recipe,
                        launch_hash,
                        timeout_seconds: rules.timeout_seconds,
                    };
                    job::attempt(self.pipeline, self.config, &attempt)
                }),
            _ => None,
        };
        if let Some((name, uid)) = step.delete_job
            && let Some(uid) = uid
        {
            self.plan.delete_jobs.push(ObjectId { name, uid });
        }
        self.wake(step.wake_at);
        self.plan.events.extend(step.events);
        let changed = step.status != stored;
        let only_progress = changed
            && StageRunStatus {
                progress: stored.progress.clone(),
                ..step.status.clone()
            } == stored;
        self.plan.runs.push(PlannedRun {
            id,
            resource_version: run.resource_version(),
            status: changed.then_some(step.status),
            only_progress,
            create_job,
        });
        Ok(())
    }

    /// The newest request, once every stage that can has a run for it.
    fn handled_request(&self, provisioned: bool) -> Option<String> {
        let stored = self.pipeline.status.last_handled_requested_at.clone();
        if self.open_request || self.pipeline.spec.suspend || !provisioned {
            return stored;
        }
        self.pipeline.requested_at.clone().or(stored)
    }

    /// Tells by an event when a condition's status or reason changes.
    fn tell_transitions(&mut self, status: &PipelineStatus) {
        for condition in &status.conditions {
            let stored = conditions::find(&self.pipeline.status.conditions, &condition.type_);
            let same = stored.is_some_and(|old| old.status == condition.status && old.reason == condition.reason);
            if same || !["Ready", "Healthy"].contains(&condition.type_.as_str()) {
                continue;
            }
            let note = format!("{} is {}: {}", condition.type_, condition.status, condition.message);
            let calm = condition.status != "False" || CALM.contains(&condition.reason.as_str());
            let event = if calm {
                PlannedEvent::normal
            } else {
                PlannedEvent::warning
            };
            self.plan.events.push(event(&condition.reason, &condition.type_, &note));
        }
    }

    fn wake(&mut self, at: Option<Timestamp>) {
        self.plan.wake_at = match (self.plan.wake_at, at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}

/// What Silver can take: Bronze up to its newest version, once it has rows.
fn bronze(streaming: &[Streaming]) -> Option<Source> {
    let status = streaming
        .iter()
        .map(|stage| &stage.status)
        .find(|status| status.name == Stage::Bronze)?;
    let version = status.position.filter(|version| *version >= 1)?;
    Some(Source {
        inputs: vec![TableVersion {
            name: Stage::Bronze.to_string(),
            version,
        }],
        committed: status.last_commit_time.as_ref().map(|time| time.0),
    })
}
