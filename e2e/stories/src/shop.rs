//! One pipeline with a namespace, a topic, a table, buckets and a warehouse schema of its own, as a data team would set it up. Touches all of the stack.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, ListParams, Patch, PatchParams};
use medallion_crds::pipeline::{StageState, StageStatus};
use medallion_crds::{Owner, Pipeline, Stage, StageRun, labels};
use rand::distr::{Alphanumeric, SampleString};
use serde_json::{Value, json};

use crate::entrance::Entrance;
use crate::event::Pointers;
use crate::gateway::Gateway;
use crate::progress::Step;
use crate::waiting::{Look, in_the_end};
use crate::world::World;

/// The shipped example and the contract that it names.
pub const EXAMPLE: &str = include_str!("../../../crds/examples/purchase-orders.yaml");
pub const CONTRACT: &str = include_str!("../../../dbt/contract/purchase-contract-v1.schema.json");
/// The Service by which the host reaches the gateway.
const DOOR: &str = "stories-gateway";
const READY: Duration = Duration::from_mins(4);
const LEAVING: Duration = Duration::from_mins(2);

/// What a pipeline is called and what it is made of.
pub struct Plan {
    /// Large, and carried through every story.
    pub pipeline: Box<Pipeline>,
    pub contract: String,
    pub entrance: Entrance,
}

impl Plan {
    /// The shop's example, quick enough to watch.
    pub fn example() -> Result<Self> {
        let mut pipeline: Box<Pipeline> =
            serde_saphyr::from_str(EXAMPLE).context("crds/examples/purchase-orders.yaml")?;
        pipeline.spec.stages.bronze.flush.max_age_seconds = 5;
        pipeline.spec.stages.silver.min_interval_seconds = 5;
        pipeline.spec.stages.gold.min_interval_seconds = 0;
        if let Some(warehouse) = &mut pipeline.spec.stages.warehouse {
            warehouse.min_interval_seconds = 0;
        }
        // The stack has one broker.
        pipeline.spec.kafka.replication_factor = Some(1);
        Ok(Self {
            pipeline,
            contract: CONTRACT.to_owned(),
            entrance: Entrance::Open,
        })
    }

    /// The example under another name, everything outside the cluster included.
    pub fn named(name: &str) -> Result<Self> {
        let mut plan = Self::example()?;
        let spec = &mut plan.pipeline.spec;
        let snake = format!("story_{}", name.replace('-', "_"));
        spec.kafka.topic.clone_from(&snake);
        spec.kafka.dead_letter_topic = format!("dlq.{snake}");
        spec.kafka.partitions = 3;
        spec.table.name.clone_from(&snake);
        for (layer, bucket) in [
            ("bronze", &mut spec.lake.bronze),
            ("silver", &mut spec.lake.silver),
            ("gold", &mut spec.lake.gold),
        ] {
            bucket.bucket = format!("story-{name}-{layer}");
        }
        if let Some(redshift) = spec
            .warehouse
            .as_mut()
            .and_then(|warehouse| warehouse.redshift.as_mut())
        {
            redshift.schema = snake;
        }
        if let Some(ingest) = &mut spec.stages.ingest {
            ingest.replicas = Some(1);
        }
        spec.stages.persist.replicas = Some(1);
        spec.stages.silver.min_interval_seconds = 1;
        plan.pipeline.metadata.namespace = Some(format!("story-{name}"));
        Ok(plan)
    }

    /// The same by another of the brokers' listeners.
    #[must_use]
    pub fn by(mut self, entrance: Entrance) -> Self {
        self.entrance = entrance;
        self
    }

    /// Where things are, as the stack says it.
    fn at_home(&mut self, world: &World) -> Result<()> {
        let spec = &mut self.pipeline.spec;
        self.entrance.lead(&world.stack, &mut spec.kafka)?;
        spec.aws.region.clone_from(&world.stack.aws.region);
        let found = world.stack.redshift()?;
        if let Some(redshift) = spec
            .warehouse
            .as_mut()
            .and_then(|warehouse| warehouse.redshift.as_mut())
        {
            redshift.workgroup_name = Some(found.workgroup_name.clone());
            redshift.database.clone_from(&found.database);
        }
        Ok(())
    }
}

pub struct Shop<'w> {
    pub world: &'w World,
    pub plan: Plan,
    pub namespace: String,
    pub name: String,
    pub token: String,
    pub pointers: Pointers,
}

impl<'w> Shop<'w> {
    /// The namespace with all that a pipeline refers to, and the pipeline itself; what was there stays.
    pub async fn open(world: &'w World, plan: Plan) -> Result<Self> {
        let shop = Self::prepare(world, plan).await?;
        shop.apply().await?;
        Ok(shop)
    }

    /// The namespace and what a pipeline refers to, without the pipeline.
    pub async fn prepare(world: &'w World, mut plan: Plan) -> Result<Self> {
        plan.at_home(world)?;
        let name = plan.pipeline.metadata.name.clone().context("a pipeline has a name")?;
        let namespace = plan
            .pipeline
            .metadata
            .namespace
            .clone()
            .context("a pipeline has a namespace")?;
        let contract = &plan.pipeline.spec.contract;
        let pointers = Pointers {
            key: contract.key.clone(),
            id: contract.event_id.clone(),
        };
        world.cluster.make_namespace(&namespace).await?;
        let mut shop = Self {
            world,
            plan,
            namespace,
            name,
            token: String::new(),
            pointers,
        };
        shop.token = shop
            .known_token()
            .await?
            .unwrap_or_else(|| Alphanumeric.sample_string(&mut rand::rng(), 32));
        shop.put_secrets().await?;
        shop.plan
            .entrance
            .put(&world.cluster, &world.stack, &shop.namespace)
            .await?;
        shop.put_contract().await?;
        shop.put_door().await?;
        Ok(shop)
    }

    /// Like [`Shop::open`], on ground that an earlier, broken-off story may have left dirty.
    pub async fn open_afresh(world: &'w World, plan: Plan) -> Result<Self> {
        let shop = Self::prepare_afresh(world, plan).await?;
        shop.apply().await?;
        let step = world
            .progress
            .step(format!("pipeline {}/{} becomes ready", shop.namespace, shop.name));
        shop.wait_until_ready(&step).await?;
        step.done("");
        Ok(shop)
    }

    pub async fn prepare_afresh(world: &'w World, plan: Plan) -> Result<Self> {
        Self::wipe(world, &plan.pipeline).await?;
        Self::prepare(world, plan).await
    }

    pub async fn apply(&self) -> Result<Pipeline> {
        self.world
            .cluster
            .apply(&self.pipelines(), &self.name, &self.plan.pipeline)
            .await
    }

    /// Changes some fields of the pipeline, as a person does by `kubectl patch --type merge`.
    pub async fn change(&self, fields: Value) -> Result<()> {
        self.pipelines()
            .patch(&self.name, &PatchParams::default(), &Patch::Merge(fields))
            .await?;
        Ok(())
    }

    pub fn pipelines(&self) -> Api<Pipeline> {
        self.world.cluster.api(&self.namespace)
    }

    pub fn runs(&self) -> Api<StageRun> {
        self.world.cluster.api(&self.namespace)
    }

    pub async fn pipeline(&self) -> Result<Pipeline> {
        Ok(self.pipelines().get(&self.name).await?)
    }

    fn tokens_secret(&self) -> Option<(String, String)> {
        let ingest = self.plan.pipeline.spec.stages.ingest.as_ref()?;
        let tokens = ingest.authentication.bearer_tokens.as_ref()?;
        Some((tokens.secret_key_ref.name.clone(), tokens.secret_key_ref.key.clone()))
    }

    /// The token of an earlier run of the demo.
    async fn known_token(&self) -> Result<Option<String>> {
        let Some((secret, key)) = self.tokens_secret() else {
            return Ok(None);
        };
        let found = self
            .world
            .cluster
            .api::<Secret>(&self.namespace)
            .get_opt(&secret)
            .await?;
        let data = found.and_then(|secret| secret.data).unwrap_or_default();
        Ok(data.get(&key).and_then(|bytes| String::from_utf8(bytes.0.clone()).ok()))
    }

    pub async fn put_secrets(&self) -> Result<()> {
        let api: Api<Secret> = self.world.cluster.api(&self.namespace);
        let aws = &self.world.stack.aws;
        for (name, key) in self.world.doors.secrets() {
            let credentials = json!({"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": aws.secret_access_key});
            let object =
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": credentials});
            self.world.cluster.apply(&api, &name, &object).await?;
        }
        self.put_tokens().await
    }

    pub async fn put_tokens(&self) -> Result<()> {
        let api: Api<Secret> = self.world.cluster.api(&self.namespace);
        if let Some((name, key)) = self.tokens_secret() {
            let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {key: self.token}});
            self.world.cluster.apply(&api, &name, &object).await?;
        }
        Ok(())
    }

    /// The ConfigMap of the contract.
    pub fn contract_object(&self) -> Result<Value> {
        let admitting = self.plan.pipeline.spec.contract.admitting();
        let reference = &admitting.context("a contract has a version")?.schema_ref;
        Ok(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": reference.name}, "immutable": true,
            "data": {&reference.key: self.plan.contract},
        }))
    }

    async fn put_contract(&self) -> Result<()> {
        let api: Api<ConfigMap> = self.world.cluster.api(&self.namespace);
        let object = self.contract_object()?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        self.world.cluster.apply(&api, name, &object).await.map(drop)
    }

    /// A NodePort beside the operator's own Service: pods are not reached from the host, the node is.
    async fn put_door(&self) -> Result<()> {
        let api: Api<Service> = self.world.cluster.api(&self.namespace);
        let object = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": DOOR},
            "spec": {
                "type": "NodePort",
                "selector": {labels::PIPELINE: self.name, labels::WORKER: "gateway"},
                "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
            },
        });
        self.world.cluster.apply(&api, DOOR, &object).await.map(drop)
    }

    /// A client of this pipeline's gateway.
    pub async fn gateway(&self) -> Result<Gateway> {
        let service = self.world.cluster.api::<Service>(&self.namespace).get(DOOR).await?;
        let ports = service.spec.and_then(|spec| spec.ports).unwrap_or_default();
        let port = ports
            .first()
            .and_then(|port| port.node_port)
            .context("the Service has no node port yet")?;
        Ok(Gateway::new(
            format!("http://{}:{port}/v1/events", self.world.stack.node_ip),
            self.token.clone(),
        ))
    }

    pub fn bronze(&self) -> String {
        let spec = &self.plan.pipeline.spec;
        format!("s3://{}/{}", spec.lake.bronze.bucket, spec.table.name)
    }

    pub fn silver(&self, table: &str) -> String {
        format!("s3://{}/{table}", self.plan.pipeline.spec.lake.silver.bucket)
    }

    pub fn gold(&self, table: &str) -> String {
        format!("s3://{}/{table}", self.plan.pipeline.spec.lake.gold.bucket)
    }

    pub fn schema(&self) -> &str {
        let warehouse = self.plan.pipeline.spec.warehouse.as_ref();
        let redshift = warehouse.and_then(|warehouse| warehouse.redshift.as_ref());
        redshift.map_or("", |redshift| redshift.schema.as_str())
    }

    /// Names of the tables in the warehouse.
    pub fn warehouse_tables(&self) -> Vec<String> {
        let stage = self.plan.pipeline.spec.stages.warehouse.iter();
        stage
            .flat_map(|stage| &stage.tables)
            .map(|table| table.name.clone())
            .collect()
    }

    /// Whom its tables name as their owner.
    pub async fn owner(&self) -> Result<Owner> {
        owner(self.world, &self.namespace, &self.name).await
    }

    /// The consumer group of a pipeline that names none.
    pub async fn consumer_group(&self) -> Result<String> {
        Ok(self.owner().await?.consumer_group())
    }

    pub async fn wait_until_ready(&self, step: &Step) -> Result<()> {
        self.wait_for(step, "Ready", "True", None, READY).await.map(drop)
    }

    /// Waits for a condition with a status and, if given, a reason; it must speak of the newest spec.
    pub async fn wait_for(
        &self,
        step: &Step,
        kind: &str,
        status: &str,
        reason: Option<&str>,
        limit: Duration,
    ) -> Result<Condition> {
        let seen = in_the_end(step, limit, Duration::from_millis(500), async || {
            let pipeline = self.pipeline().await?;
            let condition = condition(&pipeline, kind);
            Ok(match condition {
                Some(found) if found.status == status && reason.is_none_or(|reason| found.reason == reason) => {
                    Look::Done(found)
                }
                _ => Look::Waiting(in_words(&pipeline)),
            })
        });
        let wanted = format!("{kind}={status} {}", reason.unwrap_or_default());
        seen.await.with_context(|| format!("waiting for {}", wanted.trim()))
    }

    /// The status of a stage, for as long as `is_so` says no.
    pub async fn wait_for_stage(
        &self,
        step: &Step,
        stage: Stage,
        limit: Duration,
        is_so: impl Fn(&StageStatus) -> bool,
    ) -> Result<StageStatus> {
        let seen = in_the_end(step, limit, Duration::from_millis(500), async || {
            let pipeline = self.pipeline().await?;
            let status = pipeline
                .status
                .as_ref()
                .and_then(|status| status.stages.iter().find(|one| one.name == stage).cloned());
            Ok(match status {
                Some(found) if is_so(&found) => Look::Done(found),
                _ => Look::Waiting(in_words(&pipeline)),
            })
        });
        seen.await.with_context(|| format!("waiting for stage {stage}"))
    }

    /// Newest version of a table of the lake; `None` while there is no table.
    pub async fn version_of(&self, url: &str) -> Result<Option<i64>> {
        let state = self.world.referee().await.table("newest", url, None).await?;
        Ok(state.map(|state| state.version))
    }

    /// All runs of the pipeline's namespace.
    pub async fn all_runs(&self) -> Result<Vec<StageRun>> {
        Ok(self.runs().list(&ListParams::default()).await?.items)
    }

    /// Waits until the operator knows of everything that stands in Bronze now.
    pub async fn wait_until_bronze_is_known(&self, step: &Step, limit: Duration) -> Result<()> {
        let version = self.version_of(&self.bronze()).await?;
        let version = version.context("there is no Bronze table")?;
        self.wait_for_stage(step, Stage::Bronze, limit, |stage| stage.position >= Some(version))
            .await
            .map(drop)
    }

    /// Waits until nothing waits anywhere and no run is under way.
    pub async fn wait_until_idle(&self, step: &Step, limit: Duration) -> Result<()> {
        in_the_end(step, limit, Duration::from_millis(500), async || {
            let pipeline = self.pipeline().await?;
            let stages = pipeline
                .status
                .as_ref()
                .map(|status| status.stages.clone())
                .unwrap_or_default();
            let busy = |stage: &StageStatus| {
                stage.oldest_pending_time.is_some()
                    || stage.lag.is_some_and(|lag| lag > 0)
                    || (stage.name.is_batch() && stage.state != StageState::Idle)
            };
            let done = !stages.is_empty() && !stages.iter().any(busy);
            Ok(if done {
                Look::Done(())
            } else {
                Look::Waiting(in_words(&pipeline))
            })
        })
        .await
        .context("waiting until nothing is under way")
    }

    /// Removes the namespace and everything outside the cluster.
    pub async fn close(self) -> Result<()> {
        Self::wipe(self.world, &self.plan.pipeline).await
    }

    /// Removes the pipeline and its namespace; what is outside the cluster stays.
    pub async fn leave(self, step: &Step) -> Result<()> {
        leave(self.world, step, &self.namespace, &self.name).await
    }

    async fn wipe(world: &World, pipeline: &Pipeline) -> Result<()> {
        let name = pipeline.metadata.name.as_deref().unwrap_or_default();
        let namespace = pipeline.metadata.namespace.as_deref().unwrap_or_default();
        ensure!(
            namespace.starts_with("story-") || namespace.starts_with("bench-"),
            "{namespace} is not a story's to wipe"
        );
        let step = world.progress.step(format!("wiping {namespace}"));
        let spec = &pipeline.spec;
        leave(world, &step, namespace, name).await?;
        let group = owner(world, namespace, name).await?.consumer_group();
        world
            .kafka
            .forget(&[&spec.kafka.topic, &spec.kafka.dead_letter_topic], &group)
            .await?;
        world.stores.forget_table(&spec.table.name).await?;
        for bucket in [&spec.lake.bronze, &spec.lake.silver, &spec.lake.gold] {
            world.stores.forget_bucket(&bucket.bucket).await?;
        }
        let warehouse = spec.warehouse.as_ref();
        if let Some(redshift) = warehouse.and_then(|warehouse| warehouse.redshift.as_ref()) {
            world.warehouse().await?.drop_schema(&redshift.schema).await?;
        }
        step.done("");
        Ok(())
    }
}

/// The pipeline goes first, and its pods with it: Kubernetes looks again at a namespace with pods only after half of the
/// longest time that one of them may take to end, however soon they have ended.
async fn leave(world: &World, step: &Step, namespace: &str, name: &str) -> Result<()> {
    let pipelines: Api<Pipeline> = world.cluster.api(namespace);
    world.cluster.delete(step, &pipelines, name, LEAVING).await?;
    world.cluster.delete_namespace(step, namespace).await
}

async fn owner(world: &World, namespace: &str, name: &str) -> Result<Owner> {
    Ok(Owner {
        installation: world.cluster.installation().await?,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
}

pub fn condition(pipeline: &Pipeline, kind: &str) -> Option<Condition> {
    let status = pipeline
        .status
        .as_ref()
        .filter(|status| Some(status.observed_generation) == pipeline.metadata.generation)?;
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind)
        .cloned()
}

/// The status in one line: conditions that are not as they should be, stages that do something or cannot.
pub fn in_words(pipeline: &Pipeline) -> String {
    let Some(status) = &pipeline.status else {
        return "no status yet".to_owned();
    };
    let mut words = String::new();
    for one in &status.conditions {
        let is_good = matches!((one.type_.as_str(), one.status.as_str()), ("Ready" | "Healthy", "True"));
        if !is_good {
            let _ = write!(words, "{}={} {}: {}; ", one.type_, one.status, one.reason, one.message);
        }
    }
    for stage in &status.stages {
        let _ = write!(words, "{} {:?}", stage.name, stage.state);
        if let Some(lag) = stage.lag.filter(|lag| *lag > 0) {
            let _ = write!(words, " lag {lag}");
        }
        if let Some(reason) = &stage.reason {
            let _ = write!(words, " {reason}");
        }
        if let Some(message) = &stage.message {
            let _ = write!(words, " {message}");
        }
        words.push_str(", ");
    }
    let text = words.trim_end_matches([',', ' ', ';']);
    if text.is_empty() {
        "observedGeneration -1: the operator has not seen it".to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_and_its_contract_are_what_the_dbt_project_is_made_for() {
        let plan = Plan::example().unwrap();
        let map: ConfigMap = serde_saphyr::from_str(include_str!("../../../crds/examples/contract.yaml")).unwrap();
        let reference = &plan.pipeline.spec.contract.admitting().unwrap().schema_ref;
        assert_eq!(map.metadata.name.as_ref(), Some(&reference.name));
        assert_eq!(
            map.data.unwrap()[&reference.key].trim(),
            CONTRACT.trim(),
            "crds/examples/contract.yaml is behind dbt/contract"
        );
    }

    #[test]
    fn a_story_shares_nothing_with_the_demo() {
        let (demo, story) = (Plan::example().unwrap().pipeline, Plan::named("late").unwrap().pipeline);
        assert_ne!(demo.metadata.namespace, story.metadata.namespace);
        let outside = |spec: &medallion_crds::PipelineSpec| {
            let lake = [&spec.lake.bronze, &spec.lake.silver, &spec.lake.gold].map(|layer| layer.bucket.clone());
            let schema = spec
                .warehouse
                .as_ref()
                .unwrap()
                .redshift
                .as_ref()
                .unwrap()
                .schema
                .clone();
            [
                spec.kafka.topic.clone(),
                spec.kafka.dead_letter_topic.clone(),
                spec.table.name.clone(),
                schema,
            ]
            .into_iter()
            .chain(lake)
        };
        for (theirs, ours) in outside(&demo.spec).zip(outside(&story.spec)) {
            assert_ne!(theirs, ours);
        }
    }
}
