//! What the operator's writes rest on, on a real API server: spec and status have one writer each, and what was decided on an old
//! picture is refused. What users may write and see is the API tier of the stories. Talks to the local stack.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, Config, Error, Resource, ResourceExt};
use medallion_crds::manifests::manifests;
use medallion_crds::pipeline::PipelineStatus;
use medallion_crds::{Pipeline, StageRun};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const SMALLEST: &str = include_str!("../../crds/examples/smallest.yaml");

struct World {
    client: Client,
    namespace: String,
}

impl World {
    /// The stack's API server with the current definitions, and a namespace of the test's own.
    async fn new(name: &str) -> Result<Self> {
        let path = std::env::var("MEDALLION_STACK")
            .context("MEDALLION_STACK names the stack's file; see e2e/local/README.md")?;
        let stack: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        let kubeconfig = Kubeconfig::read_from(stack["kubeconfig"].as_str().context("a kubeconfig")?)?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let client = Client::try_from(config)?;
        let operators = ListParams::default().labels("app.kubernetes.io/name=medallion-operator");
        let operators = Api::<Deployment>::all(client.clone()).list(&operators).await?;
        ensure!(
            operators.items.is_empty(),
            "an operator is installed here and would write along; `helm uninstall medallion --namespace medallion` takes it away"
        );
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        for (_, text) in manifests()? {
            let definition: CustomResourceDefinition = serde_saphyr::from_str(&text)?;
            let name = definition.name_any();
            let parameters = PatchParams::apply("stack-api-test").force();
            definitions.patch(&name, &parameters, &Patch::Apply(definition)).await?;
            let established = await_condition(definitions.clone(), &name, conditions::is_crd_established());
            tokio::time::timeout(Duration::from_secs(20), established).await??;
        }
        let namespace = format!("api-{name}-{}", std::process::id());
        let own = Namespace {
            metadata: ObjectMeta {
                name: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        Api::all(client.clone()).create(&PostParams::default(), &own).await?;
        Ok(Self { client, namespace })
    }

    fn pipelines(&self) -> Api<Pipeline> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn runs(&self) -> Api<StageRun> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The smallest pipeline, applied as a user does.
    async fn pipeline(&self) -> Result<Pipeline> {
        let mut object: Value = serde_saphyr::from_str(SMALLEST)?;
        object["metadata"]["namespace"] = json!(self.namespace);
        let name = object["metadata"]["name"].as_str().context("a name")?.to_owned();
        let parameters = PatchParams::apply("a-user");
        Ok(self
            .pipelines()
            .patch(&name, &parameters, &Patch::Apply(object))
            .await?)
    }

    /// Replaces a status as the operator does: nothing else of the object is sent but by what it is known.
    async fn replace<K>(&self, seen: &ObjectMeta, status: &Value) -> kube::Result<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
    {
        let name = seen.name.as_deref().unwrap_or_default();
        let body = json!({
            "apiVersion": K::api_version(&()), "kind": K::kind(&()),
            "metadata": {"name": name, "uid": seen.uid, "resourceVersion": seen.resource_version},
            "status": status,
        });
        let body = serde_json::to_vec(&body).map_err(Error::SerdeError)?;
        let request = Request::new(K::url_path(&(), Some(&self.namespace)))
            .replace_subresource("status", name, &PostParams::default(), body)
            .map_err(Error::BuildRequest)?;
        self.client.request(request).await
    }

    async fn end(self) -> Result<()> {
        Api::<Namespace>::all(self.client)
            .delete(&self.namespace, &DeleteParams::background())
            .await?;
        Ok(())
    }
}

fn run() -> Result<StageRun> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "medallion.dev/v1alpha1", "kind": "StageRun", "metadata": {"name": "orders-silver-000001"},
        "spec": {"pipelineRef": {"name": "orders"}, "stage": "silver", "type": "Process", "process": {"inputs": [{"name": "bronze", "version": 3}]}},
    }))?)
}

fn is_conflict<T>(answer: kube::Result<T>) -> bool {
    matches!(answer, Err(Error::Api(status)) if status.is_conflict())
}

#[tokio::test]
async fn spec_and_status_have_one_writer_each() -> Result<()> {
    let world = World::new("ownership").await?;
    let stored = world.pipeline().await?;
    let write = async |seen: &Pipeline, generation: i64| {
        let status = PipelineStatus {
            observed_generation: generation,
            owner: (generation == 1).then(|| "here/shop/orders".to_owned()),
            ..PipelineStatus::default()
        };
        world.replace::<Pipeline>(&seen.metadata, &json!(status)).await
    };
    let first = write(&stored, 1).await?;
    assert_eq!(first.spec, stored.spec, "the wish stays, although it was not sent");
    assert_eq!(first.metadata.labels, stored.metadata.labels);
    let again = world.pipeline().await?;
    let status = again.status.clone().context("a status")?;
    assert_eq!(
        status.observed_generation, 1,
        "applying the wish again keeps what is true"
    );
    assert_eq!(again.metadata.generation, Some(1), "a status is no change of the wish");
    assert!(is_conflict(write(&stored, 2).await), "decided on an old picture");
    let mut another = again.clone();
    another.metadata.uid = Some("00000000-0000-0000-0000-000000000000".to_owned());
    assert!(is_conflict(write(&another, 2).await), "another of that name");
    let second = write(&again, 2).await?.status.context("a status")?;
    assert_eq!(
        (second.observed_generation, second.owner),
        (2, None),
        "what is not said any more goes"
    );
    world.end().await
}

#[tokio::test]
async fn an_attempt_is_counted_once() -> Result<()> {
    let world = World::new("swap").await?;
    let stored = world.runs().create(&PostParams::default(), &run()?).await?;
    let attempt = async |number: i32| {
        let status = json!({"observedGeneration": 1, "attempt": number});
        world.replace::<StageRun>(&stored.metadata, &status).await
    };
    let first = attempt(1).await?;
    assert!(is_conflict(attempt(2).await), "two operators with one picture");
    // What the operator looks at before it makes an attempt's Job.
    let seen = world.runs().get_metadata(&stored.name_any()).await?;
    assert_eq!(seen.resource_version(), first.resource_version());
    assert_ne!(seen.resource_version(), stored.resource_version());
    world.end().await
}

#[tokio::test]
async fn a_second_run_of_one_number_is_refused() -> Result<()> {
    let world = World::new("number").await?;
    world.runs().create(&PostParams::default(), &run()?).await?;
    let again = world.runs().create(&PostParams::default(), &run()?).await;
    assert!(matches!(again, Err(Error::Api(status)) if status.is_already_exists()));
    world.end().await
}
