//! Lost answers and failures at each write: nothing twice, nothing half. No network.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use medallion_lake::{LakeError, LakeStore, Outcome, Snapshot};

use crate::faulty_store::{Fault, FaultyStore};
use crate::support::{Home, append, at, created, day, file, home, home_in, rows, some};

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
    assert!(matches!(taken, Err(LakeError::FileExists(_))), "{taken:?}");
    let Outcome::Committed(after) = home.table.commit(&base, &append(vec![new], 1)).await.expect("commit") else {
        panic!("the only writer wins");
    };
    assert_eq!(rows(&after).await[&some("d")], [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_came_into_its_own_way_can_be_tried_again() {
    let (objects, home, _) = faulty().await;
    objects.arm("a.parquet", Fault::Conflicts);
    let rows = || vec![crate::support::batch(&[1])];
    let refused = home.table.write_file("a.parquet", &day("d"), rows()).await;
    assert!(refused.as_ref().is_err_and(LakeError::is_transient), "{refused:?}");
    home.table
        .write_file("a.parquet", &day("d"), rows())
        .await
        .expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_up_in_parts() {
    let (objects, home, base) = faulty().await;
    // Numbers without a pattern defeat the encoding.
    let number = |index: i64| {
        index
            .wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed())
            .rotate_left(29)
            ^ index
    };
    let batches: Vec<RecordBatch> = (0..10)
        .map(|batch| {
            let numbers: Vec<i64> = (0..1_000_000).map(|row| number(batch * 1_000_000 + row)).collect();
            let schema = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
            RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from(numbers))]).expect("batch")
        })
        .collect();
    let new = home
        .table
        .write_file("large.parquet", &day("d"), batches)
        .await
        .expect("written");
    assert!(new.size() > 64 * 1024 * 1024, "{} bytes", new.size());
    assert_eq!(objects.in_parts(), 1);
    let Outcome::Committed(after) = home.table.commit(&base, &append(vec![new], 1)).await.expect("commit") else {
        panic!("the only writer wins");
    };
    assert_eq!(rows(&after).await[&some("d")].len(), 10_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_failed_is_made_up_for() {
    let (objects, home, mut snapshot) = faulty().await;
    let has_checkpoint = || {
        let log = home.folder.path().join("orders/_delta_log");
        let mut entries = std::fs::read_dir(log).expect("log");
        entries.any(|entry| {
            let name = entry.expect("entry").file_name();
            name.to_string_lossy().ends_with(".checkpoint.parquet")
        })
    };
    objects.arm(".checkpoint.parquet", Fault::NotDone);
    for number in 1..=80 {
        let Outcome::Committed(after) = home
            .table
            .commit(&snapshot, &append(vec![], number))
            .await
            .expect("commit")
        else {
            panic!("the only writer wins");
        };
        snapshot = after;
        home.table.settle().await;
        assert!(number > 70 || !has_checkpoint(), "the first one was to fail");
    }
    assert!(has_checkpoint());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_deleted_or_made_anew_gets_no_further_commit() {
    let home = home();
    let mut base = created(&home).await;
    for number in 1..=3 {
        let Outcome::Committed(after) = home.table.commit(&base, &append(vec![], number)).await.expect("commit") else {
            panic!("the only writer wins");
        };
        base = after;
    }
    let change = append(vec![file(&home.table, "a.parquet", &day("d"), &[1]).await], 4);
    let log = home.folder.path().join("orders/_delta_log");
    let replaced = |outcome: Result<Outcome, LakeError>| {
        let Err(error) = outcome else {
            panic!("nobody could read it: {outcome:?}");
        };
        assert!(matches!(error, LakeError::TableReplaced { version: 3, .. }), "{error}");
        assert!(!error.is_transient());
    };
    std::fs::remove_dir_all(&log).expect("deleted");
    replaced(home.table.commit(&base, &change).await);
    assert!(!log.exists(), "nothing was written");

    // Made anew by another writer: younger than what this one knows, as old, and older.
    let mut other = created(&home).await;
    for number in 1..=5 {
        replaced(home.table.commit(&base, &change).await);
        let Outcome::Committed(after) = home
            .table
            .commit(&other, &append(vec![], 100 + number))
            .await
            .expect("commit")
        else {
            panic!("the only writer wins");
        };
        other = after;
    }
    replaced(home.table.commit(&base, &change).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_comes_into_being_while_one_looks_is_opened() {
    let (objects, home, _) = faulty().await;
    objects.list_nothing_once();
    assert_eq!(created(&home).await.version(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_table_that_is_not_there_is_not_read() {
    let objects = Arc::new(FaultyStore::new());
    let home = home_in(&LakeStore::given(Arc::clone(&objects) as _).expect("store"));
    assert!(home.table.snapshot().await.expect("no error").is_none());
    assert_eq!(
        objects.gets(),
        0,
        "the log library logs what it does not find as an error"
    );
    assert_eq!(created(&home).await.version(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_creations_answer_was_lost_is_opened() {
    let objects = Arc::new(FaultyStore::new());
    let home = home_in(&LakeStore::given(Arc::clone(&objects) as _).expect("store"));
    objects.arm("_delta_log", Fault::AnswerLost);
    assert_eq!(created(&home).await.version(), 0);
}
