//! Lost answers and failures at each write: nothing twice, nothing half. No network.

use std::collections::BTreeMap;
use std::sync::Arc;

use medallion_lake::{LakeStore, Outcome, Snapshot};

use crate::faulty_store::{Fault, FaultyStore};
use crate::support::{Home, append, at, created, day, file, home_in, rows, some};

async fn faulty() -> (Arc<FaultyStore>, Home, Snapshot) {
    let objects = Arc::new(FaultyStore::new());
    let store = LakeStore::given(Arc::clone(&objects) as _).expect("store");
    let home = home_in(&store);
    let base = created(&home).await;
    (objects, home, base)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_lost_is_recognised() {
    for fault in [Fault::AnswerLost, Fault::AnswerLostAndRepeated] {
        let (objects, home, base) = faulty().await;
        let new = file(&home.table, "a.parquet", &day("d"), &[1]).await;
        objects.arm("_delta_log", fault);
        let change = append(vec![new], 1);
        let Outcome::AlreadyCommitted(found) = home.table.commit(&base, &change).await.expect("an answer") else {
            panic!("{fault:?}: the commit is there");
        };
        assert_eq!((found.version(), found.position("test.shard.one")), (1, Some(&at(1))));
        assert_eq!(rows(&found).await, BTreeMap::from([(some("d"), vec![1])]));
        // Said once more, it is still the same commit and not another one.
        let again = home.table.commit(&base, &change).await.expect("an answer");
        assert!(
            matches!(again, Outcome::AlreadyCommitted(found) if found.version() == 1),
            "{fault:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_did_not_happen_is_an_error_and_can_be_tried_again() {
    let (objects, home, base) = faulty().await;
    let change = append(vec![file(&home.table, "a.parquet", &day("d"), &[1]).await], 1);
    objects.arm("_delta_log", Fault::NotDone);
    let error = home
        .table
        .commit(&base, &change)
        .await
        .expect_err("nothing was written");
    assert!(error.is_transient(), "{error}");
    assert_eq!(
        home.table.existing().await.expect("read").version(),
        0,
        "a file without a commit is no row"
    );
    assert!(matches!(
        home.table.commit(&base, &change).await,
        Ok(Outcome::Committed(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zombies_commit_is_told_from_ones_own() {
    let (objects, home, base) = faulty().await;
    let mine = append(vec![file(&home.table, "mine.parquet", &day("d"), &[1]).await], 1);
    objects.arm("_delta_log", Fault::NotDone);
    home.table.commit(&base, &mine).await.expect_err("not done");
    let other = append(vec![file(&home.table, "other.parquet", &day("d"), &[1, 2]).await], 2);
    home.table.commit(&base, &other).await.expect("the zombie's");
    let Outcome::Conflict(found) = home.table.commit(&base, &mine).await.expect("an answer") else {
        panic!("the rows would be there twice");
    };
    assert_eq!(found.position("test.shard.one"), Some(&at(2)));
    assert_eq!(rows(&found).await[&some("d")], [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_answer_was_lost_is_recognised_and_a_used_name_is_not_overwritten() {
    let (objects, home, base) = faulty().await;
    objects.arm("a.parquet", Fault::AnswerLostAndRepeated);
    let new = file(&home.table, "a.parquet", &day("d"), &[1, 2, 3]).await;
    let many: Vec<i64> = (0..10_000).collect();
    let taken = home
        .table
        .write_file("a.parquet", &day("d"), vec![crate::support::batch(&many)])
        .await;
    assert!(
        matches!(taken, Err(medallion_lake::LakeError::FileExists(_))),
        "{taken:?}"
    );
    let Outcome::Committed(after) = home.table.commit(&base, &append(vec![new], 1)).await.expect("commit") else {
        panic!("the only writer wins");
    };
    assert_eq!(rows(&after).await[&some("d")], [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_creations_answer_was_lost_is_opened() {
    let objects = Arc::new(FaultyStore::new());
    let home = home_in(&LakeStore::given(Arc::clone(&objects) as _).expect("store"));
    objects.arm("_delta_log", Fault::AnswerLost);
    assert_eq!(created(&home).await.version(), 0);
}
