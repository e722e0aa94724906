//! What a client of the Data API is promised, seen through the real SDK client; needs PostgreSQL and S3.

mod common;

use aws_sdk_redshiftdata::error::ProvideErrorMetadata;
use aws_sdk_redshiftdata::types::{Field, SqlParameter, StatusString};
use common::{shown, stand};

#[tokio::test]
async fn a_query_gives_typed_fields_and_describes_its_columns() {
    let stand = stand().await;
    let described = stand
        .finished(
            "SELECT 7::bigint AS number, 1.5::float8 AS ratio, true AS yes, 12.3400::decimal(18, 4) AS money, 'text' AS word, \
             '2011-12-09 11:26:00+00'::timestamptz AS moment, '2011-12-09'::date AS day, NULL::int AS nothing",
        )
        .await;
    assert!(described.has_result_set.unwrap());
    assert_eq!(described.result_rows, 1);
    assert!(described.duration > 0);
    assert!(described.redshift_pid > 0);

    let result = stand
        .client
        .get_statement_result()
        .id(&described.id)
        .send()
        .await
        .unwrap();
    let row: Vec<_> = result.records[0].iter().map(shown).collect();
    assert_eq!(
        row,
        [
            "7",
            "1.5",
            "true",
            "12.3400",
            "text",
            "2011-12-09 11:26:00+00",
            "2011-12-09",
            "NULL"
        ]
    );
    assert!(matches!(result.records[0][0], Field::LongValue(7)));
    assert!(matches!(result.records[0][3], Field::StringValue(_)));
    let columns: Vec<_> = result
        .column_metadata()
        .iter()
        .map(|column| (column.name().unwrap(), column.type_name().unwrap()))
        .collect();
    assert_eq!(columns[0], ("number", "int8"));
    assert_eq!(columns[3], ("money", "numeric"));
    assert_eq!(columns[4], ("word", "varchar"));
    assert_eq!(
        (result.column_metadata()[3].precision, result.column_metadata()[3].scale),
        (18, 4)
    );
}

#[tokio::test]
async fn a_long_result_comes_in_pages() {
    let stand = stand().await;
    let described = stand
        .finished("SELECT n FROM generate_series(1, 2500) AS n ORDER BY n")
        .await;
    let mut pages = stand
        .client
        .get_statement_result()
        .id(&described.id)
        .into_paginator()
        .send();
    let mut numbers = Vec::new();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert_eq!(page.total_num_rows, 2500);
        numbers.extend(page.records.into_iter().map(|row| *row[0].as_long_value().unwrap()));
        count += 1;
    }
    assert!(count > 1);
    assert_eq!(numbers, (1..=2500).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_same_token_runs_a_statement_once_and_another_statement_not_at_all() {
    let stand = stand().await;
    stand
        .finished(&format!("CREATE TABLE {} (a INT)", stand.table("t")))
        .await;
    let insert = format!("INSERT INTO {} VALUES (1)", stand.table("t"));
    let call = |sql: &str| {
        stand
            .client
            .execute_statement()
            .workgroup_name("shop")
            .database("analytics")
            .client_token("run-1-attempt-1")
            .sql(sql)
    };

    let first = call(&insert).send().await.unwrap().id.unwrap();
    let again = call(&insert).wait_time_seconds(5).send().await.unwrap().id.unwrap();
    assert_eq!(first, again);
    stand.ended(&first).await;
    assert_eq!(stand.count("t").await, 1);

    let error = call("SELECT 1").send().await.unwrap_err().into_service_error();
    assert!(error.is_validation_exception(), "{error:?}");
    assert!(error.message().unwrap().contains("run-1-attempt-1"));
}

#[tokio::test]
async fn statements_are_found_by_the_beginning_of_their_name() {
    let stand = stand().await;
    let submit = |name: &str, sql: &str| {
        stand
            .client
            .execute_statement()
            .workgroup_name("shop")
            .database("analytics")
            .statement_name(name)
            .sql(sql)
            .wait_time_seconds(30)
    };
    submit("run-7-stage", "SELECT 1").send().await.unwrap();
    submit("run-7-publish", "SELECT nonsense").send().await.unwrap();
    submit("run-8-stage", "SELECT 1").send().await.unwrap();

    let names = async |status: Option<StatusString>| {
        let mut pages = stand
            .client
            .list_statements()
            .statement_name("run-7")
            .set_status(status)
            .role_level(true)
            .max_results(1)
            .into_paginator()
            .items()
            .send();
        let mut names = Vec::new();
        while let Some(statement) = pages.next().await {
            names.push(statement.unwrap().statement_name.unwrap());
        }
        names
    };
    assert_eq!(names(Some(StatusString::All)).await, ["run-7-publish", "run-7-stage"]);
    assert_eq!(names(Some(StatusString::Failed)).await, ["run-7-publish"]);
    assert_eq!(names(None).await, ["run-7-stage"], "only finished ones unless asked");
}

#[tokio::test]
async fn a_cancelled_statement_lets_its_locks_go() {
    let stand = stand().await;
    stand
        .finished(&format!("CREATE TABLE {} (a INT)", stand.table("t")))
        .await;
    let lock = format!("LOCK TABLE {}", stand.table("t"));
    let insert = format!("INSERT INTO {} VALUES (1)", stand.table("t"));
    let id = stand.submit_batch(&[&lock, &insert, "SELECT pg_sleep(600)"]).await;
    // The insert below can only end when the lock is gone.
    let waiting = stand
        .submit(&format!("INSERT INTO {} VALUES (2)", stand.table("t")))
        .await;

    let cancelled = stand.client.cancel_statement().id(&id).send().await.unwrap();
    assert_eq!(cancelled.status, Some(true));
    assert_eq!(stand.ended(&id).await.status, Some(StatusString::Aborted));
    assert_eq!(stand.ended(&waiting).await.status, Some(StatusString::Finished));
    assert_eq!(stand.count("t").await, 1);

    let error = stand
        .client
        .cancel_statement()
        .id(&id)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(error.is_validation_exception());
    assert!(error.message().unwrap().contains("ABORTED"), "{error:?}");
}

#[tokio::test]
async fn long_polling_tells_the_state_when_its_time_is_over() {
    let stand = stand().await;
    let id = stand.submit("SELECT pg_sleep(600)").await;
    let described = stand
        .client
        .describe_statement()
        .id(&id)
        .wait_time_seconds(1)
        .send()
        .await
        .unwrap();
    assert_eq!(described.status, Some(StatusString::Started));
    assert_eq!(described.duration, -1);
    stand.client.cancel_statement().id(&id).send().await.unwrap();
    stand.ended(&id).await;
}

#[tokio::test]
async fn parameters_are_values_never_sql() {
    let stand = stand().await;
    let table = stand.table("t");
    stand
        .finished(&format!("CREATE TABLE {table} (id INT, name VARCHAR(100), day DATE)"))
        .await;
    let parameter = |name: &str, value: &str| SqlParameter::builder().name(name).value(value).build().unwrap();
    let hostile = r"O'Brien\'); DROP TABLE t; --";
    let answer = stand
        .client
        .execute_statement()
        .workgroup_name("shop")
        .database("analytics")
        .sql(format!("INSERT INTO {table} VALUES (:id, :name, :day)"))
        .parameters(parameter("id", "7"))
        .parameters(parameter("name", hostile))
        .parameters(parameter("day", "2011-12-09"))
        .send()
        .await
        .unwrap();
    let described = stand.ended(answer.id().unwrap()).await;
    assert_eq!(described.error, None);
    assert_eq!(described.query_parameters().len(), 3);
    assert_eq!(
        stand.rows(&format!("SELECT * FROM {table}")).await,
        [["7", hostile, "2011-12-09"]]
    );
}

#[tokio::test]
async fn unknown_statements_and_missing_results_are_told_apart_from_mistakes() {
    let stand = stand().await;
    let error = stand
        .client
        .describe_statement()
        .id("d9b6c0c9-0747-4bf4-b142-e8883122f766")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(error.is_resource_not_found_exception(), "{error:?}");

    let described = stand
        .finished(&format!("CREATE TABLE {} (a INT)", stand.table("t")))
        .await;
    assert_eq!(described.has_result_set, Some(false));
    let error = stand
        .client
        .get_statement_result()
        .id(&described.id)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(error.is_resource_not_found_exception(), "{error:?}");

    let too_long = format!("SELECT '{}'", "x".repeat(100_000));
    let error = stand
        .client
        .execute_statement()
        .workgroup_name("shop")
        .database("analytics")
        .sql(too_long)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(error.is_validation_exception());

    let too_many = (0..41).map(|_| "SELECT 1".to_owned()).collect();
    let error = stand
        .client
        .batch_execute_statement()
        .workgroup_name("shop")
        .database("analytics")
        .set_sqls(Some(too_many))
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(error.is_validation_exception());

    let error = stand
        .client
        .execute_statement()
        .database("analytics")
        .sql("SELECT 1")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(error.is_validation_exception());
}

#[tokio::test]
async fn a_syntax_error_says_where() {
    let stand = stand().await;
    let error = stand.failed("SELECT FROM WHERE").await;
    assert!(error.starts_with("ERROR: syntax error at or near \"WHERE\""), "{error}");
    assert!(error.contains("Position: 13"), "{error}");
}

#[tokio::test]
async fn health_is_postgresql_s_health() {
    let stand = stand().await;
    assert!(stand.http("GET", "/healthz", "").await.starts_with("HTTP/1.1 200"));
}
