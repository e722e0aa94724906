//! Whose a table is: rows that nobody has loaded, tables of other Pipelines, and users without rights. Talks to the stack.

use anyhow::Result;
use medallion_crds::Reason;
use worker_kit::ErrorClass;

use super::place::{Loading, Place};
use super::{BY_PARTITION, ONE_STORY_AT_A_TIME, WHOLE, first_order, lines};

const OWNERS: &str = "SELECT table_name, owner FROM medallion_ledger ORDER BY table_name";
const IDS: &str = "SELECT order_id FROM orders ORDER BY order_id";

async fn place(story: &str) -> Result<(Place, i64)> {
    let place = Place::new(story).await?;
    let version = first_order(&place).await?;
    Ok((place, version))
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_no_load_has_brought_are_replaced_only_when_their_table_is_named() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let (place, version) = place("unknown").await?;
    let tables = [("orders", BY_PARTITION, version)];
    place
        .rows(
            "CREATE TABLE orders (order_id VARCHAR(65535), ordered_on DATE, total_amount NUMERIC(18, 2), part_date VARCHAR(65535)); \
             INSERT INTO orders (order_id) VALUES ('theirs'), ('theirs too')",
        )
        .await?;
    let table = format!("{}.orders", place.name);
    for adopt in [&[][..], &["orders", "here/shop/orders"]] {
        let by = Loading {
            adopt,
            ..Loading::default()
        };
        let error = place.load_by(&by, "one", 1, &tables).await.expect_err("refused");
        assert_eq!(
            (error.class, &error.reason),
            (ErrorClass::Record, &Reason::TableNotEmpty)
        );
        for words in [table.as_str(), "2 rows", "drop or rename", "medallion.dev/adopt"] {
            assert!(error.message.contains(words), "{error}");
        }
    }
    assert_eq!(place.rows(IDS).await?, ["theirs", "theirs too"]);
    let tables_there = "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema()";
    assert_eq!(place.rows(tables_there).await?, ["1"], "nothing was written");

    let adopt = [table.as_str()];
    let by = Loading {
        adopt: &adopt,
        ..Loading::default()
    };
    assert_eq!(place.load_by(&by, "one", 2, &tables).await?.rows, 1);
    assert_eq!(place.rows(IDS).await?, ["a"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_arrive_during_the_first_load_are_kept() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let (place, version) = place("arriving").await?;
    let place = std::sync::Arc::new(place);
    place
        .arm(serde_json::json!({"target": "LOCK", "action": "hold"}))
        .await?;
    let load = tokio::spawn({
        let place = std::sync::Arc::clone(&place);
        async move { place.load("one", 1, &[("orders", BY_PARTITION, version)]).await }
    });
    place.met().await?;
    place.rows("INSERT INTO orders (order_id) VALUES ('theirs')").await?;
    place.disarm().await?;
    let error = load.await?.expect_err("not vacant");
    assert_eq!(error.class, ErrorClass::Environment, "{error}");
    let tables = [("orders", BY_PARTITION, version)];
    let error = place.load("one", 2, &tables).await.expect_err("refused");
    assert_eq!(error.reason, Reason::TableNotEmpty, "{error}");
    assert_eq!(place.rows(IDS).await?, ["theirs"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pipelines_share_a_schema_and_never_a_table() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let (place, version) = place("shared").await?;
    let customers = place
        .replace("customers", &[("2010-12-01", Some(lines(1, &[("c", 1)])))])
        .await?;
    place.load("one", 1, &[("orders", BY_PARTITION, version)]).await?;
    let other = |adopt| Loading {
        pipeline: Some("other"),
        adopt,
        ..Loading::default()
    };
    place
        .load_by(&other(&[]), "two", 1, &[("customers", WHOLE, customers)])
        .await?;
    let owned = ["customers here/shop/other", "orders here/shop/orders"];
    assert_eq!(place.rows(OWNERS).await?, owned);

    // Neither the table, nor with it one of its own; not even for whoever adopts somebody else.
    let newer = place
        .replace("orders", &[("2010-12-01", Some(lines(1, &[("b", 2)])))])
        .await?;
    let both = [("orders", BY_PARTITION, newer), ("customers", WHOLE, customers)];
    for adopt in [&[][..], &["here/shop/third", "there/shop/orders"]] {
        let error = place
            .load_by(&other(adopt), "three", 1, &both)
            .await
            .expect_err("refused");
        assert_eq!(
            (error.class, &error.reason),
            (ErrorClass::Record, &Reason::OwnedByAnother)
        );
        for words in [
            "orders belongs to Pipeline here/shop/orders",
            "medallion.dev/adopt: here/shop/orders",
        ] {
            assert!(error.message.contains(words), "{error}");
        }
    }
    assert_eq!(place.rows(OWNERS).await?, owned);
    assert_eq!(place.rows(IDS).await?, ["a"]);

    // By name it is taken over, and then its first owner is the one that is refused.
    place.load_by(&other(&["here/shop/orders"]), "three", 2, &both).await?;
    let taken = ["customers here/shop/other", "orders here/shop/other"];
    assert_eq!(place.rows(OWNERS).await?, taken);
    assert_eq!(place.rows(IDS).await?, ["b"]);
    let error = place
        .load("four", 1, &[("orders", BY_PARTITION, newer)])
        .await
        .expect_err("displaced");
    assert!(error.message.contains("here/shop/other"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_taken_over_though_there_is_nothing_to_load() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let (place, version) = place("idle").await?;
    let tables = [("orders", BY_PARTITION, version)];
    place.load("one", 1, &tables).await?;
    let by = Loading {
        pipeline: Some("other"),
        adopt: &["here/shop/orders"],
        ..Loading::default()
    };
    let report = place.load_by(&by, "two", 1, &tables).await?;
    assert!(!report.already_committed);
    assert_eq!(place.rows(OWNERS).await?, ["orders here/shop/other"]);
    assert!(place.load_by(&by, "three", 1, &tables).await?.already_committed);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_rights_is_told_what_to_have_granted_and_loads_then() -> Result<()> {
    let _alone = ONE_STORY_AT_A_TIME.lock().await;
    let (place, version) = place("rights").await?;
    let tables = [("orders", BY_PARTITION, version)];
    let identity = format!("loader-{}", place.name);
    let by = Loading {
        identity: Some(&identity),
        ..Loading::default()
    };
    let error = place.load_by(&by, "one", 1, &tables).await.expect_err("no rights");
    assert_eq!(error.class, ErrorClass::Environment);
    let grant = format!("GRANT USAGE, CREATE ON SCHEMA \"{}\" TO \"IAM:{identity}\"", place.name);
    assert!(error.message.contains(&grant), "{error}");
    place.rows(&grant).await?;
    assert_eq!(place.load_by(&by, "one", 2, &tables).await?.rows, 1);

    // Another user beside it, with tables of its own, needs the ledger too.
    let customers = place
        .replace("customers", &[("2010-12-01", Some(lines(1, &[("c", 1)])))])
        .await?;
    let second = format!("second-{}", place.name);
    let by = Loading {
        pipeline: Some("other"),
        identity: Some(&second),
        ..Loading::default()
    };
    let tables = [("customers", WHOLE, customers)];
    place.load_by(&by, "two", 1, &tables).await.expect_err("no rights");
    place
        .rows(&format!(
            "GRANT USAGE, CREATE ON SCHEMA \"{}\" TO \"IAM:{second}\"",
            place.name
        ))
        .await?;
    let error = place
        .load_by(&by, "two", 2, &tables)
        .await
        .expect_err("no rights in the ledger");
    let grant = format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON \"{}\".\"medallion_ledger\" TO \"IAM:{second}\"",
        place.name
    );
    assert!(error.message.contains(&grant), "{error}");
    place.rows(&grant).await?;
    assert_eq!(place.load_by(&by, "two", 3, &tables).await?.rows, 1);
    Ok(())
}
