//! Tables that do not hold what their last load left are made anew whole. Talks to the stack.

use anyhow::Result;
use medallion_crds::Reason;
use worker_kit::ErrorClass;

use super::place::Place;
use super::{BY_PARTITION, ONE_STORY_AT_A_TIME, first_order, gift_lines};

const ALL: &str = "SELECT order_id, is_gift FROM orders ORDER BY order_id";
const WHOLE: [&str; 3] = ["a t", "b t", "c t"];

/// Three days in the warehouse, and the version.
async fn loaded(story: &str) -> Result<(Place, i64)> {
    let place = Place::new(story).await?;
    let days = [
        ("2010-12-01", Some(gift_lines(1, &[("a", 1)]))),
        ("2010-12-02", Some(gift_lines(2, &[("b", 2)]))),
        ("2010-12-03", Some(gift_lines(3, &[("c", 3)]))),
    ];
    let version = place.replace("orders", &days).await?;
    place.load("one", 1, &[("orders", BY_PARTITION, version)]).await?;
    assert_eq!(place.rows(ALL).await?, WHOLE);
    Ok((place, version))
}

const SPOILT: [&str; 5] = [
    "DROP TABLE orders",
    "DROP TABLE orders; CREATE TABLE orders (is_gift BOOLEAN, order_id VARCHAR(65535), ordered_on DATE, \
     total_amount NUMERIC(18, 2), part_date VARCHAR(65535))",
    "TRUNCATE orders",
    "DELETE FROM orders WHERE order_id = 'b'",
    "ALTER TABLE orders DROP COLUMN is_gift",
];

#[tokio::test(flavor = "multi_thread")]
async fn without_new_data_too() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let (place, version) = loaded("spoilt").await?;
    let tables = [("orders", BY_PARTITION, version)];
    for (number, spoil) in SPOILT.iter().enumerate() {
        place.rows(spoil).await?;
        let run = format!("again-{number}");
        let report = place.load(&run, 1, &tables).await?;
        assert_eq!((report.rows, report.already_committed), (3, false), "{spoil}");
        assert_eq!(place.rows(ALL).await?, WHOLE, "{spoil}");
        assert!(place.load(&run, 2, &tables).await?.already_committed, "{spoil}");
    }
    // In the same run too, whose row the ledger already has.
    place.rows("DROP TABLE orders").await?;
    let report = place.load("again-4", 3, &tables).await?;
    assert!(!report.already_committed);
    assert_eq!(place.rows(ALL).await?, WHOLE);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_new_data_for_one_day_only() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let (place, _) = loaded("behind").await?;
    for (number, spoil) in SPOILT.iter().enumerate() {
        place.rows(spoil).await?;
        let day = [("2010-12-02", Some(gift_lines(2, &[("b", 20)])))];
        let version = place.replace("orders", &day).await?;
        let run = format!("next-{number}");
        let report = place.load(&run, 1, &[("orders", BY_PARTITION, version)]).await?;
        assert_eq!(report.rows, 3, "{spoil}");
        assert_eq!(place.rows(ALL).await?, WHOLE, "{spoil}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_with_other_columns_is_refused() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let (place, version) = loaded("other").await?;
    place
        .rows("DROP TABLE orders; CREATE TABLE orders (order_id VARCHAR(10), note INTEGER)")
        .await?;
    let error = place
        .load("two", 1, &[("orders", BY_PARTITION, version)])
        .await
        .expect_err("differs");
    assert_eq!(
        (error.class, &error.reason),
        (ErrorClass::Record, &Reason::TableDiffers)
    );
    assert!(error.message.contains("drop"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_table_is_left_alone() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let place = Place::new("alone").await?;
    let version = first_order(&place).await?;
    place.load("one", 1, &[("orders", BY_PARTITION, version)]).await?;
    let touched = "SELECT xmin FROM orders";
    let before = place.rows(touched).await?;
    assert!(
        place
            .load("two", 1, &[("orders", BY_PARTITION, version)])
            .await?
            .already_committed
    );
    assert_eq!(place.rows(touched).await?, before);
    Ok(())
}
