//! What Redshift does with transactions and definitions, seen through the real SDK client; needs PostgreSQL and S3.

mod common;

use std::time::Duration;

use aws_sdk_redshiftdata::types::{ExecutionMode, StatementStatusString, StatusString};
use common::{Stand, stand};
use serde_json::json;

#[tokio::test]
async fn a_failed_batch_leaves_nothing_behind() {
    let stand = stand().await;
    let table = stand.table("t");
    stand.finished(&format!("CREATE TABLE {table} (a INT NOT NULL)")).await;
    let id = stand
        .submit_batch(&[
            &format!("INSERT INTO {table} VALUES (1), (2)"),
            &format!("INSERT INTO {table} VALUES (NULL)"),
            &format!("INSERT INTO {table} VALUES (3)"),
        ])
        .await;
    let described = stand.ended(&id).await;
    assert_eq!(described.status, Some(StatusString::Failed));
    assert!(
        described
            .error()
            .unwrap()
            .starts_with("Query #2 failed with ERROR: null value"),
        "{:?}",
        described.error
    );
    let parts = described.sub_statements();
    let statuses: Vec<_> = parts.iter().map(|part| part.status.clone().unwrap()).collect();
    assert_eq!(
        statuses,
        [
            StatementStatusString::Finished,
            StatementStatusString::Failed,
            StatementStatusString::Aborted
        ]
    );
    assert_eq!(parts[0].id, format!("{id}:1"));
    assert_eq!(parts[0].result_rows, 2);
    assert!(parts[1].error().unwrap().contains("null value"));
    assert_eq!(stand.count("t").await, 0);
}

#[tokio::test]
async fn a_batch_gives_the_result_of_each_part() {
    let stand = stand().await;
    let table = stand.table("t");
    let described = stand
        .batch_finished(&[
            &format!("CREATE TABLE {table} (a INT)"),
            &format!("INSERT INTO {table} VALUES (7)"),
            &format!("SELECT a FROM {table}"),
        ])
        .await;
    assert_eq!(described.has_result_set, Some(true));
    let part = &described.sub_statements()[2];
    assert_eq!(part.has_result_set, Some(true));
    let result = stand.client.get_statement_result().id(part.id()).send().await.unwrap();
    assert_eq!(*result.records[0][0].as_long_value().unwrap(), 7);
    let alone = stand.client.describe_statement().id(part.id()).send().await.unwrap();
    assert_eq!(alone.query_string(), part.query_string());
}

#[tokio::test]
async fn a_write_over_somebody_else_s_write_is_a_serializable_isolation_violation() {
    let stand = stand().await;
    let table = stand.table("ledger");
    stand.finished(&format!("CREATE TABLE {table} (version INT)")).await;
    stand.finished(&format!("INSERT INTO {table} VALUES (1)")).await;

    stand
        .postgres
        .batch_execute(&format!("BEGIN; UPDATE {table} SET version = 2"))
        .await
        .unwrap();
    let id = stand
        .submit_batch(&[
            &format!("SELECT * FROM {table}"),
            &format!("UPDATE {table} SET version = 3"),
        ])
        .await;
    // The batch has taken its snapshot when it waits for the row.
    // By its process: other tests wait for locks of their own.
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = $1";
    loop {
        let described = stand.client.describe_statement().id(&id).send().await.unwrap();
        let process = i32::try_from(described.redshift_pid).unwrap();
        let waits: i64 = stand.postgres.query_one(waiting, &[&process]).await.unwrap().get(0);
        if waits > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stand.postgres.batch_execute("COMMIT").await.unwrap();

    let described = stand.ended(&id).await;
    assert_eq!(described.status, Some(StatusString::Failed));
    let error = described.error().unwrap();
    assert!(
        error.contains("ERROR: 1023") && error.contains("Serializable isolation violation on table"),
        "{error}"
    );
    assert_eq!(stand.rows(&format!("SELECT version FROM {table}")).await, [["2"]]);
}

#[tokio::test]
async fn a_lock_makes_the_second_batch_see_what_the_first_one_wrote() {
    let stand = stand().await;
    let table = stand.table("ledger");
    stand.finished(&format!("CREATE TABLE {table} (version INT)")).await;
    stand.finished(&format!("INSERT INTO {table} VALUES (1)")).await;
    let lock = format!("LOCK TABLE {table}");
    let add = format!("UPDATE {table} SET version = version + 1");
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(stand.submit_batch(&[&lock, &add]).await);
    }
    for id in ids {
        assert_eq!(stand.ended(&id).await.error, None);
    }
    assert_eq!(stand.rows(&format!("SELECT version FROM {table}")).await, [["9"]]);
}

#[tokio::test]
async fn truncate_is_refused_in_a_batch_because_redshift_would_commit() {
    let stand = stand().await;
    let table = stand.table("t");
    stand.finished(&format!("CREATE TABLE {table} (a INT)")).await;
    stand.finished(&format!("INSERT INTO {table} VALUES (1)")).await;
    let described = stand
        .ended(&stand.submit_batch(&[&format!("TRUNCATE {table}")]).await)
        .await;
    assert!(
        described
            .error()
            .unwrap()
            .contains("TRUNCATE commits the transaction at once"),
        "{:?}",
        described.error
    );
    assert_eq!(stand.count("t").await, 1);
    stand.finished(&format!("TRUNCATE {table}")).await;
    assert_eq!(stand.count("t").await, 0);
}

#[tokio::test]
async fn redshift_s_table_definitions_work_and_keys_are_not_enforced() {
    let stand = stand().await;
    let table = stand.table("orders");
    let create = format!(
        "CREATE TABLE IF NOT EXISTS {table} (id BIGINT NOT NULL PRIMARY KEY ENCODE az64, note VARCHAR(MAX) ENCODE zstd, at TIMESTAMPTZ, \
         ratio DOUBLE PRECISION, total DECIMAL(18, 2), UNIQUE (note)) DISTSTYLE KEY DISTKEY (id) COMPOUND SORTKEY (at, id)"
    );
    stand.finished(&create).await;
    stand.finished(&create).await;
    stand
        .finished(&format!(
            "INSERT INTO {table} (id, note) VALUES (1, 'same'), (1, 'same')"
        ))
        .await;
    assert_eq!(stand.count("orders").await, 2);
    assert!(
        stand
            .failed(&format!("INSERT INTO {table} (note) VALUES ('x')"))
            .await
            .contains("null value")
    );

    stand
        .finished(&format!(
            "ALTER TABLE {table} ADD COLUMN country VARCHAR(65535) ENCODE lzo"
        ))
        .await;
    stand
        .finished(&format!("CREATE TABLE {} (LIKE {table})", stand.table("staging")))
        .await;
    let columns = format!(
        "SELECT column_name FROM svv_columns WHERE table_schema = '{}' AND table_name = 'staging' ORDER BY ordinal_position",
        stand.schema
    );
    assert_eq!(
        stand.rows(&columns).await.concat(),
        ["id", "note", "at", "ratio", "total", "country"]
    );
    assert!(
        stand
            .failed(&format!("ALTER TABLE {table} ADD COLUMN IF NOT EXISTS x INT"))
            .await
            .contains("syntax error")
    );
}

#[tokio::test]
async fn a_backslash_escapes_as_in_redshift() {
    let stand = stand().await;
    assert_eq!(
        stand.rows(r"SELECT 'it\'s', 'a\\b', 'it''s'").await,
        [["it's", r"a\b", "it's"]]
    );
}

#[tokio::test]
async fn auto_commit_keeps_what_worked() {
    let stand = stand().await;
    let table = stand.table("t");
    stand.finished(&format!("CREATE TABLE {table} (a INT NOT NULL)")).await;
    let answer = stand
        .client
        .batch_execute_statement()
        .workgroup_name("shop")
        .database("analytics")
        .execution_mode(ExecutionMode::AutoCommit)
        .sqls(format!("INSERT INTO {table} VALUES (1)"))
        .sqls(format!("INSERT INTO {table} VALUES (NULL)"))
        .sqls(format!("INSERT INTO {table} VALUES (2)"))
        .send()
        .await
        .unwrap();
    let described = stand.ended(answer.id().unwrap()).await;
    let statuses: Vec<_> = described
        .sub_statements()
        .iter()
        .map(|part| part.status.clone().unwrap())
        .collect();
    assert_eq!(
        statuses,
        [
            StatementStatusString::Finished,
            StatementStatusString::Failed,
            StatementStatusString::Finished
        ]
    );
    assert_eq!(stand.count("t").await, 2);
}

#[tokio::test]
async fn housekeeping_runs_outside_a_transaction() {
    let stand = stand().await;
    stand
        .finished(&format!("CREATE TABLE {} (a INT)", stand.table("t")))
        .await;
    stand.finished(&format!("VACUUM {}", stand.table("t"))).await;
    stand.finished(&format!("ANALYZE {}", stand.table("t"))).await;
}

/// Two batches that run at the same time: the second is held at its end until the first is over. Gives the second's error.
async fn crossed(stand: &Stand, first: &[String], second: &[String]) -> Option<String> {
    let held = format!("{}/held", stand.schema);
    stand
        .arm(json!({"target": "COMMIT", "action": "hold", "contains": held}))
        .await;
    let answer = stand
        .client
        .batch_execute_statement()
        .workgroup_name("shop")
        .database("analytics")
        .statement_name(&held)
        .set_sqls(Some(second.to_vec()))
        .send()
        .await
        .expect("the batch is taken");
    while !stand.http("GET", "/faults", "").await.contains("\"met\":1") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let sqls: Vec<&str> = first.iter().map(String::as_str).collect();
    stand.batch_finished(&sqls).await;
    stand.clear_faults().await;
    let described = stand.ended(answer.id().expect("an id")).await;
    assert_eq!(
        described.status == Some(StatusString::Failed),
        described.error.is_some(),
        "{described:?}"
    );
    described.error
}

#[tokio::test]
async fn transactions_conflict_by_whole_tables() {
    let stand = stand().await;
    let (orders, customers) = (stand.table("orders"), stand.table("customers"));
    for table in [&orders, &customers] {
        stand.finished(&format!("CREATE TABLE {table} (day INT)")).await;
        stand.finished(&format!("INSERT INTO {table} VALUES (1), (2)")).await;
    }
    // Rows of their own each, which PostgreSQL would let pass.
    let day = |table: &str, day: i32| {
        vec![
            format!("DELETE FROM {table} WHERE day = {day}"),
            format!("INSERT INTO {table} VALUES ({day})"),
        ]
    };
    let error = crossed(&stand, &day(&orders, 1), &day(&orders, 2))
        .await
        .expect("a violation");
    assert!(
        error.contains("ERROR: 1023") && error.contains("Serializable isolation violation on table"),
        "{error}"
    );
    let copy = |from: &str, to: &str| vec![format!("INSERT INTO {to} SELECT day FROM {from}")];
    let error = crossed(&stand, &copy(&orders, &customers), &copy(&customers, &orders)).await;
    assert!(
        error.is_some_and(|error| error.contains("1023")),
        "each read what the other wrote"
    );

    assert_eq!(crossed(&stand, &day(&orders, 1), &day(&customers, 1)).await, None);
    let add = |table: &str| vec![format!("INSERT INTO {table} VALUES (3)")];
    assert_eq!(
        crossed(&stand, &add(&orders), &add(&orders)).await,
        None,
        "adding is no rewriting"
    );
    let read = vec![format!("SELECT * FROM {orders}"), format!("SELECT * FROM {customers}")];
    assert_eq!(
        crossed(&stand, &day(&orders, 1), &read).await,
        None,
        "readers are never in the way"
    );
}

#[tokio::test]
async fn what_redshift_does_not_take_is_refused() {
    let stand = stand().await;
    let table = stand.table("t");
    for (columns, words) in [
        ("a INT, tags JSONB", "type \"jsonb\" does not exist"),
        ("a VARCHAR(65536)", "cannot exceed 65535"),
        ("a VARCHAR(10) ENCODE az64", "invalid encoding type"),
        ("a DECIMAL(39, 2)", "between 1 and 38"),
    ] {
        let error = stand.failed(&format!("CREATE TABLE {table} ({columns})")).await;
        assert!(error.contains(words), "{error}");
    }
    stand.finished(&format!("CREATE TABLE {table} (a TEXT)")).await;
    let error = stand
        .failed(&format!("INSERT INTO {table} VALUES ('{}')", "x".repeat(257)))
        .await;
    assert!(error.contains("value too long"), "{error}");
}
