//! What the CEL rules accept and refuse, with the words that a user reads. The API tier repeats this on a real API server.

use medallion_crds::{Pipeline, StageRun};
use rstest::rstest;
use serde_json::{Value, json};

fn smallest() -> Value {
    serde_saphyr::from_str(include_str!("../examples/smallest.yaml")).expect("an example of ours is YAML")
}

/// The smallest Pipeline with some values set, by JSON Pointer; `Value::Null` removes.
fn pipeline(changes: &[(&str, Value)]) -> Pipeline {
    let mut object = smallest();
    for (pointer, value) in changes {
        let (parent, name) = pointer.rsplit_once('/').expect("a JSON Pointer");
        let parent = object
            .pointer_mut(parent)
            .and_then(Value::as_object_mut)
            .expect("a parent");
        if value.is_null() {
            parent.remove(name);
        } else {
            parent.insert(name.to_owned(), value.clone());
        }
    }
    serde_json::from_value(object).expect("a Pipeline")
}

#[test]
fn the_smallest_pipeline_is_accepted_and_its_defaults_are_explicit() {
    let smallest = pipeline(&[]);
    smallest.validate_cel().unwrap();
    let spec = serde_json::to_value(&smallest.spec).unwrap();
    assert_eq!(spec["management"], "External");
    assert_eq!(spec["stages"]["bronze"]["flush"]["maxAgeSeconds"], 60);
    assert_eq!(spec["stages"]["silver"]["retry"]["limit"], 3);
    assert_eq!(spec["deadLetters"]["maxCount"], 100);
}

#[rstest]
#[case::name_too_long("/metadata/name", json!("a".repeat(41)), "at most 40 characters")]
#[case::name_with_dot("/metadata/name", json!("a.b"), "must begin with a letter")]
#[case::dead_letters_into_the_topic("/spec/kafka/deadLetterTopic", json!("purchase_orders"), "must differ from topic")]
#[case::no_warehouse("/spec/warehouse/redshift", Value::Null, "is required when type is Redshift")]
#[case::two_warehouses("/spec/warehouse/redshift/clusterIdentifier", json!("shop"), "not both")]
#[case::no_warehouse_address("/spec/warehouse/redshift/workgroupName", Value::Null, "not both")]
#[case::tokens_missing("/spec/stages/ingest/authentication", json!({"type": "BearerTokens"}), "bearerTokens: is required")]
#[case::tokens_not_wanted(
    "/spec/stages/ingest/authentication",
    json!({"type": "None", "bearerTokens": {"secretKeyRef": {"name": "a", "key": "b"}}}),
    "only then allowed"
)]
#[case::pods_of_a_function("/spec/stages/ingest", on_lambda(&json!({"replicas": 2})), "there are no pods")]
#[case::size_of_a_function("/spec/stages/ingest", on_lambda(&json!({"size": "small"})), "there are no pods")]
#[case::account_of_a_function(
    "/spec/stages/ingest",
    on_lambda(&json!({"serviceAccountName": "medallion-shop"})),
    "there are no pods"
)]
#[case::a_function_suspended("/spec/stages/ingest", on_lambda(&json!({"suspend": true})), "reserved concurrency")]
#[case::gone_before_bronze_had_to_read_it("/spec/table/expireAfterDays", json!(1), "must be at least 2")]
#[case::one_bucket_for_two_layers("/spec/lake/gold/bucket", json!("shop-silver"), "must be three buckets")]
#[case::older_than_allowed_by_design(
    "/spec/stages/bronze",
    json!({"flush": {"maxAgeSeconds": 120}}),
    "must be greater than flush.maxAgeSeconds"
)]
#[case::a_function_that_nobody_here_can_stop(
    "/spec/stages/bronze",
    json!({"runsOn": "Lambda", "suspend": true}),
    "disable the function's event source mapping"
)]
#[case::rarer_than_allowed_by_design(
    "/spec/stages/silver",
    json!({"minIntervalSeconds": 3600}),
    "must be greater than minIntervalSeconds"
)]
#[case::waits_that_shrink(
    "/spec/stages/gold",
    json!({"retry": {"backoffSeconds": 301}}),
    "must be at least backoffSeconds"
)]
fn a_pipeline_is_refused(#[case] pointer: &str, #[case] value: Value, #[case] message: &str) {
    let error = pipeline(&[(pointer, value)]).validate_cel().unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
}

/// The stage ingest as a function, with some more fields.
fn on_lambda(more: &Value) -> Value {
    let mut ingest = json!({"runsOn": "Lambda", "authentication": {"type": "None"}});
    let fields = ingest.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    ingest
}

#[test]
fn two_certificate_authorities_are_refused() {
    let reference = json!({"name": "ca", "key": "ca.pem"});
    let both = json!({"ca": {"configMapKeyRef": reference, "secretKeyRef": reference}});
    let error = pipeline(&[("/spec/kafka/tls", both)])
        .validate_cel()
        .unwrap_err()
        .to_string();
    assert!(error.contains("not both"), "{error}");
    pipeline(&[("/spec/kafka/tls", json!({"ca": {"secretKeyRef": reference}}))])
        .validate_cel()
        .unwrap();
}

/// A Pipeline whose Kafka has TLS or not and this authentication.
fn authenticated(tls: bool, authentication: &Value) -> Pipeline {
    let tls = if tls { json!({}) } else { Value::Null };
    pipeline(&[
        ("/spec/kafka/tls", tls),
        ("/spec/kafka/authentication", authentication.clone()),
    ])
}

/// What each type of authentication needs, under its own name.
fn part(kind: &str) -> Value {
    let from = |key: &str| json!({"secretKeyRef": {"name": "shop-kafka", "key": key}});
    match kind {
        "MutualTls" => json!({"mutualTls": {"certificate": from("tls.crt"), "key": from("tls.key")}}),
        "Plain" => json!({"plain": {"username": from("username"), "password": from("password")}}),
        "Scram" => json!({"scram": {"username": from("username"), "password": from("password")}}),
        "MskIam" => json!({"mskIam": {"region": "eu-west-1"}}),
        _ => json!({}),
    }
}

fn typed(kind: &str, part: &Value) -> Value {
    let mut all = part.clone();
    all["type"] = json!(kind);
    all
}

const AUTHENTICATIONS: [&str; 5] = ["None", "MutualTls", "Plain", "Scram", "MskIam"];

#[test]
fn each_authentication_to_kafka_takes_its_own_part_and_no_other() {
    for kind in AUTHENTICATIONS {
        authenticated(true, &typed(kind, &part(kind))).validate_cel().unwrap();
        for other in AUTHENTICATIONS
            .into_iter()
            .filter(|other| *other != kind && *other != "None")
        {
            let mut both = typed(kind, &part(kind));
            let more = part(other);
            both.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let error = authenticated(true, &both).validate_cel().unwrap_err().to_string();
            assert!(error.contains("allowed"), "{kind} with {other}: {error}");
        }
    }
    for kind in ["MutualTls", "Plain", "Scram"] {
        let error = authenticated(true, &json!({"type": kind}))
            .validate_cel()
            .unwrap_err()
            .to_string();
        assert!(error.contains(&format!("is required when type is {kind}")), "{error}");
    }
    authenticated(true, &json!({"type": "MskIam"})).validate_cel().unwrap();
}

#[test]
fn a_cluster_that_decides_on_copies_takes_no_number_of_them() {
    let decides = ("/spec/kafka/replicationPolicy", json!("ClusterDecides"));
    let left_to_it = pipeline(std::slice::from_ref(&decides));
    left_to_it.validate_cel().unwrap();
    assert_eq!(left_to_it.spec.kafka.copies(), None);
    let both = pipeline(&[decides, ("/spec/kafka/replicationFactor", json!(3))]);
    let error = both.validate_cel().unwrap_err().to_string();
    assert!(error.contains("leave it out"), "{error}");
    assert_eq!(
        pipeline(&[]).spec.kafka.copies(),
        Some(3),
        "three unless something is said"
    );
}

#[test]
fn what_others_could_use_is_sent_over_tls_only() {
    for kind in ["MutualTls", "Plain", "MskIam"] {
        let error = authenticated(false, &typed(kind, &part(kind)))
            .validate_cel()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("type {kind}")) && error.contains("spec.kafka.tls is required"),
            "{error}"
        );
    }
    for kind in ["None", "Scram"] {
        authenticated(false, &typed(kind, &part(kind))).validate_cel().unwrap();
    }
}

#[test]
fn a_password_never_stands_in_the_pipeline() {
    let text = json!({"type": "Scram", "scram": {"username": "shop", "password": "secret"}});
    let mut object = smallest();
    object["spec"]["kafka"]["authentication"] = text;
    serde_json::from_value::<Pipeline>(object).expect_err("a Secret is named instead");
    let scram = authenticated(true, &typed("Scram", &part("Scram")))
        .spec
        .kafka
        .authentication
        .scram;
    assert_eq!(
        scram.unwrap().mechanism,
        medallion_crds::pipeline::ScramMechanism::Sha512
    );
}

#[rstest]
#[case("/spec/contract/key", json!("/other"))]
#[case("/spec/contract/eventId", json!("/other"))]
#[case("/spec/contract/eventTime", json!("/other"))]
#[case("/spec/contract/eventVersion", json!("/added"))]
#[case("/spec/aws/region", json!("eu-central-1"))]
#[case("/spec/kafka/topic", json!("other"))]
#[case("/spec/kafka/deadLetterTopic", json!("dlq.other"))]
#[case("/spec/kafka/partitions", json!(7))]
#[case("/spec/table/name", json!("other"))]
#[case("/spec/lake/bronze/bucket", json!("other"))]
#[case("/spec/lake/silver/bucket", json!("other"))]
#[case("/spec/lake/gold/bucket", json!("other"))]
#[case("/spec/warehouse/redshift/database", json!("other"))]
#[case("/spec/warehouse/redshift/schema", json!("other"))]
fn what_positions_rest_on_cannot_change(#[case] pointer: &str, #[case] value: Value) {
    let changed = pipeline(&[(pointer, value)]);
    changed.validate_cel().unwrap();
    let error = changed.validate_cel_update(&pipeline(&[])).unwrap_err().to_string();
    assert!(error.contains("is immutable"), "{error}");
}

#[rstest]
#[case("/spec/suspend", json!(true))]
#[case("/spec/management", json!("Managed"))]
#[case("/spec/contract/versions", json!([{"name": "v2", "schemaRef": {"name": "purchase-contract-v2", "key": "schema.json"}}]))]
#[case("/spec/stages/persist", json!({"replicas": 3}))]
#[case("/spec/stages/ingest", on_lambda(&json!({})))]
#[case("/spec/dbt/project", json!("other"))]
#[case("/spec/kafka/tls", json!({}))]
#[case("/spec/kafka/authentication", typed("Scram", &part("Scram")))]
fn what_is_meant_to_change_can(#[case] pointer: &str, #[case] value: Value) {
    pipeline(&[(pointer, value)])
        .validate_cel_update(&pipeline(&[]))
        .unwrap();
}

fn run(stage: &str, version: i64) -> StageRun {
    serde_json::from_value(json!({
        "apiVersion": "medallion.dev/v1alpha1", "kind": "StageRun",
        "metadata": {"name": format!("purchase-orders-{stage}-000042"), "namespace": "shop"},
        "spec": {
            "pipelineRef": {"name": "purchase-orders"}, "stage": stage, "type": "Process",
            "process": {"inputs": [{"name": "bronze", "version": version}]},
        },
    }))
    .expect("a StageRun")
}

#[test]
fn a_run_never_changes() {
    run("silver", 1).validate_cel().unwrap();
    let error = run("silver", 2)
        .validate_cel_update(&run("silver", 1))
        .unwrap_err()
        .to_string();
    assert!(error.contains("is immutable"), "{error}");
}

#[test]
fn silver_works_on_bronze_alone() {
    let mut other = run("silver", 1);
    other.spec.process.as_mut().unwrap().inputs[0].name = "orders".to_owned();
    let error = other.validate_cel().unwrap_err().to_string();
    assert!(error.contains("exactly one input, bronze"), "{error}");
    other.spec.stage = Some(medallion_crds::Stage::Gold);
    other.validate_cel().unwrap();
}

#[test]
fn a_run_says_what_its_type_needs() {
    let mut without = run("gold", 1);
    without.spec.process = None;
    let error = without.validate_cel().unwrap_err().to_string();
    assert!(error.contains("required when type is Process"), "{error}");
    let mut planned = run("gold", 1);
    planned.spec.mode = medallion_crds::stage_run::RunMode::Plan;
    let error = planned.validate_cel().unwrap_err().to_string();
    assert!(error.contains("always applied"), "{error}");
}

#[test]
fn a_pipeline_may_end_at_gold_and_begin_at_an_existing_topic() {
    let mut both = pipeline(&[
        ("/spec/warehouse", Value::Null),
        ("/spec/stages/warehouse", Value::Null),
    ]);
    both.spec.stages.ingest = None;
    both.validate_cel().unwrap();
    let error = pipeline(&[("/spec/warehouse", Value::Null)])
        .validate_cel()
        .unwrap_err()
        .to_string();
    assert!(error.contains("or neither"), "{error}");
}

#[test]
fn a_warehouse_is_not_taken_from_a_pipeline_without_a_word() {
    let without = pipeline(&[
        ("/spec/warehouse", Value::Null),
        ("/spec/stages/warehouse", Value::Null),
    ]);
    let error = without.validate_cel_update(&pipeline(&[])).unwrap_err().to_string();
    assert!(error.contains("cannot be removed"), "{error}");
}

#[test]
fn a_stage_that_runs_all_the_time_has_no_runs() {
    let error = run("bronze", 1).validate_cel().unwrap_err().to_string();
    assert!(error.contains("must be silver, gold, warehouse or catalog"), "{error}");
}
