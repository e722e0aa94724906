//! What becomes of an environment's outputs, and in which words what cannot be used is refused.

use std::path::PathBuf;

use medallion_crds::Pipeline;
use rstest::rstest;
use serde_json::{Value, json};

use super::{FromTerraformArguments, made};

const OUTPUTS: &str = include_str!("../../tests/data/outputs.json");
const BASE: &str = include_str!("../../tests/data/base.yaml");
const CHART: &str = include_str!("../../../../charts/medallion-operator/values.schema.json");
const DIGEST: &str = "sha256:1f0e3dad99908345f7439f8ffabdffc41f0e3dad99908345f7439f8ffabdffc4";

fn arguments() -> FromTerraformArguments {
    FromTerraformArguments {
        outputs: PathBuf::from("-"),
        pipeline: PathBuf::from("base.yaml"),
        dbt_image: DIGEST.to_owned(),
        into: None,
        force: false,
    }
}

/// An object with some values set, by JSON Pointer; `Value::Null` removes.
fn changed(mut object: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        let (parent, name) = pointer.rsplit_once('/').expect("a JSON Pointer");
        let fields = object.pointer_mut(parent).and_then(Value::as_object_mut);
        let fields = fields.unwrap_or_else(|| panic!("{pointer} is in no object"));
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.to_owned(), value.clone());
        }
    }
    object
}

/// What Terraform prints of an environment that differs in this from the recorded one.
fn outputs(changes: &[(&str, Value)]) -> String {
    let mut all: Value = serde_json::from_str(OUTPUTS).unwrap();
    let value = all["medallion"]["value"].take();
    all["medallion"]["value"] = changed(value, changes);
    all.to_string()
}

/// The manifest, but for this.
fn base(changes: &[(&str, Value)]) -> String {
    changed(serde_saphyr::from_str(BASE).unwrap(), changes).to_string()
}

/// Values and Pipeline, each as what reads it sees it.
fn read(outputs: &str, base: &str) -> (Value, Value) {
    let files = made(&arguments(), outputs, base).unwrap_or_else(|error| panic!("{error:#}"));
    let document = |name: &str| {
        let file = files
            .iter()
            .find(|file| file.name == name)
            .expect("a file of this name");
        serde_saphyr::from_str(&file.text).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    (document("values.yaml"), document("pipeline.yaml"))
}

fn refusal(outputs: &str, base: &str) -> String {
    format!("{:#}", made(&arguments(), outputs, base).unwrap_err())
}

#[track_caller]
fn assert_fits_the_chart(values: &Value) {
    let schema: Value = serde_json::from_str(CHART).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(values).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn an_environment_becomes_the_files_that_stand_here() {
    for file in made(&arguments(), OUTPUTS, BASE).unwrap() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data")
            .join(file.name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &file.text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap();
        // Helm and kubectl read what the YAML says, people read the comments.
        let read = |text: &str| -> Value { serde_saphyr::from_str(text).unwrap() };
        let comments = |text: &str| -> Vec<String> {
            let lines = text.lines().take_while(|line| line.starts_with('#'));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(read(&file.text), read(&expected), "{}", file.name);
        assert_eq!(comments(&file.text), comments(&expected), "{}", file.name);
    }
}

#[test]
fn the_same_outputs_are_the_same_text_wherever_it_goes() {
    let elsewhere = FromTerraformArguments {
        into: Some(PathBuf::from("elsewhere")),
        force: true,
        ..arguments()
    };
    let texts = |arguments: &FromTerraformArguments, outputs: &str| -> Vec<String> {
        let files = made(arguments, outputs, BASE).unwrap();
        files.into_iter().map(|file| file.text).collect()
    };
    let first = texts(&arguments(), OUTPUTS);
    assert_eq!(first, texts(&elsewhere, OUTPUTS));
    let all: Value = serde_json::from_str(OUTPUTS).unwrap();
    let alone = all["medallion"]["value"].to_string();
    assert_eq!(
        first,
        texts(&arguments(), &alone),
        "as printed by output -json medallion"
    );
}

#[test]
fn values_fit_the_chart_and_the_pipeline_its_kind() {
    let (values, pipeline) = read(OUTPUTS, BASE);
    assert_fits_the_chart(&values);
    let pipeline: Pipeline = serde_json::from_value(pipeline).unwrap();
    pipeline.validate_cel().unwrap();
    assert_eq!(
        pipeline.spec.stages.silver.max_age_seconds, 300,
        "what is left out has its default"
    );
}

/// What Terraform makes of the environments of this repository, which the phase terraform holds to its files.
#[rstest]
#[case::dev(include_str!("../../tests/outputs/dev.json"))]
#[case::staging(include_str!("../../tests/outputs/staging.json"))]
#[case::prod(include_str!("../../tests/outputs/prod.json"))]
fn each_environment_of_ours_becomes_values_and_a_pipeline(#[case] outputs: &str) {
    let all: Value = serde_json::from_str(outputs).unwrap();
    let medallion = &all["medallion"]["value"];
    let mut wishes = vec![("/spec/stages/catalog", json!({}))];
    if !medallion["lambda"].is_null() {
        let on_lambda = json!({"runsOn": "Lambda", "authentication": {"type": "None"}});
        wishes.push(("/spec/stages/ingest", on_lambda));
    }
    let (values, pipeline) = read(outputs, &base(&wishes));
    assert_fits_the_chart(&values);
    let pipeline: Pipeline = serde_json::from_value(pipeline).unwrap();
    pipeline.validate_cel().unwrap();
    let catalog = pipeline.spec.catalog.and_then(|catalog| catalog.glue).unwrap();
    assert_eq!(catalog.database, medallion["catalog"]["database"]);
    assert_eq!(pipeline.spec.lake.gold.bucket, medallion["lake"]["gold"]);
    assert_eq!(
        pipeline.spec.kafka.copies().map(i64::from),
        medallion["kafka"]["replication_factor"].as_i64()
    );
}

#[test]
fn accounts_of_ones_own_are_named_and_those_of_the_operator_are_not() {
    let (_, pipeline) = read(OUTPUTS, BASE);
    assert!(pipeline["spec"].get("provisioner").is_none());
    assert!(pipeline["spec"]["stages"].get("persist").is_none());

    let own = |worker: &str| json!({"service_account": format!("medallion-{worker}"), "role_arn": "arn:aws:iam::123456789012:role/r", "mode": "PodIdentity"});
    let (values, pipeline) = read(
        &outputs(&[
            ("/identities/gateway", own("gateway")),
            ("/identities/dbt-runner", own("dbt")),
        ]),
        BASE,
    );
    let stages = &pipeline["spec"]["stages"];
    assert_eq!(stages["ingest"]["serviceAccountName"], "medallion-gateway");
    assert_eq!(stages["silver"]["serviceAccountName"], "medallion-dbt");
    assert_eq!(stages["gold"]["serviceAccountName"], "medallion-dbt");
    assert!(stages.get("persist").is_none());
    assert!(values.get("workers").is_none(), "Pod Identity needs no annotations");
}

#[test]
fn roles_by_annotation_are_annotated() {
    let mut all: Value = serde_json::from_str(OUTPUTS).unwrap();
    for identity in all["medallion"]["value"]["identities"]
        .as_object_mut()
        .unwrap()
        .values_mut()
    {
        identity["mode"] = json!("Irsa");
    }
    let (values, _) = read(&all.to_string(), BASE);
    assert_fits_the_chart(&values);
    let annotation = &values["workers"]["exporter"]["serviceAccountAnnotations"]["eks.amazonaws.com/role-arn"];
    assert_eq!(annotation, "arn:aws:iam::123456789012:role/shop-dev-exporter");
    assert_eq!(
        values["workers"].as_object().unwrap().len(),
        6,
        "one for each worker of the chart"
    );
}

#[test]
fn brokers_and_a_warehouse_of_ones_own_size_are_named_as_such() {
    let (_, pipeline) = read(
        &outputs(&[
            ("/kafka/replication_factor", json!(3)),
            ("/warehouse/workgroup_name", Value::Null),
            ("/warehouse/cluster_identifier", json!("shop-dev")),
            ("/warehouse/loader_user", json!("IAMR:shop-dev-loader")),
        ]),
        BASE,
    );
    assert_eq!(pipeline["spec"]["kafka"]["replicationPolicy"], "Specified");
    assert_eq!(pipeline["spec"]["kafka"]["replicationFactor"], 3);
    let redshift = &pipeline["spec"]["warehouse"]["redshift"];
    assert_eq!(redshift["clusterIdentifier"], "shop-dev");
    assert_eq!(redshift["loaderUser"], "IAMR:shop-dev-loader");
    assert!(redshift.get("workgroupName").is_none());
}

#[test]
fn a_pipeline_may_end_at_gold_where_there_is_a_warehouse_and_must_where_there_is_none() {
    let ends_at_gold = base(&[("/spec/stages/warehouse", Value::Null)]);
    for outputs in [OUTPUTS.to_owned(), outputs(&[("/warehouse", Value::Null)])] {
        let (values, pipeline) = read(&outputs, &ends_at_gold);
        assert!(pipeline["spec"].get("warehouse").is_none());
        assert_fits_the_chart(&values);
    }
    let words = refusal(&outputs(&[("/warehouse", Value::Null)]), BASE);
    assert!(
        words.contains("spec.stages.warehouse loads into a warehouse, and the environment has none"),
        "{words}"
    );
}

#[test]
fn a_function_is_wished_only_where_there_is_one() {
    let on_lambda = base(&[(
        "/spec/stages/ingest",
        json!({"runsOn": "Lambda", "authentication": {"type": "None"}}),
    )]);
    let words = refusal(OUTPUTS, &on_lambda);
    assert!(words.contains("the environment has no function gateway"), "{words}");
    let there = json!({"gateway": {"function_name": "shop-dev-gateway"}, "exporter": null});
    let with_function = outputs(&[("/lambda", there), ("/identities/gateway", Value::Null)]);
    let (_, pipeline) = read(&with_function, &on_lambda);
    let ingest = &pipeline["spec"]["stages"]["ingest"];
    assert!(
        ingest.get("serviceAccountName").is_none(),
        "a function has no pods: {ingest}"
    );
    let words = refusal(&with_function, BASE);
    assert!(
        words.contains("no role for it: give the root one, or say runsOn: Lambda there"),
        "{words}"
    );
}

#[rstest]
#[case::empty("", "standard input is empty; it is to hold what this prints: terraform")]
#[case::cut_off("{\"medallion\": {", "standard input is not JSON")]
#[case::not_by_name("[]", "holds no outputs by name")]
#[case::not_applied("{}", "apply the root first")]
#[case::another_root(
    r#"{"bucket": {"value": "state"}, "table": {"value": "lock"}}"#,
    "holds no output medallion, only bucket, table: these are of another root"
)]
#[case::no_value(r#"{"medallion": {"sensitive": false}}"#, "medallion has no value")]
#[case::no_object(r#"{"medallion": {"value": "shop-dev"}}"#, "has no schema_version")]
fn what_is_not_the_outputs_of_an_environment_is_refused(#[case] text: &str, #[case] words: &str) {
    let refused = refusal(text, BASE);
    assert!(refused.contains(words), "{refused}");
}

#[rstest]
#[case::older_than_versions(
    "/schema_version",
    Value::Null,
    "has no schema_version; apply the root with the modules of this release"
)]
#[case::older("/schema_version", json!(0), "is of version 0, and 1 is read; apply the root with the modules")]
#[case::newer("/schema_version", json!(2), "is of version 2, newer than 1; use the medallion of the release")]
#[case::no_number("/schema_version", json!("one"), "is of version \"one\", and 1 is read")]
#[case::missing("/kafka", Value::Null, "medallion: missing field `kafka`; apply the root")]
#[case::missing_within("/kafka/topic", Value::Null, "medallion.kafka: missing field `topic`")]
#[case::wrong_type("/kafka/bootstrap_servers", json!("b-1:9098,b-2:9098"), "medallion.kafka.bootstrap_servers: invalid type: string")]
#[case::wrong_word("/identities/loader/mode", json!("Keys"), "medallion.identities.loader.mode: unknown variant `Keys`")]
#[case::no_identity(
    "/identities/loader",
    Value::Null,
    "spec.stages.warehouse has pods of the loader, and the environment has no role for it"
)]
#[case::no_repository(
    "/images/repositories/dbt-purchases",
    Value::Null,
    "images.repositories has medallion and no dbt-purchases"
)]
#[case::elsewhere("/images/registry", json!("other.example/shop"), "is not in other.example/shop")]
#[case::no_bucket("/lake/gold", json!("Shop_Gold"), "spec.lake.gold.bucket: \"Shop_Gold\" does not match")]
#[case::no_region("/region", json!("moon"), "spec.aws.region: \"moon\" does not match")]
#[case::no_broker("/kafka/bootstrap_servers", json!([]), "spec.kafka.bootstrapServers: ")]
#[case::one_bucket_for_two(
    "/lake/gold",
    json!("shop-dev-silver-123456789012"),
    "must be three buckets"
)]
#[case::account_not_allowed(
    "/identities/consumer/service_account",
    json!("shop-consumer"),
    "spec.stages.persist.serviceAccountName: shop-consumer does not begin with medallion-"
)]
#[case::name_too_long("/pipeline/name", json!("a".repeat(41)), "at most 40 characters")]
fn outputs_that_cannot_be_used_are_refused_by_place(#[case] pointer: &str, #[case] value: Value, #[case] words: &str) {
    let refused = refusal(&outputs(&[(pointer, value)]), BASE);
    assert!(refused.contains(words), "{refused}");
}

#[rstest]
#[case::another_topic(
    "/spec/kafka",
    json!({"topic": "till_sales"}),
    "spec.kafka.topic is \"till_sales\" there and \"purchase_orders\" in the environment"
)]
#[case::another_namespace("/metadata/namespace", json!("other"), "metadata.namespace is \"other\" there and \"shop\" in the environment")]
#[case::another_account(
    "/spec/provisioner",
    json!({"serviceAccountName": "medallion-other"}),
    "spec.provisioner.serviceAccountName is \"medallion-other\" there and \"purchase-orders-provisioner\""
)]
#[case::no_place("/spec/kafka", json!("kafka:9092"), "spec.kafka.topic cannot be set")]
#[case::no_contract(
    "/spec/contract",
    Value::Null,
    "base.yaml: spec.contract is missing; `kubectl explain"
)]
#[case::no_key("/spec/contract/key", Value::Null, "spec.contract.key is missing")]
#[case::no_stages("/spec/stages", Value::Null, "spec.stages is missing")]
#[case::misspelt("/spec/deadLetter", json!({"maxCount": 1}), "a Pipeline of this release has no spec.deadLetter;")]
#[case::against_a_rule(
    "/spec/stages/silver",
    json!({"minIntervalSeconds": 3600}),
    "must be greater than minIntervalSeconds"
)]
#[case::another_kind("/kind", json!("StageRun"), "base.yaml holds a \"StageRun\" of \"medallion.dev/v1alpha1\"")]
#[case::another_version("/apiVersion", json!("medallion.dev/v1"), "it is to hold a Pipeline of medallion.dev/v1alpha1")]
fn a_manifest_that_does_not_fit_is_refused_by_place(#[case] pointer: &str, #[case] value: Value, #[case] words: &str) {
    let refused = refusal(OUTPUTS, &base(&[(pointer, value)]));
    assert!(refused.contains(words), "{refused}");
}

#[test]
fn all_that_differs_is_named_at_once() {
    let refused = refusal(
        OUTPUTS,
        &base(&[
            ("/spec/aws", json!({"region": "eu-central-1"})),
            ("/spec/table", json!({"name": "purchase_orders"})),
        ]),
    );
    assert!(
        refused.contains("base.yaml does not fit the environment shop-dev"),
        "{refused}"
    );
    assert!(
        refused.contains("spec.aws.region") && refused.contains("spec.table.name"),
        "{refused}"
    );
}

#[rstest]
#[case::nothing("", "to hold one object")]
#[case::two("kind: Pipeline\n---\nkind: ConfigMap\n", "to hold one object")]
#[case::no_yaml("kind: [", "base.yaml is not YAML")]
fn a_manifest_that_is_no_single_object_is_refused(#[case] text: &str, #[case] words: &str) {
    let refused = refusal(OUTPUTS, text);
    assert!(refused.contains(words), "{refused}");
}

#[rstest]
#[case::digest(
    DIGEST,
    "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop-dev/dbt-purchases@sha256:1f0e"
)]
#[case::tag("1.4.0", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop-dev/dbt-purchases:1.4.0")]
#[case::elsewhere("registry.example/dbt:1", "registry.example/dbt:1")]
fn a_dbt_image_is_of_the_environments_repository_unless_it_names_one(#[case] given: &str, #[case] wanted: &str) {
    let arguments = FromTerraformArguments {
        dbt_image: given.to_owned(),
        ..arguments()
    };
    let files = made(&arguments, OUTPUTS, BASE).unwrap();
    let values: Value = serde_saphyr::from_str(&files[0].text).unwrap();
    let image = values["dbtProjects"]["purchases"].as_str().unwrap();
    assert!(image.starts_with(wanted), "{image}");
}

#[rstest]
#[case::of_any_version("registry.example/dbt", "neither tag nor digest")]
#[case::short_digest("sha256:1f0e", "is no tag, no digest")]
#[case::empty("", "is no tag, no digest")]
#[case::no_word("purchases latest", "is no tag, no digest")]
fn a_dbt_image_that_nobody_could_pull_is_refused(#[case] given: &str, #[case] words: &str) {
    let arguments = FromTerraformArguments {
        dbt_image: given.to_owned(),
        ..arguments()
    };
    let refused = made(&arguments, OUTPUTS, BASE).unwrap_err().to_string();
    assert!(refused.contains(words), "{refused}");
}
