//! The API tier: what a real API server accepts, refuses, defaults and shows, and who may do what. Touches the API server.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use medallion_crds::{Pipeline, StageRun};
use serde_json::{Value, json};

use super::conclusion::{Failed, conclude};
use super::{check_names, foreign, pods, rights, terraform};
use crate::helm::{self, Installation};
use crate::world::World;

const PLACE: &str = "story-api";
const SMALLEST: &str = include_str!("../../../../crds/examples/smallest.yaml");
const FULL: &str = include_str!("../../../../crds/examples/purchase-orders.yaml");
const EXISTING_TOPIC: &str = include_str!("../../../../crds/examples/existing-topic.yaml");
const RUN: &str = include_str!("../../../../crds/examples/stage-run.yaml");
const CASES: [&str; 9] = [
    "installed",
    "accepted",
    "refused",
    "immutable",
    "shown",
    "foreign",
    "terraform",
    "rights",
    "pods",
];

/// Pointer, value (null removes), and what the message must say.
type Refusal = (&'static str, Value, &'static str);

pub async fn all(world: &World, only: &[String]) -> Result<()> {
    check_names(only, &CASES)?;
    world.install(Installation::default()).await?;
    world.cluster.make_namespace(PLACE).await?;
    let (mut count, mut failed) = (0, Vec::new());
    for case in CASES {
        if !only.is_empty() && !only.iter().any(|one| one == case) {
            continue;
        }
        count += 1;
        let step = world.progress.step(format!("api {case}"));
        let shown = match case {
            "installed" => helm::test(&world.stack).await,
            "accepted" => accepted(world).await,
            "refused" => refused(world).await,
            "immutable" => immutable(world).await,
            "shown" => shown(world).await,
            "foreign" => foreign::object(world, PLACE, &example(SMALLEST, "foreign")?).await,
            "terraform" => terraform::applied(world, PLACE).await,
            "rights" => rights::hold(world, PLACE).await,
            _ => pods::restricted(world, PLACE).await,
        };
        match shown {
            Ok(()) => step.done("holds"),
            Err(error) => {
                step.done(format!("FAILS\n  {error:#}"));
                failed.push(Failed::new(case, &error));
            }
        }
    }
    let step = world.progress.step("wiping");
    world.cluster.delete_namespace(&step, PLACE).await?;
    step.done("");
    // What comes next on this cluster makes objects of the same kinds, and has them for itself.
    world.uninstall().await?;
    conclude("cases of the API tier", count, &failed)
}

fn pipelines(world: &World) -> Api<DynamicObject> {
    Api::namespaced_with(
        world.cluster.client.clone(),
        PLACE,
        &ApiResource::erase::<Pipeline>(&()),
    )
}

fn runs(world: &World) -> Api<DynamicObject> {
    Api::namespaced_with(
        world.cluster.client.clone(),
        PLACE,
        &ApiResource::erase::<StageRun>(&()),
    )
}

fn example(text: &str, name: &str) -> Result<Value> {
    let mut object: Value = serde_saphyr::from_str(text)?;
    object["metadata"] = json!({"name": name, "namespace": PLACE});
    Ok(object)
}

fn changed(object: &Value, pointer: &str, value: &Value) -> Result<Value> {
    let mut object = object.clone();
    let (parent, name) = pointer.rsplit_once('/').context("a pointer")?;
    let parent = object
        .pointer_mut(parent)
        .with_context(|| format!("{pointer} has no parent"))?;
    let parent = parent
        .as_object_mut()
        .with_context(|| format!("{pointer} is in no object"))?;
    if value.is_null() {
        parent.remove(name);
    } else {
        parent.insert(name.to_owned(), value.clone());
    }
    Ok(object)
}

async fn try_create(api: &Api<DynamicObject>, object: &Value) -> Result<DynamicObject, kube::Error> {
    let parameters = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let object = serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
    api.create(&parameters, &object).await
}

/// The examples are valid; what was left out stands in the stored object.
async fn accepted(world: &World) -> Result<()> {
    let api = pipelines(world);
    try_create(&api, &example(FULL, "full")?)
        .await
        .context("purchase-orders.yaml")?;
    try_create(&api, &example(EXISTING_TOPIC, "existing-topic")?)
        .await
        .context("existing-topic.yaml")?;
    try_create(&runs(world), &example(RUN, "by-hand")?)
        .await
        .context("stage-run.yaml")?;
    let stored = try_create(&api, &example(SMALLEST, "smallest")?)
        .await
        .context("smallest.yaml")?;
    let wanted = [
        ("/spec/management", json!("External")),
        ("/spec/suspend", json!(false)),
        ("/spec/stages/bronze/flush/maxAgeSeconds", json!(60)),
        ("/spec/stages/silver/retry/limit", json!(3)),
        ("/spec/deadLetters/maxCount", json!(100)),
        // Until the operator has seen it, generic tools must wait.
        ("/status/observedGeneration", json!(-1)),
    ];
    for (pointer, value) in wanted {
        let found = stored.data.pointer(pointer);
        ensure!(found == Some(&value), "{pointer} is {found:?} and should be {value}");
    }
    Ok(())
}

fn from_secret(key: &str) -> Value {
    json!({"secretKeyRef": {"name": "shop-kafka", "key": key}})
}

/// What no pipeline may say, and the words of the refusal.
fn refusals() -> Vec<Refusal> {
    vec![
        ("/metadata/name", json!("a".repeat(41)), "at most 40 characters"),
        ("/metadata/name", json!("a.b"), "must begin with a letter"),
        (
            "/spec/kafka/deadLetterTopic",
            json!("purchase_orders"),
            "must differ from topic",
        ),
        ("/spec/kafka/bootstrapServers", json!([]), "at least 1"),
        (
            "/spec/kafka/bootstrapServers",
            json!(["http://kafka:9092"]),
            "should match",
        ),
        ("/spec/contract/versions", json!([]), "at least 1"),
        ("/spec/warehouse", Value::Null, "or neither of them"),
        ("/spec/stages/ingest/size", json!("Small!"), "should match"),
        (
            "/spec/kafka/authentication",
            json!({"type": "Kerberos"}),
            "Unsupported value",
        ),
        (
            "/spec/kafka/authentication",
            json!({"type": "Scram"}),
            "scram: is required when type is Scram",
        ),
        (
            "/spec/kafka/authentication",
            json!({"type": "Plain", "plain": {"username": from_secret("user"), "password": from_secret("password")}}),
            "spec.kafka.tls is required",
        ),
        (
            "/spec/warehouse/redshift",
            Value::Null,
            "is required when type is Redshift",
        ),
        ("/spec/warehouse/redshift/clusterIdentifier", json!("shop"), "not both"),
        ("/spec/warehouse/redshift/workgroupName", Value::Null, "not both"),
        (
            "/spec/stages/ingest/authentication",
            json!({"type": "BearerTokens"}),
            "bearerTokens: is required",
        ),
        ("/spec/stages/warehouse/tables", json!([]), "at least 1"),
        (
            "/spec/stages/warehouse/tables",
            json!([{"name": "orders; DROP", "mode": "ReplaceTable"}]),
            "should match",
        ),
        ("/spec/contract/key", json!("order_id"), "should match"),
        ("/spec/lake/bronze/bucket", json!("Shop_Bronze"), "should match"),
        ("/spec/aws/region", json!("moon"), "should match"),
        (
            "/spec/stages/persist",
            json!({"replicas": 0}),
            "greater than or equal to 1",
        ),
        ("/spec/contract", Value::Null, "Required value"),
        ("/spec/contract/key", json!("/order~id"), "should match"),
        ("/spec/lake/gold/bucket", json!("shop-silver"), "must be three buckets"),
        (
            "/spec/stages/bronze",
            json!({"flush": {"maxAgeSeconds": 120}}),
            "must be greater than flush.maxAgeSeconds",
        ),
        (
            "/spec/stages/bronze",
            json!({"flush": {"maxBytes": 268_435_457}}),
            "less than or equal to 268435456",
        ),
        (
            "/spec/stages/silver",
            json!({"minIntervalSeconds": 3600}),
            "must be greater than minIntervalSeconds",
        ),
        (
            "/spec/stages/gold",
            json!({"retry": {"backoffSeconds": 301}}),
            "must be at least backoffSeconds",
        ),
    ]
}

async fn refused(world: &World) -> Result<()> {
    let (smallest, api) = (example(SMALLEST, "refused")?, pipelines(world));
    for (pointer, value, message) in refusals() {
        refuses(try_create(&api, &changed(&smallest, pointer, &value)?).await, message)
            .with_context(|| format!("{pointer} = {value}"))?;
    }
    // What the schema cannot say is not stored, and a strict client is refused.
    let mut object: Value = smallest.clone();
    object["spec"]["image"] = json!("evil");
    let parameters = PatchParams {
        dry_run: true,
        ..PatchParams::apply("stories").validation_strict()
    };
    refuses(api.patch("refused", &parameters, &Patch::Apply(object)).await, "image")?;

    let run = |stage: &str| {
        json!({
            "apiVersion": "medallion.dev/v1alpha1", "kind": "StageRun", "metadata": {"name": "by-hand", "namespace": PLACE},
            "spec": {"pipelineRef": {"name": "p"}, "stage": stage, "type": "Process", "process": {"inputs": [{"name": "bronze", "version": 1}]}},
        })
    };
    refuses(
        try_create(&runs(world), &run("bronze")).await,
        "must be silver, gold, warehouse or catalog",
    )?;
    let other = changed(
        &run("silver"),
        "/spec/process/inputs",
        &json!([{"name": "orders", "version": 1}]),
    )?;
    refuses(
        try_create(&runs(world), &other).await,
        "silver works on exactly one input, bronze",
    )
}

fn refuses<T>(result: Result<T, kube::Error>, message: &str) -> Result<()> {
    match result {
        Ok(_) => bail!("it was accepted"),
        Err(kube::Error::Api(status)) if status.message.contains(message) => Ok(()),
        Err(error) => bail!("the message should say `{message}` and says: {error}"),
    }
}

/// What positions rest on cannot change once stored; the rest can.
async fn immutable(world: &World) -> Result<()> {
    let (smallest, api) = (example(SMALLEST, "immutable")?, pipelines(world));
    let apply = PatchParams::apply("stories").force();
    api.patch("immutable", &apply, &Patch::Apply(&smallest)).await?;
    let fixed = [
        ("/spec/contract/key", json!("/other")),
        ("/spec/contract/eventId", json!("/other")),
        ("/spec/contract/eventTime", json!("/other")),
        ("/spec/contract/eventVersion", json!("/added")),
        ("/spec/aws/region", json!("eu-central-1")),
        ("/spec/kafka/topic", json!("other")),
        ("/spec/kafka/deadLetterTopic", json!("dlq.other")),
        ("/spec/kafka/partitions", json!(7)),
        ("/spec/table/name", json!("other")),
        ("/spec/lake/bronze/bucket", json!("other")),
        ("/spec/lake/silver/bucket", json!("other")),
        ("/spec/lake/gold/bucket", json!("other")),
        ("/spec/warehouse/redshift/database", json!("other")),
        ("/spec/warehouse/redshift/schema", json!("other")),
    ];
    for (pointer, value) in fixed {
        let object = changed(&smallest, pointer, &value)?;
        refuses(
            api.patch("immutable", &apply, &Patch::Apply(object)).await,
            "is immutable",
        )
        .context(pointer)?;
    }
    for (pointer, value) in [
        ("/spec/suspend", json!(true)),
        ("/spec/stages/persist", json!({"replicas": 3})),
    ] {
        let object = changed(&smallest, pointer, &value)?;
        api.patch("immutable", &apply, &Patch::Apply(object))
            .await
            .context(pointer)?;
    }
    // A person's run of a pipeline that is not there; nothing happens to it, and its spec never changes.
    let mut run = json!({
        "apiVersion": "medallion.dev/v1alpha1", "kind": "StageRun", "metadata": {"name": "fixed"},
        "spec": {"pipelineRef": {"name": "nobody"}, "stage": "silver", "type": "Process", "process": {"inputs": [{"name": "bronze", "version": 1}]}},
    });
    runs(world).patch("fixed", &apply, &Patch::Apply(&run)).await?;
    run["spec"]["process"]["inputs"][0]["version"] = json!(2);
    refuses(
        runs(world).patch("fixed", &apply, &Patch::Apply(&run)).await,
        "is immutable",
    )
    .context("StageRun.spec")
}

/// `kubectl get` has the columns that people are promised, and the status answers to a seen object.
async fn shown(world: &World) -> Result<()> {
    let api = pipelines(world);
    let object = example(SMALLEST, "shown")?;
    api.patch("shown", &PatchParams::apply("stories").force(), &Patch::Apply(&object))
        .await?;
    for (kind, wanted) in [
        (
            "pipelines",
            "Name Ready Healthy Bronze Silver Gold Warehouse Dead-Letters Age",
        ),
        ("stageruns", "Name Pipeline Stage Succeeded Reason Attempt Rows Age"),
    ] {
        let path = format!("/apis/medallion.dev/v1alpha1/namespaces/{PLACE}/{kind}");
        let request = http::Request::get(path)
            .header("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
            .body(Vec::new())?;
        let table: Value = world.cluster.client.request(request).await?;
        let columns = table["columnDefinitions"].as_array().cloned().unwrap_or_default();
        let seen: Vec<&str> = columns
            .iter()
            .filter(|column| column["priority"] == 0)
            .filter_map(|column| column["name"].as_str())
            .collect();
        ensure!(seen.join(" ") == wanted, "kubectl get {kind} shows {seen:?}");
    }
    // Nothing that the smallest pipeline needs is here: the operator says so, and what to do.
    let typed: Api<Pipeline> = world.cluster.api(PLACE);
    let step = world.progress.step("the operator answers");
    let seen = crate::waiting::until(&step, Duration::from_secs(30), Duration::from_millis(300), async || {
        let pipeline = typed.get("shown").await?;
        Ok(match crate::shop::condition(&pipeline, "Ready") {
            Some(ready) if ready.status != "True" => crate::waiting::Look::Done(ready),
            _ => crate::waiting::Look::Waiting(crate::shop::in_words(&pipeline)),
        })
    });
    let ready = seen.await?;
    ensure!(
        ready.message.contains("purchase-contract-v1"),
        "Ready should name the missing ConfigMap: {}",
        ready.message
    );
    step.done("");
    Ok(())
}
