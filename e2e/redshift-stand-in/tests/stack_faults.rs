//! What story tests can make the warehouse do wrong, seen through the real SDK client; needs PostgreSQL and S3.

mod common;

use std::time::Duration;

use aws_sdk_redshiftdata::error::ProvideErrorMetadata;
use aws_sdk_redshiftdata::types::{StatementStatusString, StatusString};
use common::stand;
use serde_json::json;

#[tokio::test]
async fn a_refused_call_did_nothing() {
    let stand = stand().await;
    let table = stand.table("t");
    stand.finished(&format!("CREATE TABLE {table} (a INT)")).await;
    stand
        .arm(json!({"target": "BatchExecuteStatement", "action": "refuse"}))
        .await;
    let insert = format!("INSERT INTO {table} VALUES (1)");
    let submit = || {
        stand
            .client
            .batch_execute_statement()
            .workgroup_name("shop")
            .database("analytics")
            .sqls(&insert)
            .wait_time_seconds(30)
    };
    let error = submit().send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("AccessDeniedException"));
    assert_eq!(
        error.message(),
        Some("User is not authorized to perform: redshift-data:BatchExecuteStatement")
    );
    assert_eq!(stand.count("t").await, 0);

    submit().send().await.unwrap();
    assert_eq!(stand.count("t").await, 1);
}

#[tokio::test]
async fn any_error_of_the_model_can_be_asked_for() {
    let stand = stand().await;
    stand.arm(json!({"target": "ExecuteStatement", "action": "refuse", "code": "ActiveStatementsExceededException", "message": "too many"})).await;
    let error = stand
        .client
        .execute_statement()
        .workgroup_name("shop")
        .database("analytics")
        .sql("SELECT 1")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(error.is_active_statements_exceeded_exception());
    assert_eq!(error.message(), Some("too many"));
}

#[tokio::test]
async fn one_lost_answer_is_made_good_by_the_client_token() {
    let stand = stand().await;
    let table = stand.table("t");
    stand.finished(&format!("CREATE TABLE {table} (a INT)")).await;
    stand
        .arm(json!({"target": "ExecuteStatement", "action": "lose-answer"}))
        .await;
    let answer = stand
        .client
        .execute_statement()
        .workgroup_name("shop")
        .database("analytics")
        .client_token("run-1")
        .sql(format!("INSERT INTO {table} VALUES (1)"))
        .send()
        .await
        .unwrap();
    stand.ended(answer.id().unwrap()).await;
    assert_eq!(stand.count("t").await, 1);
    assert!(stand.http("GET", "/faults", "").await.contains("\"met\":1"));
}

#[tokio::test]
async fn an_answer_lost_for_good_leaves_a_statement_that_its_name_finds() {
    let stand = stand().await;
    let table = stand.table("t");
    stand.finished(&format!("CREATE TABLE {table} (a INT)")).await;
    stand
        .arm(json!({"target": "BatchExecuteStatement", "action": "lose-answer", "count": 100, "contains": "run-9"}))
        .await;
    let insert = format!("INSERT INTO {table} VALUES (1)");
    let submit = || {
        stand
            .client
            .batch_execute_statement()
            .workgroup_name("shop")
            .database("analytics")
            .statement_name("run-9-publish")
            .client_token("run-9")
            .sqls(&insert)
    };
    let error = submit().send().await.unwrap_err();
    assert!(error.as_service_error().is_none(), "no answer at all: {error:?}");

    let listed = stand
        .client
        .list_statements()
        .statement_name("run-9")
        .status(StatusString::All)
        .send()
        .await
        .unwrap();
    assert_eq!(listed.statements().len(), 1);
    assert_eq!(listed.statements()[0].is_batch_statement, Some(true));
    assert_eq!(
        stand.ended(listed.statements()[0].id()).await.status,
        Some(StatusString::Finished)
    );
    assert_eq!(stand.count("t").await, 1);
}

#[tokio::test]
async fn a_held_commit_is_seen_by_nobody_until_it_is_released() {
    let stand = stand().await;
    let table = stand.table("t");
    stand.finished(&format!("CREATE TABLE {table} (a INT)")).await;
    stand
        .arm(json!({"target": "COMMIT", "action": "hold", "contains": table}))
        .await;
    let id = stand.submit_batch(&[&format!("INSERT INTO {table} VALUES (1)")]).await;
    let described = stand
        .client
        .describe_statement()
        .id(&id)
        .wait_time_seconds(1)
        .send()
        .await
        .unwrap();
    assert_eq!(described.status, Some(StatusString::Started));
    assert_eq!(stand.count("t").await, 0);
    stand.clear_faults().await;
    assert_eq!(stand.ended(&id).await.status, Some(StatusString::Finished));
    assert_eq!(stand.count("t").await, 1);
}

#[tokio::test]
async fn a_held_statement_can_be_cancelled() {
    let stand = stand().await;
    let table = stand.table("t");
    stand.finished(&format!("CREATE TABLE {table} (a INT)")).await;
    stand
        .arm(json!([
            {"target": "ExecuteStatement", "action": "hold"},
            {"target": "COMMIT", "action": "hold", "contains": table},
        ]))
        .await;
    let submitted = stand.submit("SELECT 1").await;
    let described = stand.client.describe_statement().id(&submitted).send().await.unwrap();
    assert_eq!(described.status, Some(StatusString::Submitted));
    let started = stand.submit_batch(&[&format!("INSERT INTO {table} VALUES (1)")]).await;
    for id in [submitted, started] {
        stand.client.cancel_statement().id(&id).send().await.unwrap();
        assert_eq!(stand.ended(&id).await.status, Some(StatusString::Aborted));
    }
    assert_eq!(stand.count("t").await, 0);
}

#[tokio::test]
async fn a_failing_statement_takes_its_batch_with_it() {
    let stand = stand().await;
    let table = stand.table("t");
    stand.finished(&format!("CREATE TABLE {table} (a INT)")).await;
    stand
        .arm(json!({"target": "DELETE", "action": "fail", "message": "ERROR: disk full", "contains": table}))
        .await;
    let sqls = [
        format!("INSERT INTO {table} VALUES (1)"),
        format!("DELETE FROM {table} WHERE a = 2"),
    ];
    let described = stand.ended(&stand.submit_batch(&[&sqls[0], &sqls[1]]).await).await;
    assert_eq!(described.error(), Some("Query #2 failed with ERROR: disk full"));
    assert_eq!(stand.count("t").await, 0);
    stand.batch_finished(&[&sqls[0], &sqls[1]]).await;
    assert_eq!(stand.count("t").await, 1);
}

#[tokio::test]
async fn a_stand_in_that_was_killed_leaves_no_lock_behind() {
    let stand = stand().await;
    let table = stand.table("t");
    stand.finished(&format!("CREATE TABLE {table} (a INT)")).await;
    let doomed = stand.doomed();
    let locked = doomed
        .client
        .batch_execute_statement()
        .workgroup_name("shop")
        .database("analytics")
        .sqls(format!("LOCK TABLE {table}"))
        .sqls(format!("INSERT INTO {table} VALUES (1)"))
        .sqls("SELECT pg_sleep(600)")
        .wait_time_seconds(1)
        .send()
        .await
        .unwrap();
    assert_eq!(locked.status(), Some(&StatementStatusString::Started));
    doomed.kill();

    let insert = format!("INSERT INTO {table} VALUES (2)");
    let inserted = tokio::time::timeout(Duration::from_secs(20), stand.finished(&insert)).await;
    assert!(inserted.is_ok(), "the killed one's transaction still holds its lock");
    assert_eq!(stand.count("t").await, 1);
}

#[tokio::test]
async fn a_fault_that_makes_no_sense_is_refused() {
    let stand = stand().await;
    let answer = stand
        .http("POST", "/faults", r#"{"target": "COPY", "action": "lose-answer"}"#)
        .await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let answer = stand
        .http("POST", "/faults", r#"{"target": "COPPY", "action": "fail"}"#)
        .await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let answer = stand
        .http("POST", "/faults", r#"{"target": "COPY", "action": "explode"}"#)
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("explode"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_throttled_call_is_a_clients_error_that_the_sdk_tries_again() {
    let stand = stand().await;
    stand
        .arm(json!({"target": "DescribeStatement", "action": "throttle"}))
        .await;
    let id = stand.submit("SELECT 1").await;
    assert_eq!(stand.ended(&id).await.status, Some(StatusString::Finished));
    assert!(stand.http("GET", "/faults", "").await.contains("\"met\":1"));

    stand
        .arm(json!({"target": "ExecuteStatement", "action": "throttle", "count": 100}))
        .await;
    let call = stand
        .client
        .execute_statement()
        .workgroup_name("shop")
        .database("analytics");
    let error = call.sql("SELECT 1").send().await.unwrap_err();
    assert_eq!(error.raw_response().map(|answer| answer.status().as_u16()), Some(400));
    assert_eq!(error.code(), Some("ThrottlingException"));
}

#[tokio::test]
async fn a_list_can_be_slow() {
    let stand = stand().await;
    stand
        .arm(json!({"target": "ListStatements", "action": "delay", "milliseconds": 700}))
        .await;
    let begun = std::time::Instant::now();
    stand.client.list_statements().send().await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(700));
    let begun = std::time::Instant::now();
    stand.client.list_statements().send().await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(700), "only once");
}
