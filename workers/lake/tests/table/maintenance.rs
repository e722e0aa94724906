//! Long logs: checkpoints, time travel across them, and entries that are gone. No network.

use medallion_lake::{CHECKPOINT_EVERY, LakeError, Outcome};

use crate::support::{append, at, created, day, file, home, rows, some};

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_gets_checkpoints_and_keeps_rows_positions_and_past() {
    let home = home();
    let mut snapshot = created(&home).await;
    let commits = 2 * CHECKPOINT_EVERY + 20;
    for number in 1..=commits {
        let id = i64::try_from(number).expect("small");
        let new = file(&home.table, &format!("f-{number}.parquet"), &day("d"), &[id]).await;
        let mut change = append(vec![new], number).position(format!("test.old.{}", number % 7), at(number));
        if number % 7 == 6 {
            change = change.forget("test.old.1");
        }
        let Outcome::Committed(after) = home.table.commit(&snapshot, &change).await.expect("commit") else {
            panic!("the only writer wins");
        };
        snapshot = after;
        home.table.settle().await;
    }
    let log = home.folder.path().join("orders/_delta_log");
    let checkpoints = std::fs::read_dir(&log)
        .expect("log")
        .filter(|entry| {
            entry
                .as_ref()
                .expect("entry")
                .file_name()
                .to_string_lossy()
                .ends_with(".checkpoint.parquet")
        })
        .count();
    assert_eq!(checkpoints, 2, "one per {CHECKPOINT_EVERY} commits");

    let read = home.table.existing().await.expect("read");
    assert_eq!(read.version(), commits);
    assert_eq!(
        read.positions(),
        snapshot.positions(),
        "what is carried along equals what is read"
    );
    let expected: Vec<i64> = (1..=i64::try_from(commits).expect("small")).collect();
    assert_eq!(rows(&read).await[&some("d")], expected);
    let past = home.table.snapshot_at(30).await.expect("before both checkpoints");
    assert_eq!(rows(&past).await[&some("d")].len(), 30);
    assert_eq!(past.position("test.shard.one"), Some(&at(30)));

    // Changes are read across checkpoints, until the entries are cleaned up.
    let changes = home
        .table
        .changes(CHECKPOINT_EVERY - 5, CHECKPOINT_EVERY + 5)
        .await
        .expect("changes");
    assert_eq!(changes.added.len(), 10);
    std::fs::remove_file(log.join(format!("{:020}.json", CHECKPOINT_EVERY - 1))).expect("cleaned up");
    let gone = home.table.changes(CHECKPOINT_EVERY - 5, CHECKPOINT_EVERY + 5).await;
    assert!(
        matches!(gone, Err(LakeError::LogGone { version, .. }) if version == CHECKPOINT_EVERY - 1),
        "{gone:?}"
    );
    assert_eq!(
        home.table.existing().await.expect("read").version(),
        commits,
        "the table itself needs it no more"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_log_is_an_error_and_not_an_empty_table() {
    let home = home();
    created(&home).await;
    let entry = home.folder.path().join("orders/_delta_log/00000000000000000000.json");
    std::fs::write(entry, "not json").expect("broken");
    let read = home.table.snapshot().await;
    assert!(matches!(read, Err(LakeError::Log { .. })), "{read:?}");
}
