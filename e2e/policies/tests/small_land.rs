//! The checks on a land with one worker, right and then spoilt. Touches no network.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use medallion_policies::check::Check;
use medallion_policies::land::Land;
use medallion_policies::lists::Lists;
use medallion_policies::recorded::{Call, Recorded};
use medallion_policies::{covered, rows, stars, table, used};
use serde_json::{Value, json};

const TABLE: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/purchases";
const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/1";

fn resource(address: &str, kind: &str, name: &str, index: &Value, values: &Value) -> Value {
    json!({"address": address, "mode": "managed", "type": kind, "name": name, "index": index, "values": values})
}

fn policy(statements: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn bucket(name: &str, address: &str) -> Vec<Value> {
    let arn = format!("arn:aws:s3:::{name}");
    let encryption =
        json!([{"apply_server_side_encryption_by_default": [{"sse_algorithm": "aws:kms", "kms_master_key_id": KEY}]}]);
    let tls = json!({"Sid": "Tls", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [&arn, format!("{arn}/*")],
                     "Condition": {"Bool": {"aws:SecureTransport": "false"}}});
    let at = |kind: &str| format!("{address}.{kind}.this");
    vec![
        resource(
            &at("aws_s3_bucket"),
            "aws_s3_bucket",
            "this",
            &Value::Null,
            &json!({"bucket": name, "arn": arn}),
        ),
        resource(
            &at("aws_s3_bucket_policy"),
            "aws_s3_bucket_policy",
            "this",
            &Value::Null,
            &json!({"bucket": name, "policy": policy(&tls)}),
        ),
        resource(
            &at("aws_s3_bucket_server_side_encryption_configuration"),
            "aws_s3_bucket_server_side_encryption_configuration",
            "this",
            &Value::Null,
            &json!({"bucket": name, "rule": encryption}),
        ),
    ]
}

fn put() -> Value {
    json!({"Sid": "Put", "Effect": "Allow", "Action": ["dynamodb:PutItem"], "Resource": [TABLE]})
}

fn table_key() -> Value {
    json!({"Sid": "TableKey", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": [KEY],
           "Condition": {"StringEquals": {"kms:ViaService": "dynamodb.eu-west-1.amazonaws.com"}}})
}

/// The worker's statements are the test's, and so is what else there is.
fn state(statements: &[Value], more: &[Value]) -> Value {
    let null = Value::Null;
    let trust = policy(&json!({
        "Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": {"aws:RequestTag/kubernetes-namespace": "shop"}},
    }));
    let root = json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": ["kms:Decrypt"], "Resource": "*"});
    let role = json!({"name": "consumer", "arn": "arn:aws:iam::123456789012:role/consumer", "unique_id": "AROA1",
                      "assume_role_policy": trust});
    let own = json!({"role": "consumer", "policy": policy(&json!(statements))});
    let event = json!({"name": "purchases", "arn": TABLE, "stream_arn": format!("{TABLE}/stream/1"),
                       "server_side_encryption": [{"kms_key_arn": KEY}]});
    let association = json!({"cluster_name": "shop"});
    let topic = json!({"arn": "arn:aws:sns:eu-west-1:123456789012:alerts"});
    let publish = json!({"Effect": "Deny", "Principal": "*", "Action": "sns:Publish", "Resource": "*"});
    let mut resources = vec![
        resource("roles.role", "aws_iam_role", "worker", &json!("consumer"), &role),
        resource(
            "roles.policy",
            "aws_iam_role_policy",
            "worker",
            &json!("consumer"),
            &own,
        ),
        resource(
            "roles.pods",
            "aws_eks_pod_identity_association",
            "worker",
            &json!("consumer"),
            &association,
        ),
        resource("table", "aws_dynamodb_table", "this", &null, &event),
        resource("key", "aws_kms_key", "this", &null, &json!({"arn": KEY, "key_id": "1"})),
        resource(
            "key.policy",
            "aws_kms_key_policy",
            "this",
            &null,
            &json!({"key_id": "1", "policy": policy(&root)}),
        ),
        resource("topic", "aws_sns_topic", "alerts", &null, &topic),
        resource(
            "topic.policy",
            "aws_sns_topic_policy",
            "alerts",
            &null,
            &json!({"arn": topic["arn"], "policy": policy(&publish)}),
        ),
    ];
    for layer in ["bronze", "silver", "gold"] {
        resources.extend(bucket(&format!("shop-{layer}"), &format!("module.layer[\"{layer}\"]")));
    }
    resources.extend(bucket("shop-logs", "module.access_logs"));
    resources.extend_from_slice(more);
    json!({"values": {"root_module": {"resources": resources}}})
}

fn land(statements: &[Value]) -> Land {
    Land::read("small", &state(statements, &[])).expect("a land")
}

fn recorded() -> Recorded {
    let call = Call {
        action: "dynamodb:PutItem".to_owned(),
        resource: "{table}".to_owned(),
        conditions: BTreeMap::new(),
    };
    Recorded::from([("consumer".to_owned(), BTreeSet::from([call]))])
}

/// Everything that is wrong with the worker's rights.
fn wrong(statements: &[Value]) -> Vec<String> {
    let (land, lists) = (land(statements), Lists::default());
    let mut checks = covered::check(&land, &recorded(), &lists);
    checks.extend(used::check(&land, &recorded(), &lists));
    checks.push(stars::check(&land, &lists));
    checks.into_iter().flat_map(|check| check.wrong).collect()
}

#[test]
fn a_worker_with_what_it_uses_and_no_more_has_nothing_wrong() {
    assert_eq!(wrong(&[put(), table_key()]), Vec::<String>::new());
}

#[test]
fn a_right_that_lacks_is_told_and_so_is_the_one_that_is_there_instead() {
    let mut get = put();
    get["Action"] = json!(["dynamodb:GetItem"]);
    assert_eq!(
        wrong(&[get, table_key()]),
        [
            format!("dynamodb:PutItem of {{table}}: dynamodb:PutItem of {TABLE}: no statement allows it"),
            format!("Put: dynamodb:GetItem of {TABLE} is neither recorded nor listed"),
        ]
    );
}

#[test]
fn who_puts_into_an_encrypted_table_needs_its_key_through_the_table_alone() {
    let expected = format!("dynamodb:PutItem of {{table}}: kms:Decrypt of {KEY}: no statement allows it");
    assert_eq!(wrong(&[put()]), [expected.as_str()]);
    let mut elsewhere = table_key();
    elsewhere["Condition"]["StringEquals"]["kms:ViaService"] = json!("s3.eu-west-1.amazonaws.com");
    assert!(wrong(&[put(), elsewhere]).contains(&expected));
}

#[test]
fn stars_are_told() {
    let mut all = put();
    all["Resource"] = json!(["*"]);
    assert_eq!(
        wrong(&[all, table_key()]),
        ["consumer, Put: the resource * is not listed"]
    );
    let mut all = put();
    all["Action"] = json!(["dynamodb:Put*"]);
    assert!(
        wrong(&[all, table_key()])
            .contains(&"consumer, Put: the action dynamodb:Put* is no action but many".to_owned())
    );
}

#[test]
fn rights_that_stand_elsewhere_than_in_the_roles_own_policy_are_refused() {
    let attached = json!({"role": "consumer", "policy_arn": "arn:aws:iam::aws:policy/AdministratorAccess"});
    let more = [resource(
        "roles.more",
        "aws_iam_role_policy_attachment",
        "more",
        &Value::Null,
        &attached,
    )];
    let error = Land::read("small", &state(&[put()], &more)).err().unwrap();
    assert!(
        error.to_string().starts_with("roles.more gives consumer rights"),
        "{error}"
    );
}

#[test]
fn a_bucket_without_a_policy_is_refused() {
    let bare = json!({"bucket": "bare", "arn": "arn:aws:s3:::bare"});
    let more = [resource("bare", "aws_s3_bucket", "bare", &Value::Null, &bare)];
    let error = Land::read("small", &state(&[put()], &more)).err().unwrap();
    assert_eq!(error.to_string(), "bare has no policy");
}

#[test]
fn each_row_of_the_table_is_decided_or_fails() {
    let page = "| who | asks for | of | with | answer |\n| --- | --- | --- | --- | --- |\n\
                | consumer | `dynamodb:PutItem` | `{table}` | | allowed |\n\
                | consumer | `dynamodb:PutItem` | `{table}` | | refused |\n\
                | administrator | `s3:GetObject` | `{gold}/{any}` | `aws:SecureTransport=false` | refused |\n\
                | other account | `s3:GetObject` | `{gold}/{any}` | | refused |\n\
                | pod shop/any | `sts:AssumeRole` | role consumer | | allowed |\n\
                | pod other/any | `sts:AssumeRole` | every role | | refused |\n\
                | loader | `s3:GetObject` | `{gold}/{any}` | | refused |\n";
    let checks = table::check(&[land(&[put(), table_key()])], &rows::read(page).unwrap());
    let wrong: Vec<_> = checks.into_iter().map(|Check { wrong, .. }| wrong).collect();
    let none = Vec::<String>::new();
    assert_eq!(wrong[0], none);
    assert_eq!(
        wrong[1],
        ["small: consumer, dynamodb:PutItem of {table}: it is allowed"]
    );
    assert_eq!(wrong[2..6], [none.clone(), none.clone(), none.clone(), none]);
    assert_eq!(wrong[6], ["loader is in no environment"]);
}

#[test]
fn a_list_has_no_more_than_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("modules/iam_roles");
    fs::create_dir_all(&module).unwrap();
    let entry = |action: &str| json!({"workers": ["consumer"], "action": action, "because": "it is so", "read": "https://docs.aws.amazon.com/x"});
    let implied = json!([entry("dynamodb:PutItem"), entry("dynamodb:Query")]).to_string();
    fs::write(module.join("implied-actions.json"), implied).unwrap();
    fs::write(
        folder.path().join("not-in-the-account.json"),
        json!([entry("s3:CreateBucket")]).to_string(),
    )
    .unwrap();
    let lists = Lists::read(&folder.path().join("modules"), folder.path()).unwrap();
    assert_eq!(
        used::stale(&[land(&[put(), table_key()])], &recorded(), &lists).wrong,
        [
            "dynamodb:Query of consumer is listed, and is a right in no environment",
            "s3:CreateBucket of consumer is listed as Terraform's, and was never recorded",
        ]
    );
}
