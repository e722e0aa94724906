//! Whose a table is: another's is refused, taking over is one commit with one winner. No network.

use std::sync::Arc;

use medallion_lake::{Claim, LakeError, LakeStore, Outcome, OwnedTable, Snapshot};
use rstest::rstest;
use serde_json::json;

use crate::faulty_store::{Fault, FaultyStore};
use crate::support::{Home, append, claim, created, day, file, home, home_in, names, schema};

const HERE: &str = "here/shop/orders";
const THERE: &str = "here/shop/copy";

/// The same table for another writer, with a store of its own, as another process has.
fn seen_by(home: &Home, claim: &Claim) -> OwnedTable {
    let store = LakeStore::local().expect("store");
    store.table(home.table.address()).expect("table").claimed(claim)
}

async fn opened(table: &OwnedTable) -> Result<Snapshot, LakeError> {
    table.open_or_create(&schema(), &["part_day"]).await
}

/// The words of a refusal.
fn refused<T: std::fmt::Debug>(outcome: Result<T, LakeError>) -> String {
    match outcome {
        Err(error @ LakeError::OwnedByAnother { .. }) => {
            assert!(!error.is_transient());
            error.to_string()
        }
        other => panic!("{other:?}"),
    }
}

/// A table as something else makes it, or as a release did that knew no owners.
fn unowned(home: &Home, position: Option<&str>) {
    let protocol = json!({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": [],
        "writerFeatures": ["domainMetadata"]});
    unowned_with(home, &protocol, position);
}

fn unowned_with(home: &Home, protocol: &serde_json::Value, position: Option<&str>) {
    let fields = json!({"type": "struct", "fields": [
        {"name": "id", "type": "long", "nullable": true, "metadata": {}},
        {"name": "name", "type": "string", "nullable": true, "metadata": {}},
        {"name": "part_day", "type": "string", "nullable": true, "metadata": {}},
    ]});
    let mut entry = vec![
        json!({"protocol": protocol}),
        json!({"metaData": {"id": "0c1a", "name": "orders", "format": {"provider": "parquet", "options": {}},
            "schemaString": fields.to_string(), "partitionColumns": ["part_day"],
            "configuration": {"theirs": "kept"}, "createdTime": 1_700_000_000_000_u64}}),
    ];
    entry.extend(
        position.map(|domain| json!({"domainMetadata": {"domain": domain, "configuration": "{}", "removed": false}})),
    );
    let log = home.folder.path().join("orders/_delta_log");
    std::fs::create_dir_all(&log).expect("folder");
    let lines: Vec<String> = entry.iter().map(ToString::to_string).collect();
    std::fs::write(log.join("00000000000000000000.json"), lines.join("\n")).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_names_its_owner_from_its_first_commit_on() {
    let home = home();
    assert_eq!(created(&home).await.owner(), Some(HERE));
    let at_first = home.table.snapshot_at(0).await.expect("read");
    assert_eq!(at_first.owner(), Some(HERE));
    let again = opened(&seen_by(&home, &claim(HERE, &[THERE]))).await.expect("its own");
    assert_eq!(again.version(), 0, "nothing is written for what is so already");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_owner_is_refused_before_it_writes_and_in_every_commit() {
    let home = home();
    let base = created(&home).await;
    let other = seen_by(&home, &claim(THERE, &["here/shop/older"]));
    for words in [refused(opened(&other).await), refused(other.take(base.clone()).await)] {
        assert!(words.contains(&format!("belongs to {HERE}")), "{words}");
        assert!(words.contains(&format!("medallion.dev/adopt: {HERE}")), "{words}");
    }
    let new = file(&other, "a.parquet", &day("d"), &[1]).await;
    refused(other.commit(&base, &append(vec![new.clone()], 1)).await);
    let whole = medallion_lake::Change::replace_all(vec![new]).position("medallion.run", json!(1));
    refused(other.commit(&base, &whole).await);
    assert_eq!(home.table.existing().await.expect("read").version(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_table_keeps_all_but_its_owner_and_the_displaced_one_is_refused() {
    let home = home();
    let base = created(&home).await;
    let first = file(&home.table, "a.parquet", &day("d"), &[1]).await;
    let Outcome::Committed(before) = home.table.commit(&base, &append(vec![first], 1)).await.expect("commit") else {
        panic!("the only writer wins");
    };
    let other = seen_by(&home, &claim(THERE, &[HERE]));
    let taken = opened(&other).await.expect("adopted");
    assert_eq!((taken.owner(), taken.version()), (Some(THERE), 2));
    assert_eq!(taken.table_id(), before.table_id());
    assert_eq!(taken.schema(), before.schema());
    assert_eq!(taken.partition_columns(), before.partition_columns());
    assert_eq!(taken.positions(), before.positions());
    assert_eq!(names(&taken).await, names(&before).await);

    // An append of the displaced owner could be moved on top of a commit without rows: it must not be.
    let late = file(&home.table, "late.parquet", &day("d"), &[2]).await;
    let words = refused(home.table.commit(&before, &append(vec![late], 2)).await);
    assert!(words.contains(&format!("belongs to {THERE}")), "{words}");
    let next = file(&other, "next.parquet", &day("d"), &[3]).await;
    let Outcome::Committed(after) = other.commit(&taken, &append(vec![next], 3)).await.expect("commit") else {
        panic!("the owner's");
    };
    assert_eq!(names(&after).await, ["a.parquet", "next.parquet"]);
    assert_eq!(opened(&other).await.expect("its own").version(), 3, "adopted once");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_adopt_or_create_one_wins() {
    for round in 0..10 {
        let home = home();
        if round % 2 == 0 {
            created(&home).await;
        }
        let one = seen_by(&home, &claim("here/shop/one", &[HERE]));
        let two = seen_by(&home, &claim("here/shop/two", &[HERE]));
        let (first, second) = tokio::join!(opened(&one), opened(&two));
        let found = home.table.existing().await.expect("read");
        assert_eq!(found.version(), u64::from(round % 2 == 0));
        let (winner, loser) = if first.is_ok() { ("one", second) } else { ("two", first) };
        assert_eq!(found.owner(), Some(format!("here/shop/{winner}").as_str()));
        refused(loser);
    }
}

#[rstest]
#[case::written_by_us(Some("medallion.run"), &[], true)]
#[case::anothers(Some("their.position"), &[], false)]
#[case::without_positions(None, &[], false)]
#[case::an_owner_is_named(None, &["here/shop/old"], false)]
#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_an_owner_is_taken_if_our_writers_made_it(
    #[case] position: Option<&str>,
    #[case] adopt: &[&str],
    #[case] taken: bool,
) {
    let home = home();
    unowned(&home, position);
    let table = seen_by(&home, &claim(HERE, adopt));
    if taken {
        let snapshot = opened(&table).await.expect("taken");
        assert_eq!((snapshot.owner(), snapshot.version()), (Some(HERE), 1));
    } else {
        let address = home.table.address().trim_end_matches('/');
        let words = refused(opened(&table).await);
        assert!(words.contains(&format!("medallion.dev/adopt: {address}")), "{words}");
        assert_eq!(home.table.existing().await.expect("read").version(), 0);
        let named = seen_by(&home, &claim(HERE, &[address]));
        let snapshot = opened(&named).await.expect("named");
        assert_eq!(snapshot.owner(), Some(HERE));
        let properties =
            std::fs::read_to_string(home.folder.path().join("orders/_delta_log/00000000000000000001.json"));
        assert!(properties.expect("entry").contains(r#""theirs":"kept""#));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_can_hold_no_positions_is_not_taken_over_in_vain() {
    let home = home();
    unowned_with(&home, &json!({"minReaderVersion": 1, "minWriterVersion": 2}), None);
    let address = home.table.address().trim_end_matches('/').to_owned();
    let named = seen_by(&home, &claim(HERE, &[&address]));
    let error = opened(&named)
        .await
        .expect_err("no commit with a position could follow");
    assert!(
        matches!(&error, LakeError::Unsupported { .. }) && error.to_string().contains("domainMetadata"),
        "{error}"
    );
    assert!(!error.is_transient());
    let found = home.table.existing().await.expect("read");
    assert_eq!((found.version(), found.owner()), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_take_over_whose_answer_was_lost_is_recognised_and_one_that_failed_can_be_tried_again() {
    let objects = Arc::new(FaultyStore::new());
    let home = home_in(&LakeStore::given(Arc::clone(&objects) as _).expect("store"));
    created(&home).await;
    let other = home.table.claimed(&claim(THERE, &[HERE]));
    objects.arm("_delta_log", Fault::NotDone);
    let error = opened(&other).await.expect_err("nothing was written");
    assert!(error.is_transient(), "{error}");
    for fault in [Fault::AnswerLost, Fault::AnswerLostAndRepeated] {
        let (owner, displaced) = if fault == Fault::AnswerLost {
            (THERE, HERE)
        } else {
            (HERE, THERE)
        };
        objects.arm("_delta_log", fault);
        let taken = opened(&home.table.claimed(&claim(owner, &[displaced])))
            .await
            .expect("taken");
        assert_eq!(taken.owner(), Some(owner), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_of_a_layer_are_found_without_what_lies_beside_them() {
    let home = home();
    created(&home).await;
    std::fs::create_dir_all(home.folder.path().join("_runs/uid/1")).expect("folder");
    let store = LakeStore::local().expect("store");
    let layer = format!("file://{}", home.folder.path().display());
    let found = store.tables(&layer).await.expect("listed");
    let [(name, table)] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(name, "orders");
    let snapshot = table.existing().await.expect("a table");
    claim(HERE, &[]).check(&snapshot).expect("its own");
    refused(claim(THERE, &[]).check(&snapshot));
}
