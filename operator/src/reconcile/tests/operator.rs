//! An operator that carries plans out and remembers what it wrote, and plans for it. No network.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use medallion_crds::labels;
use medallion_plan::{Child, Plan};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::world::World;
use crate::cache::Cache;
use crate::reconcile::apply::{Applier, Outcome};
use crate::watch::room::Room;

/// Looks and writes of one operator, which remembers what it wrote.
pub(super) struct Operator {
    pub world: World,
    pub cache: Cache,
    /// How much later it is for it than it is.
    pub passed: Duration,
}

impl Operator {
    pub fn new() -> Self {
        let world = World::new();
        world.server.requests();
        Self {
            world,
            cache: Cache::default(),
            passed: Duration::ZERO,
        }
    }

    /// Carries a plan out.
    pub async fn apply(&mut self, plan: &Plan) -> Outcome {
        let pipeline = self.world.validated();
        let room = self.room();
        let passed = self.passed;
        let clock = move || Instant::now() + passed;
        let mut applier = Applier {
            context: &self.world.context,
            room: &room,
            pipeline: &pipeline,
            cache: &mut self.cache,
            clock: &clock,
            outcome: Outcome::default(),
        };
        applier.apply(plan).await.unwrap();
        applier.outcome
    }

    pub fn room(&self) -> Room {
        self.world.context.index.room(&self.world.key).unwrap_or_default()
    }

    pub fn owner(&self) -> Value {
        let pipeline = self.world.pipeline();
        json!([{
            "apiVersion": "medallion.dev/v1alpha1", "kind": "Pipeline", "name": "orders",
            "uid": pipeline.metadata.uid, "controller": true,
        }])
    }

    /// One child of each kind.
    pub fn children(&self) -> Vec<Child> {
        vec![
            Child::ServiceAccount(self.object("ServiceAccount", "v1", &Value::Null)),
            Child::ConfigMap(self.object("ConfigMap", "v1", &Value::Null)),
            Child::Service(Box::new(self.object(
                "Service",
                "v1",
                &json!({"ports": [{"port": 80}]}),
            ))),
            Child::PodDisruptionBudget(Box::new(self.object("PodDisruptionBudget", "policy/v1", &Value::Null))),
            Child::Deployment(Box::new(self.deployment(1))),
        ]
    }

    pub fn deployment(&self, replicas: i32) -> Deployment {
        let spec = json!({"replicas": replicas, "selector": {}, "template": {}});
        self.object("Deployment", "apps/v1", &spec)
    }

    /// A Deployment that runs as the account and mounts the settings, before both of them, and a Job that does so too.
    pub fn users(&self, replicas: i32) -> Plan {
        let template = json!({"spec": {
            "serviceAccountName": "orders-serviceaccount",
            "containers": [],
            "volumes": [{"name": "settings", "configMap": {"name": "orders-configmap"}}],
        }});
        let spec = json!({"replicas": replicas, "selector": {}, "template": template});
        let mut children = self.children();
        children.pop();
        children.insert(
            0,
            Child::Deployment(Box::new(self.object("Deployment", "apps/v1", &spec))),
        );
        Plan {
            children,
            create_jobs: vec![self.object("Job", "batch/v1", &json!({"template": template}))],
            ..Plan::default()
        }
    }

    pub fn object<K: DeserializeOwned>(&self, kind: &str, version: &str, spec: &Value) -> K {
        let mut object = json!({
            "apiVersion": version, "kind": kind,
            "metadata": {
                "name": format!("orders-{}", kind.to_lowercase()),
                "namespace": "shop",
                "labels": {labels::PIPELINE: "orders", labels::MANAGED_BY: labels::MANAGER},
                "annotations": {labels::PLANNED_HASH: "planned"},
                "ownerReferences": self.owner(),
            },
        });
        if !spec.is_null() {
            object["spec"] = spec.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    pub fn job(&self) -> Job {
        self.object("Job", "batch/v1", &json!({"template": {}}))
    }
}

pub(super) fn children(children: Vec<Child>) -> Plan {
    Plan {
        children,
        ..Plan::default()
    }
}

/// Somebody's object, without any label of ours.
pub(super) fn foreign(kind: &str) -> Value {
    json!({"metadata": {"name": format!("orders-{}", kind.to_lowercase())}, "spec": {"theirs": true}})
}
