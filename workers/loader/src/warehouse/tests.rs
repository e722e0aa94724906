//! The adapter against a scripted Data API: what it asks for, how often, and what it makes of the answers. Listens on loopback.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::records;

/// Answers by operation, the last one for ever, and what was asked.
#[derive(Default)]
struct Script {
    answers: HashMap<&'static str, VecDeque<(u16, Value)>>,
    asked: Vec<(String, Value)>,
}

#[derive(Clone, Default)]
struct DataApi(Arc<Mutex<Script>>);

impl DataApi {
    fn answers(&self, operation: &'static str, status: u16, body: Value) {
        self.script(|script| script.answers.entry(operation).or_default().push_back((status, body)));
    }

    fn asked(&self, operation: &str) -> Vec<Value> {
        self.script(|script| {
            let asked = script.asked.iter().filter(|(name, _)| name == operation);
            asked.map(|(_, body)| body.clone()).collect()
        })
    }

    fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn warehouse(&self) -> Warehouse {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let configuration = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(aws_sdk_redshiftdata::config::SharedCredentialsProvider::new(
                Credentials::new("key", "secret", None, None, "test"),
            ))
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
            .endpoint_url(format!("http://{address}"))
            .build();
        let settings = WarehouseSettings {
            workgroup_name: Some("shop".to_owned()),
            cluster_identifier: None,
            database: "analytics".to_owned(),
            schema: "gold".to_owned(),
            loader_user: None,
            copy_role_arn: String::new(),
        };
        Warehouse::new(&configuration, &settings, Names::new("pipeline", "run", 1))
    }
}

async fn answer(State(api): State<DataApi>, headers: HeaderMap, body: String) -> impl IntoResponse {
    let operation = headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
        .unwrap_or_default();
    let operation = operation.rsplit('.').next().unwrap_or_default().to_owned();
    let (status, answer) = api.script(|script| {
        script
            .asked
            .push((operation.clone(), serde_json::from_str(&body).unwrap_or_default()));
        let answers = script.answers.get_mut(operation.as_str());
        answers
            .and_then(|answers| {
                if answers.len() > 1 {
                    answers.pop_front()
                } else {
                    answers.front().cloned()
                }
            })
            .unwrap_or((
                500,
                json!({"__type": "InternalServerException", "message": "not in the script"}),
            ))
    });
    let status = StatusCode::from_u16(status).expect("a status");
    (
        status,
        [("content-type", "application/x-amz-json-1.1")],
        answer.to_string(),
    )
}

fn statements() -> Vec<Statement> {
    let statement = |title: &str, sql: &str| Statement {
        title: title.to_owned(),
        sql: sql.to_owned(),
    };
    vec![
        statement("lock the ledger", "LOCK TABLE l"),
        statement("insert the rows", "INSERT INTO t SELECT 1"),
    ]
}

async fn publish(api: &DataApi) -> Result<(), LoadError> {
    api.warehouse()
        .await
        .batch(&Known::new(), "publish", &statements())
        .await
}

fn described(status: &str) -> Value {
    json!({"Id": "id-1", "Status": status})
}

fn listed(name: &str, status: &str) -> Value {
    json!({"Statements": [{"Id": "id-1", "StatementName": name, "Status": status}]})
}

fn server_error() -> Value {
    json!({"__type": "InternalServerException", "message": "try again"})
}

#[tokio::test]
async fn a_batch_is_one_transaction_with_a_name_and_a_token_of_its_step() {
    let api = DataApi::default();
    api.answers("BatchExecuteStatement", 200, json!({"Id": "id-1"}));
    api.answers("DescribeStatement", 200, described("STARTED"));
    api.answers("DescribeStatement", 200, described("FINISHED"));
    publish(&api).await.expect("finished");
    let asked = &api.asked("BatchExecuteStatement")[0];
    assert_eq!(asked["ExecutionMode"], "TRANSACTION");
    assert_eq!(asked["StatementName"], "medallion/run/1/publish");
    assert_eq!(
        asked["ClientToken"],
        json!(Names::new("pipeline", "run", 1).token("publish"))
    );
    assert_eq!(asked["Sqls"], json!(["LOCK TABLE l", "INSERT INTO t SELECT 1"]));
    assert_eq!(
        (&asked["WorkgroupName"], &asked["Database"]),
        (&json!("shop"), &json!("analytics"))
    );
    let waited = api.asked("DescribeStatement");
    assert_eq!(waited.len(), 2);
    assert_eq!(waited[0]["WaitTimeSeconds"], json!(WAIT_SECONDS));
}

#[tokio::test]
async fn a_batch_whose_answers_are_all_lost_is_found_by_its_name() {
    let api = DataApi::default();
    api.answers("BatchExecuteStatement", 500, server_error());
    api.answers("ListStatements", 200, listed("medallion/run/1/publish", "STARTED"));
    api.answers("DescribeStatement", 200, described("FINISHED"));
    publish(&api).await.expect("finished");
    let submitted = api.asked("BatchExecuteStatement");
    assert!(submitted.len() > 1, "the sdk tries again");
    assert!(
        submitted
            .iter()
            .all(|asked| asked["ClientToken"] == submitted[0]["ClientToken"])
    );
    assert_eq!(api.asked("ListStatements")[0]["Status"], "ALL");
}

#[tokio::test]
async fn a_refused_batch_is_trouble_of_the_warehouse_and_not_of_the_data() {
    let api = DataApi::default();
    api.answers(
        "BatchExecuteStatement",
        400,
        json!({"__type": "AccessDeniedException", "message": "not for you"}),
    );
    // A longer name is another statement.
    api.answers("ListStatements", 200, listed("medallion/run/1/publish-2", "FINISHED"));
    let error = publish(&api).await.expect_err("refused");
    assert!(matches!(error, LoadError::Warehouse { .. }), "{error}");
    assert!(error.to_string().contains("not for you"), "{error}");
}

#[tokio::test]
async fn a_batch_that_a_dead_process_left_is_not_submitted_again() {
    let api = DataApi::default();
    api.answers("ListStatements", 200, listed("medallion/run/1/stage-abc", "STARTED"));
    api.answers("DescribeStatement", 200, described("FINISHED"));
    let warehouse = api.warehouse().await;
    let known = warehouse.list("medallion/run/").await.expect("listed");
    assert!(!known["medallion/run/1/stage-abc"].ended);
    warehouse
        .batch(&known, "stage-abc", &statements())
        .await
        .expect("finished");
    assert!(api.asked("BatchExecuteStatement").is_empty());
}

#[tokio::test]
async fn the_failed_statement_of_a_batch_is_named_with_the_warehouses_words() {
    let api = DataApi::default();
    api.answers("BatchExecuteStatement", 200, json!({"Id": "id-1"}));
    let parts = json!([{"Id": "id-1:1", "Status": "FINISHED"},
                       {"Id": "id-1:2", "Status": "FAILED", "Error": "ERROR: column \"c\" does not exist"}]);
    let mut failed = described("FAILED");
    failed["SubStatements"] = parts;
    failed["Error"] = json!("Query #2 failed with ERROR");
    api.answers("DescribeStatement", 200, failed);
    let error = publish(&api).await.expect_err("failed");
    assert_eq!(
        error.to_string(),
        "statement medallion/run/1/publish: cannot insert the rows: ERROR: column \"c\" does not exist"
    );
}

#[tokio::test]
async fn an_aborted_batch_may_be_tried_again() {
    let api = DataApi::default();
    api.answers("BatchExecuteStatement", 200, json!({"Id": "id-1"}));
    api.answers("DescribeStatement", 200, described("ABORTED"));
    let error = publish(&api).await.expect_err("aborted");
    assert!(matches!(error, LoadError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn too_many_that_wait_is_a_reason_to_ask_without_waiting() {
    let api = DataApi::default();
    api.answers("BatchExecuteStatement", 200, json!({"Id": "id-1"}));
    let busy = json!({"__type": "ActiveWaitingRequestsExceededException", "Message": "too many"});
    api.answers("DescribeStatement", 400, busy);
    api.answers("DescribeStatement", 200, described("FINISHED"));
    publish(&api).await.expect("finished");
    let asked = api.asked("DescribeStatement");
    assert_eq!(asked.last().expect("asked")["WaitTimeSeconds"], Value::Null);
}

#[tokio::test]
async fn a_question_that_is_turned_away_is_asked_again_for_the_statement_runs_on() {
    let api = DataApi::default();
    api.answers("BatchExecuteStatement", 200, json!({"Id": "id-1"}));
    // More often than the SDK itself asks again.
    for _ in 0..3 {
        let throttled = json!({"__type": "ThrottlingException", "Message": "Rate exceeded"});
        api.answers("DescribeStatement", 400, throttled);
    }
    api.answers("DescribeStatement", 200, described("FINISHED"));
    publish(&api).await.expect("finished");
    assert_eq!(api.asked("DescribeStatement").len(), 4);
    assert_eq!(api.asked("BatchExecuteStatement").len(), 1);
}

#[tokio::test]
async fn a_query_is_read_to_its_last_page() {
    let api = DataApi::default();
    api.answers("ExecuteStatement", 200, json!({"Id": "id-1"}));
    api.answers("DescribeStatement", 200, described("FINISHED"));
    let page = |name: &str, count: Value| json!([[{"stringValue": name}, count]]);
    let first = json!({"Records": page("a", json!({"longValue": 3})), "NextToken": "more", "TotalNumRows": 2});
    api.answers("GetStatementResult", 200, first);
    api.answers(
        "GetStatementResult",
        200,
        json!({"Records": page("b", json!({"stringValue": "4"})), "TotalNumRows": 2}),
    );
    let rows = api.warehouse().await.query("count", "SELECT 1").await.expect("rows");
    let counts = records::counts(&rows).expect("counts");
    assert_eq!(counts, [("a".to_owned(), 3), ("b".to_owned(), 4)].into());
    // A query may be asked again at any time, and then wants a fresh answer.
    let tokens: Vec<Value> = api
        .asked("ExecuteStatement")
        .iter()
        .map(|asked| asked["ClientToken"].clone())
        .collect();
    assert_ne!(tokens[0], json!(Names::new("pipeline", "run", 1).token(step::READ)));
}

#[tokio::test]
async fn a_statement_that_is_too_long_is_never_sent() {
    let api = DataApi::default();
    let long = Statement {
        title: "delete".to_owned(),
        sql: "x".repeat(MAX_STATEMENT_BYTES + 1),
    };
    let error = api
        .warehouse()
        .await
        .batch(&Known::new(), "publish", &[long])
        .await
        .expect_err("too long");
    assert!(error.to_string().contains("ReplaceTable"), "{error}");
    assert!(api.script(|script| script.asked.is_empty()));
}
