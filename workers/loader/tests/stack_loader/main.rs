//! The loader between the real lake and the warehouse's stand-in: what is in Gold stands in the warehouse, once. Talks to the stack.

mod ownership;
mod place;
mod repair;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use arrow::array::{ArrayRef, BooleanArray, Date32Array, Decimal128Array, RecordBatch, StringArray};
use medallion_crds::Reason;
use place::{Loading, Place};
use serde_json::json;
use tokio::sync::Mutex;
use worker_kit::ErrorClass;

/// Ending faults ends those of all stories.
static ONE_STORY_AT_A_TIME: Mutex<()> = Mutex::const_new(());

const BY_PARTITION: &str = "ReplacePartitions";
const WHOLE: &str = "ReplaceTable";
const ORDERS: &str = "SELECT order_id, ordered_on, total_amount, part_date FROM orders ORDER BY order_id";
const LEDGER: &str = "SELECT table_name, version, attempt, row_count FROM medallion_ledger ORDER BY table_name";

/// Order lines of a day in December 2010.
fn lines(day: i32, lines: &[(&str, i128)]) -> RecordBatch {
    // 14944 days after the epoch it was the first of December 2010.
    let days = Date32Array::from(vec![14_943 + day; lines.len()]);
    let amounts = Decimal128Array::from_iter_values(lines.iter().map(|(_, pence)| *pence));
    RecordBatch::try_from_iter([
        (
            "order_id",
            Arc::new(StringArray::from_iter_values(lines.iter().map(|(id, _)| *id))) as ArrayRef,
        ),
        ("ordered_on", Arc::new(days) as ArrayRef),
        (
            "total_amount",
            Arc::new(amounts.with_precision_and_scale(18, 2).expect("digits")) as ArrayRef,
        ),
    ])
    .expect("a batch")
}

/// One order of one day; the version of Gold that has it.
async fn first_order(place: &Place) -> Result<i64> {
    let day = [("2010-12-01", Some(lines(1, &[("a", 100)])))];
    place.replace("orders", &day).await
}

fn gift_lines(day: i32, ids: &[(&str, i128)]) -> RecordBatch {
    let plain = lines(day, ids);
    let gift = Arc::new(BooleanArray::from(vec![true; ids.len()])) as ArrayRef;
    // The new column stands first: files are told apart by their own columns, not by the table's.
    RecordBatch::try_from_iter([
        ("is_gift", gift),
        ("order_id", plain.column(0).clone()),
        ("ordered_on", plain.column(1).clone()),
        ("total_amount", plain.column(2).clone()),
    ])
    .expect("a batch")
}

#[tokio::test(flavor = "multi_thread")]
async fn only_touched_partitions_are_replaced_and_nothing_is_loaded_twice() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let place = Place::new("touched").await?;
    let first = place
        .replace(
            "orders",
            &[
                ("2010-12-01", Some(lines(1, &[("a", 100), ("b", -250)]))),
                ("2010-12-02", Some(lines(2, &[("c", 300)]))),
                ("2010-12-03", Some(lines(3, &[("d", 1)]))),
            ],
        )
        .await?;
    let report = place.load("one", 1, &[("orders", BY_PARTITION, first)]).await?;
    assert_eq!((report.rows, report.already_committed), (4, false));
    assert_eq!(
        place.rows(ORDERS).await?,
        [
            "a 2010-12-01 1.00 2010-12-01",
            "b 2010-12-01 -2.50 2010-12-01",
            "c 2010-12-02 3.00 2010-12-02",
            "d 2010-12-03 0.01 2010-12-03"
        ]
    );

    let again = place.load("one", 2, &[("orders", BY_PARTITION, first)]).await?;
    assert_eq!(
        (again.already_committed, again.rows, again.outputs),
        (true, 4, report.outputs)
    );

    // c moves to the first of December, the third is emptied.
    let untouched = "SELECT xmin FROM orders WHERE order_id = 'a'";
    let second = place
        .replace(
            "orders",
            &[
                ("2010-12-02", Some(lines(2, &[("c", 301), ("e", 5)]))),
                ("2010-12-03", None),
            ],
        )
        .await?;
    let before = place.rows(untouched).await?;
    let report = place.load("two", 1, &[("orders", BY_PARTITION, second)]).await?;
    assert_eq!(report.rows, 2);
    assert_eq!(
        place.rows(untouched).await?,
        before,
        "the first of December was rewritten"
    );
    assert_eq!(
        place.rows("SELECT order_id FROM orders ORDER BY 1").await?,
        ["a", "b", "c", "e"]
    );
    assert_eq!(place.rows(LEDGER).await?, [format!("orders {second} 1 2")]);
    assert_eq!(place.staging_tables().await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_partition_and_an_empty_table_are_loaded_as_empty() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let place = Place::new("empty").await?;
    let day = [("2010-12-01", Some(lines(1, &[("a", 100)])))];
    let orders = place.replace("orders", &day).await?;
    let customers = place.replace("customers", &day).await?;
    place
        .load(
            "one",
            1,
            &[("orders", BY_PARTITION, orders), ("customers", WHOLE, customers)],
        )
        .await?;

    let orders = place.replace("orders", &[("2010-12-01", None)]).await?;
    let customers = place.replace("customers", &[("2010-12-01", None)]).await?;
    let report = place
        .load(
            "two",
            1,
            &[("orders", BY_PARTITION, orders), ("customers", WHOLE, customers)],
        )
        .await?;
    assert_eq!(report.rows, 0);
    assert_eq!(place.rows("SELECT count(*) FROM orders").await?, ["0"]);
    assert_eq!(place.rows("SELECT count(*) FROM customers").await?, ["0"]);
    assert_eq!(
        place.rows(LEDGER).await?,
        [format!("customers {customers} 1 0"), format!("orders {orders} 1 0")]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_column_is_added_and_older_files_have_nulls_in_it() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let place = Place::new("column").await?;
    let days = [
        ("2010-12-01", Some(lines(1, &[("a", 100)]))),
        ("2010-12-02", Some(lines(2, &[("b", 100)]))),
    ];
    let first = place.replace("orders", &days).await?;
    place.load("one", 1, &[("orders", BY_PARTITION, first)]).await?;
    let second = place
        .replace("orders", &[("2010-12-02", Some(gift_lines(2, &[("b", 200)])))])
        .await?;
    place.load("two", 1, &[("orders", BY_PARTITION, second)]).await?;
    let sql = "SELECT order_id, total_amount, is_gift FROM orders ORDER BY order_id";
    assert_eq!(place.rows(sql).await?, ["a 1.00 null", "b 2.00 t"]);

    // Loaded whole, files with and without the column go together.
    place.load("three", 1, &[("orders", BY_PARTITION, second)]).await?;
    place.rows("DELETE FROM medallion_ledger").await?;
    let named = format!("{}.orders", place.name);
    let adopting = Loading {
        adopt: &[&named],
        ..Loading::default()
    };
    place
        .load_by(&adopting, "four", 1, &[("orders", BY_PARTITION, second)])
        .await?;
    assert_eq!(place.rows(sql).await?, ["a 1.00 null", "b 2.00 t"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_somebody_changed_is_refused_with_what_differs() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let place = Place::new("differs").await?;
    let version = first_order(&place).await?;
    place
        .rows("CREATE TABLE orders (order_id VARCHAR(10), total_amount NUMERIC(9, 2), note VARCHAR(5))")
        .await?;
    let error = place
        .load("one", 1, &[("orders", BY_PARTITION, version)])
        .await
        .expect_err("refused");
    assert_eq!(
        (error.class, &error.reason),
        (ErrorClass::Record, &Reason::TableDiffers)
    );
    assert!(
        error.message.contains("numeric(9,2)") && error.message.contains("note"),
        "{error}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_change_nothing() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let place = Place::new("lost").await?;
    let version = first_order(&place).await?;
    place
        .arm(json!({"target": "BatchExecuteStatement", "action": "lose-answer", "count": 1000}))
        .await?;
    let report = place.load("one", 1, &[("orders", BY_PARTITION, version)]).await;
    place.disarm().await?;
    assert_eq!(report?.rows, 1);
    assert_eq!(place.rows("SELECT order_id FROM orders").await?, ["a"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_a_dead_process_left_running_is_waited_for_and_not_repeated() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let place = Arc::new(Place::new("dead").await?);
    let version = first_order(&place).await?;
    place.arm(json!({"target": "LOCK", "action": "hold"})).await?;
    let dying = tokio::spawn({
        let place = Arc::clone(&place);
        async move { place.load("one", 1, &[("orders", BY_PARTITION, version)]).await }
    });
    place.met().await?;
    dying.abort();

    let tables = [("orders", BY_PARTITION, version)];
    let mut next = std::pin::pin!(place.load("one", 2, &tables));
    // Three seconds are several times what a load takes.
    let early = tokio::time::timeout(Duration::from_secs(3), &mut next).await;
    assert!(early.is_err(), "the next attempt did not wait: {early:?}");
    place.disarm().await?;
    let report = next.await?;
    assert_eq!((report.rows, report.already_committed), (1, true));
    assert_eq!(place.rows(LEDGER).await?, [format!("orders {version} 1 1")]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_refused_publication_the_next_attempt_loads_once_and_cleans_up() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let place = Place::new("refused").await?;
    let version = first_order(&place).await?;
    let publication = format!("{}/1/publish", place.run_uid("one"));
    place
        .arm(json!({"target": "BatchExecuteStatement", "action": "refuse", "contains": publication}))
        .await?;
    let error = place
        .load("one", 1, &[("orders", BY_PARTITION, version)])
        .await
        .expect_err("refused");
    place.disarm().await?;
    assert_eq!(
        (error.class, &error.reason),
        (ErrorClass::Environment, &Reason::WarehouseUnavailable)
    );
    assert_eq!(place.staging_tables().await?.len(), 1);
    assert_eq!(place.rows("SELECT count(*) FROM orders").await?, ["0"]);

    let report = place.load("one", 2, &[("orders", BY_PARTITION, version)]).await?;
    assert_eq!((report.rows, report.already_committed), (1, false));
    assert_eq!(place.rows("SELECT order_id FROM orders").await?, ["a"]);
    assert_eq!(place.staging_tables().await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_takes_over_in_the_same_attempt_does_not_copy_again() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let place = Place::new("takeover").await?;
    let version = first_order(&place).await?;
    let publication = format!("{}/1/publish", place.run_uid("one"));
    place
        .arm(json!({"target": "BatchExecuteStatement", "action": "refuse", "contains": publication}))
        .await?;
    place
        .load("one", 1, &[("orders", BY_PARTITION, version)])
        .await
        .expect_err("refused");
    place.disarm().await?;
    place.arm(json!({"target": "COPY", "action": "fail"})).await?;
    let report = place.load("one", 1, &[("orders", BY_PARTITION, version)]).await;
    place.disarm().await?;
    assert_eq!(report?.rows, 1);
    assert_eq!(place.rows("SELECT order_id FROM orders").await?, ["a"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overtaken_run_is_fenced() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let place = Arc::new(Place::new("overtaken").await?);
    let first = first_order(&place).await?;
    let second = place
        .replace("orders", &[("2010-12-01", Some(lines(1, &[("a", 200)])))])
        .await?;
    place.arm(json!({"target": "LOCK", "action": "hold"})).await?;
    let zombie = tokio::spawn({
        let place = Arc::clone(&place);
        async move { place.load("zombie", 1, &[("orders", BY_PARTITION, first)]).await }
    });
    place.met().await?;
    // Of a Pipeline made anew: it does not clean up after the old one, which therefore can still publish.
    let anew = Loading {
        uid: Some("anew"),
        ..Loading::default()
    };
    place
        .load_by(&anew, "newer", 1, &[("orders", BY_PARTITION, second)])
        .await?;
    place.disarm().await?;
    let error = zombie.await?.expect_err("overtaken");
    assert_eq!(
        (error.class, &error.reason),
        (ErrorClass::Fenced, &Reason::OvertakenByAnotherRun)
    );
    assert_eq!(place.rows("SELECT total_amount FROM orders").await?, ["2.00"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_made_anew_is_loaded_though_its_versions_begin_at_zero_again() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let place = Place::new("anew").await?;
    let day = |id, pence| [("2010-12-01", Some(lines(1, &[(id, pence)])))];
    let mut version = 0;
    for pence in 1..4 {
        version = place.replace("orders", &day("a", pence)).await?;
    }
    place.load("one", 1, &[("orders", BY_PARTITION, version)]).await?;
    place.remove("orders").await?;
    let anew = place.replace("orders", &day("b", 5)).await?;
    assert!(anew < version, "{anew} {version}");
    let report = place.load("two", 1, &[("orders", BY_PARTITION, anew)]).await?;
    assert_eq!((report.rows, report.already_committed), (1, false));
    assert_eq!(place.rows("SELECT order_id FROM orders").await?, ["b"]);
    assert_eq!(place.rows(LEDGER).await?, [format!("orders {anew} 1 1")]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_of_an_earlier_version_is_widened_and_its_tables_are_loaded_once_more() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let place = Place::new("widened").await?;
    let version = first_order(&place).await?;
    place.load("one", 1, &[("orders", BY_PARTITION, version)]).await?;
    for column in ["table_id", "owner", "table_rows"] {
        place
            .rows(&format!("ALTER TABLE medallion_ledger DROP COLUMN {column}"))
            .await?;
    }
    let report = place.load("two", 1, &[("orders", BY_PARTITION, version)]).await?;
    assert!(!report.already_committed);
    let report = place.load("three", 1, &[("orders", BY_PARTITION, version)]).await?;
    assert!(report.already_committed);
    assert_eq!(place.rows("SELECT order_id FROM orders").await?, ["a"]);
    let owned = "SELECT owner, table_rows FROM medallion_ledger";
    assert_eq!(place.rows(owned).await?, ["here/shop/orders 1"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_warehouse_and_a_slow_list_cost_time_only() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let place = Place::new("throttled").await?;
    let version = first_order(&place).await?;
    let run = place.run_uid("one");
    for fault in [
        json!({"target": "BatchExecuteStatement", "action": "throttle", "count": 2}),
        json!({"target": "ListStatements", "action": "delay", "milliseconds": 2000, "contains": run}),
        json!({"target": "COPY", "action": "delay", "milliseconds": 1000}),
    ] {
        place.arm(fault).await?;
    }
    let report = place.load("one", 1, &[("orders", BY_PARTITION, version)]).await;
    place.disarm().await?;
    assert_eq!(report?.rows, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn staged_rows_that_somebody_added_are_not_published() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let place = Arc::new(Place::new("tampered").await?);
    let version = first_order(&place).await?;
    place.arm(json!({"target": "LOCK", "action": "hold"})).await?;
    let load = tokio::spawn({
        let place = Arc::clone(&place);
        async move { place.load("one", 1, &[("orders", BY_PARTITION, version)]).await }
    });
    place.met().await?;
    let staging = place.staging_tables().await?.remove(0);
    place
        .rows(&format!("INSERT INTO {staging} SELECT * FROM {staging}"))
        .await?;
    place.disarm().await?;
    let error = load.await?.expect_err("not whole");
    assert_eq!(error.class, ErrorClass::Environment, "{error}");
    assert_eq!(place.rows("SELECT count(*) FROM orders").await?, ["0"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_the_log_names_and_nobody_has_is_a_loss() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let place = Place::new("gone").await?;
    let version = first_order(&place).await?;
    place.lose("orders").await?;
    let error = place
        .load("one", 1, &[("orders", BY_PARTITION, version)])
        .await
        .expect_err("lost");
    assert_eq!(
        (error.class, &error.reason),
        (ErrorClass::LossRisk, &Reason::GoldFileLost),
        "{error}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_apart_and_leave_the_warehouse_as_it_was() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let place = Place::new("failures").await?;
    let first = first_order(&place).await?;
    place.load("one", 1, &[("orders", BY_PARTITION, first)]).await?;
    let second = place
        .replace("orders", &[("2010-12-01", Some(lines(1, &[("b", 100)])))])
        .await?;
    let conflict =
        "ERROR: 1023 DETAIL: Serializable isolation violation on table - 1, transactions forming the cycle are: 2, 3";
    let cases = [
        (
            "LOCK",
            conflict,
            ErrorClass::Environment,
            Reason::SerializationConflict,
            "another transaction",
        ),
        (
            "INSERT",
            "ERROR: value too long for type",
            ErrorClass::Record,
            Reason::StatementFailed,
            "insert the new rows of table orders",
        ),
        (
            "COPY",
            "ERROR: S3ServiceException:Access Denied",
            ErrorClass::Environment,
            Reason::WarehouseUnavailable,
            "orders.manifest",
        ),
    ];
    for (attempt, (target, message, class, reason, words)) in (1..).zip(cases) {
        place
            .arm(json!({"target": target, "action": "fail", "message": message}))
            .await?;
        let error = place
            .load("two", attempt, &[("orders", BY_PARTITION, second)])
            .await
            .expect_err("fails");
        place.disarm().await?;
        assert_eq!((error.class, &error.reason), (class, &reason), "{error}");
        assert!(error.message.contains(words), "{error}");
        assert_eq!(place.rows("SELECT order_id FROM orders").await?, ["a"]);
    }
    place.load("two", 9, &[("orders", BY_PARTITION, second)]).await?;
    assert_eq!(place.rows("SELECT order_id FROM orders").await?, ["b"]);
    Ok(())
}
