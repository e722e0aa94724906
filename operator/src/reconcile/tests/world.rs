//! A pipeline, an API server in memory, and an operator that watches it when a test says so. No network.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use kube::api::DynamicObject;
use kube::runtime::events::{Recorder, Reporter};
use medallion_crds::{Pipeline, StageRun, labels};
use medallion_plan::{OperatorConfig, Pod, ValidatedPipeline};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cache::Caches;
use crate::context::Context;
use crate::health::Health;
use crate::key::PipelineKey;
use crate::lease::leadership::{Leadership, Position};
use crate::metrics::Metrics;
use crate::mock::Server;
use crate::poll::board::Board;
use crate::reconcile::pass;
use crate::watch::child_kinds::KINDS;
use crate::watch::guard::Guarded;
use crate::watch::index::{Index, POD};
use crate::watch::part::Part;
use crate::watch::slim::{self, Slim};

const CONFIG: &str = r#"
installation: test
images: {workers: "medallion:1", dbtProjects: {purchases: "dbt:1"}}
"#;

pub struct World {
    pub server: Server,
    pub context: Context,
    pub key: PipelineKey,
}

impl World {
    /// A pipeline that nobody has looked at yet, with its contract.
    pub fn new() -> Self {
        let server = Server::default();
        let mut object: Value =
            serde_saphyr::from_str(include_str!("../../../../crds/examples/smallest.yaml")).unwrap();
        object["metadata"]["namespace"] = json!("shop");
        object["metadata"]["name"] = json!("orders");
        server.put("pipelines", object.clone());
        let pipeline: Pipeline = serde_json::from_value(object).unwrap();
        let reference = &pipeline.spec.contract.versions[0].schema_ref;
        server.put(
            "configmaps",
            json!({"metadata": {"name": reference.name}, "data": {reference.key.clone(): "{}"}}),
        );
        let world = Self {
            context: context(&server),
            server,
            key: PipelineKey::new("shop", "orders"),
        };
        world.watch();
        world
    }

    /// The watches show everything that stands now.
    pub fn watch(&self) {
        let (server, index) = (&self.server, &self.context.index);
        for object in server.all("pipelines") {
            index.put_pipeline(Guarded(Ok(serde_json::from_value(object).unwrap())));
        }
        let owned = |object: &DynamicObject| PipelineKey::by_label(object);
        for kind in &KINDS {
            let plural = (kind.resource)().plural;
            let mut shown = BTreeSet::new();
            for object in ours(server.all(&plural)) {
                let object: DynamicObject = serde_json::from_value(object).unwrap();
                shown.insert(object.metadata.name.clone());
                index.put(kind.name, owned(&object), slim::child(&object));
            }
            let room = index.room(&self.key).unwrap_or_default();
            let gone = room.children.get(kind.name).into_iter().flatten();
            for (_, child) in gone.filter(|(_, child)| !shown.contains(&child.metadata.name)) {
                index.remove::<crate::watch::room::StoredChild>(kind.name, &child.metadata);
            }
        }
        self.show::<Deployment>("whole", "deployments");
        self.show::<Job>("Job", "jobs");
        self.show::<Pod>(POD, "pods");
        for object in server.all("stageruns") {
            let run: StageRun = serde_json::from_value(object).unwrap();
            let home = PipelineKey::new("shop", &run.spec.pipeline_ref.name);
            index.put("StageRun", Some(home), run);
        }
    }

    fn show<K: Part + Slim + DeserializeOwned + kube::Resource>(&self, kind: &'static str, plural: &str) {
        for object in ours(self.server.all(plural)) {
            let mut object: K = serde_json::from_value(object).unwrap();
            object.slim();
            self.context.index.put(kind, PipelineKey::by_label(&object), object);
        }
    }

    /// One look.
    pub async fn look(&self) -> Option<Duration> {
        pass::guarded(&self.context, &self.key).await
    }

    /// Looks until nothing is written any more.
    pub async fn settle(&self) {
        for _ in 0..10 {
            self.server.requests();
            self.look().await;
            self.watch();
            if self.server.writes().is_empty() {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    pub fn pipeline(&self) -> Pipeline {
        serde_json::from_value(self.server.get("pipelines", "orders").unwrap()).unwrap()
    }

    pub fn validated(&self) -> ValidatedPipeline {
        ValidatedPipeline::new(&self.pipeline(), &self.context.config).unwrap()
    }

    /// Status, reason and message of a condition.
    pub fn condition(&self, kind: &str) -> (String, String, String) {
        let conditions = self.pipeline().status.unwrap().conditions;
        let found = conditions
            .into_iter()
            .find(|condition| condition.type_ == kind)
            .unwrap();
        (found.status, found.reason, found.message)
    }

    /// Reasons of the events that were published.
    pub fn events(&self) -> Vec<String> {
        let events = self.server.all("events");
        events
            .iter()
            .map(|event| event["reason"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// What the label selector of a watch lets through.
fn ours(objects: Vec<Value>) -> impl Iterator<Item = Value> {
    objects
        .into_iter()
        .filter(|object| object["metadata"]["labels"][labels::MANAGED_BY] == labels::MANAGER)
}

/// What all looks share, with this process leading.
pub fn context(server: &Server) -> Context {
    let client = server.client();
    let config: OperatorConfig = serde_saphyr::from_str(CONFIG).unwrap();
    let leadership = Leadership::new(&[None]);
    let long_ago = Instant::now().checked_sub(Duration::from_mins(1)).unwrap();
    let leads = Position::Leads {
        since: long_ago,
        until: Instant::now() + Duration::from_mins(10),
        except: BTreeSet::new(),
    };
    leadership.set(&None, leads);
    let reporter = Reporter {
        controller: labels::MANAGER.to_owned(),
        instance: Some("test".to_owned()),
    };
    Context {
        recorder: Recorder::new(client.clone(), reporter),
        client,
        config,
        metrics: Arc::new(Metrics::default()),
        health: Arc::new(Health::default()),
        index: Arc::new(Index::new(|pipeline| pipeline.spec.kafka.consumer_group.clone())),
        board: Arc::new(Board::default()),
        leadership: Arc::new(leadership),
        caches: Caches::default(),
    }
}
