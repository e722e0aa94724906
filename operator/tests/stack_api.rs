//! The two kinds on a real API server: what it accepts and refuses, with the message a user reads; ownership; columns. Talks to the local stack.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, Config, ResourceExt};
use medallion_crds::manifests::manifests;
use medallion_crds::pipeline::PipelineStatus;
use medallion_crds::{Pipeline, StageRun, labels};
use rstest::rstest;
use serde_json::{Value, json};

const SMALLEST: &str = include_str!("../../crds/examples/smallest.yaml");

struct World {
    client: Client,
    namespace: String,
}

impl World {
    /// The stack's API server with the current definitions, and a namespace of the test's own.
    async fn new(name: &str) -> Self {
        let path =
            std::env::var("MEDALLION_STACK").expect("MEDALLION_STACK names the stack's file; see e2e/local/README.md");
        let stack: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let kubeconfig = Kubeconfig::read_from(stack["kubeconfig"].as_str().expect("a kubeconfig")).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .unwrap();
        let client = Client::try_from(config).unwrap();
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        for (_, text) in manifests().unwrap() {
            let definition: CustomResourceDefinition = serde_saphyr::from_str(&text).unwrap();
            let name = definition.name_any();
            let parameters = PatchParams::apply("stack-api-test").force();
            definitions
                .patch(&name, &parameters, &Patch::Apply(definition))
                .await
                .unwrap();
            let established = await_condition(definitions.clone(), &name, conditions::is_crd_established());
            tokio::time::timeout(Duration::from_secs(20), established)
                .await
                .expect("established")
                .unwrap();
        }
        let namespace = format!("api-{name}-{}", std::process::id());
        let own = Namespace {
            metadata: kube::api::ObjectMeta {
                name: Some(namespace.clone()),
                ..Default::default()
            },
            ..Default::default()
        };
        Api::all(client.clone())
            .create(&PostParams::default(), &own)
            .await
            .unwrap();
        Self { client, namespace }
    }

    fn pipelines(&self) -> Api<Pipeline> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn runs(&self) -> Api<StageRun> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn end(self) {
        Api::<Namespace>::all(self.client)
            .delete(&self.namespace, &DeleteParams::background())
            .await
            .unwrap();
    }

    /// Applies as a user would; gives the server's message when it refuses.
    async fn apply(&self, object: Value) -> Result<Pipeline, String> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let parameters = PatchParams::apply("a-user");
        self.pipelines()
            .patch(&name, &parameters, &Patch::Apply(object))
            .await
            .map_err(|error| error.to_string())
    }
}

fn smallest(namespace: &str) -> Value {
    let mut object: Value = serde_saphyr::from_str(SMALLEST).unwrap();
    object["metadata"]["namespace"] = json!(namespace);
    object
}

fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).expect("the field's parent")[key] = value;
    object
}

#[tokio::test]
async fn the_smallest_pipeline_is_accepted_with_its_defaults() {
    let world = World::new("smallest").await;
    let stored = world.apply(smallest(&world.namespace)).await.unwrap();
    assert_eq!(stored.spec.stages.silver.min_interval_seconds, 30);
    assert_eq!(stored.spec.dead_letters.max_count, 100);
    assert_eq!(
        stored.status.clone().unwrap().observed_generation,
        -1,
        "generic tools wait until it was seen"
    );
    world.end().await;
}

#[rstest]
#[case::name("name", "/metadata/name", json!("1-shop"), "metadata.name: must begin with a letter")]
#[case::topics("topics", "/spec/kafka/deadLetterTopic", json!("purchase_orders"), "deadLetterTopic: must differ from topic")]
#[case::tokens("tokens", "/spec/stages/ingest/authentication", json!({"type": "BearerTokens"}), "bearerTokens: is required when type is BearerTokens")]
#[case::cluster("cluster", "/spec/warehouse/redshift/clusterIdentifier", json!("c"), "either workgroupName (serverless) or clusterIdentifier")]
#[case::region("region", "/spec/aws/region", json!("Ireland"), "spec.aws.region")]
#[case::bucket("bucket", "/spec/lake/gold/bucket", json!("UPPER"), "spec.lake.gold.bucket")]
#[case::replicas("replicas", "/spec/stages/persist", json!({"replicas": 0}), "spec.stages.persist.replicas")]
#[tokio::test]
async fn what_cannot_work_is_refused_with_the_reason(
    #[case] test: &str,
    #[case] pointer: &str,
    #[case] value: Value,
    #[case] message: &str,
) {
    let world = World::new(test).await;
    let refusal = world
        .apply(with(smallest(&world.namespace), pointer, value))
        .await
        .unwrap_err();
    assert!(refusal.contains(message), "{refusal}");
    world.end().await;
}

#[rstest]
#[case::topic("topic", "/spec/kafka/topic", json!("other"), "spec.kafka.topic")]
#[case::table("table", "/spec/table/name", json!("other"), "spec.table.name")]
#[case::layer("layer", "/spec/lake/bronze/bucket", json!("other-bucket"), "spec.lake.bronze.bucket")]
#[case::pointer("pointer", "/spec/contract/key", json!("/other"), "spec.contract.key")]
#[tokio::test]
async fn what_positions_rest_on_is_immutable(
    #[case] test: &str,
    #[case] pointer: &str,
    #[case] value: Value,
    #[case] field: &str,
) {
    let world = World::new(test).await;
    world.apply(smallest(&world.namespace)).await.unwrap();
    let refusal = world
        .apply(with(smallest(&world.namespace), pointer, value))
        .await
        .unwrap_err();
    assert!(refusal.contains(field) && refusal.contains("is immutable"), "{refusal}");
    world.end().await;
}

#[tokio::test]
async fn a_run_never_changes() {
    let world = World::new("run").await;
    let run = json!({
        "apiVersion": "medallion.dev/v1alpha1", "kind": "StageRun", "metadata": {"name": "orders-silver-000001"},
        "spec": {"pipelineRef": {"name": "orders"}, "stage": "silver", "type": "Process", "inputs": [{"name": "bronze", "version": 3}]},
    });
    let apply = |object: Value| {
        let runs = world.runs();
        async move {
            runs.patch(
                "orders-silver-000001",
                &PatchParams::apply("a-user"),
                &Patch::Apply(object),
            )
            .await
        }
    };
    let streaming = apply(with(run.clone(), "/spec/stage", json!("bronze")))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        streaming.contains("stage: must be silver, gold or warehouse"),
        "{streaming}"
    );
    apply(run.clone()).await.unwrap();
    let changed = with(run, "/spec/inputs", json!([{"name": "bronze", "version": 4}]));
    let refusal = apply(changed).await.unwrap_err().to_string();
    assert!(refusal.contains("spec: is immutable"), "{refusal}");
    world.end().await;
}

#[tokio::test]
async fn spec_and_status_have_one_writer_each() {
    let world = World::new("ownership").await;
    let stored = world.apply(smallest(&world.namespace)).await.unwrap();
    let status = |version: Option<String>, generation: i64| {
        json!({
            "apiVersion": "medallion.dev/v1alpha1", "kind": "Pipeline",
            "metadata": {"name": stored.name_any(), "resourceVersion": version},
            "status": PipelineStatus { observed_generation: generation, ..PipelineStatus::default() },
        })
    };
    let write = |object: Value| {
        let (pipelines, name) = (world.pipelines(), stored.name_any());
        async move {
            pipelines
                .patch_status(
                    &name,
                    &PatchParams::apply(labels::MANAGER).force(),
                    &Patch::Apply(object),
                )
                .await
        }
    };
    write(status(stored.resource_version(), 1)).await.unwrap();
    // Applying the wish again does not touch what is true.
    let again = world.apply(smallest(&world.namespace)).await.unwrap();
    assert_eq!(again.status.unwrap().observed_generation, 1);
    assert_eq!(again.metadata.generation, Some(1), "a status is no change of the wish");
    // A status decided on an old picture is refused.
    let late = write(status(stored.resource_version(), 2)).await.unwrap_err();
    assert!(
        matches!(&late, kube::Error::Api(answer) if answer.is_conflict()),
        "{late}"
    );
    world.end().await;
}

#[tokio::test]
async fn a_status_decided_on_an_old_picture_is_refused() {
    let world = World::new("swap").await;
    let spec = json!({"pipelineRef": {"name": "orders"}, "stage": "silver", "type": "Process", "inputs": [{"name": "bronze", "version": 3}]});
    let run =
        json!({"apiVersion": "medallion.dev/v1alpha1", "kind": "StageRun", "metadata": {"name": "r"}, "spec": spec});
    let stored = world
        .runs()
        .patch("r", &PatchParams::apply("a-user"), &Patch::Apply(run))
        .await
        .unwrap();
    let attempt = |number: i32| {
        json!({
            "apiVersion": "medallion.dev/v1alpha1", "kind": "StageRun",
            "metadata": {"name": "r", "resourceVersion": stored.resource_version()},
            "status": {"observedGeneration": 1, "attempt": number},
        })
    };
    let parameters = PatchParams::apply(labels::MANAGER).force();
    world
        .runs()
        .patch_status("r", &parameters, &Patch::Apply(attempt(1)))
        .await
        .unwrap();
    let late = world
        .runs()
        .patch_status("r", &parameters, &Patch::Apply(attempt(2)))
        .await
        .unwrap_err();
    assert!(
        matches!(&late, kube::Error::Api(answer) if answer.is_conflict()),
        "{late}"
    );
    world.end().await;
}

#[tokio::test]
async fn the_columns_say_what_a_person_looks_for() {
    let world = World::new("columns").await;
    world.apply(smallest(&world.namespace)).await.unwrap();
    let columns = |plural: &str| {
        let request = http::Request::get(format!(
            "/apis/medallion.dev/v1alpha1/namespaces/{}/{plural}",
            world.namespace
        ))
        .header("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(Vec::new())
        .unwrap();
        let client = world.client.clone();
        async move {
            let table: Value = client.request(request).await.unwrap();
            let shown = table["columnDefinitions"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|column| column["priority"] == 0);
            shown
                .map(|column| column["name"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(
        columns("pipelines").await,
        [
            "Name",
            "Ready",
            "Healthy",
            "Bronze",
            "Silver",
            "Gold",
            "Warehouse",
            "Dead-Letters",
            "Age"
        ]
    );
    assert_eq!(
        columns("stageruns").await,
        [
            "Name",
            "Pipeline",
            "Stage",
            "Succeeded",
            "Reason",
            "Attempt",
            "Rows",
            "Age"
        ]
    );
    world.end().await;
}
