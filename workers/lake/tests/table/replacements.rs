//! Replacing partitions or everything: only what was named goes, and never on a stale view. No network.

use std::collections::{BTreeMap, BTreeSet};

use medallion_lake::{Change, LakeError, Outcome, Snapshot};
use serde_json::json;

use crate::support::{Home, append, at, created, day, file, home, names, no_day, rows, some};

async fn three_days(home: &Home) -> Snapshot {
    let base = created(home).await;
    let mut files = vec![file(&home.table, "null-1.parquet", &no_day(), &[9]).await];
    for (value, ids) in [("d1", [1, 2]), ("d2", [3, 4]), ("d3", [5, 6])] {
        files.push(
            file(
                &home.table,
                &format!("part_day={value}/first.parquet"),
                &day(value),
                &ids[..1],
            )
            .await,
        );
        files.push(
            file(
                &home.table,
                &format!("part_day={value}/second.parquet"),
                &day(value),
                &ids[1..],
            )
            .await,
        );
    }
    match home.table.commit(&base, &append(files, 1)).await.expect("commit") {
        Outcome::Committed(after) => after,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_touched_partitions_files_change() {
    let home = home();
    let base = three_days(&home).await;
    let untouched: BTreeSet<String> = names(&base)
        .await
        .into_iter()
        .filter(|name| !name.contains("d2") && !name.contains("null"))
        .collect();
    let fresh = file(&home.table, "part_day=d2/run-1.parquet", &day("d2"), &[30, 40, 50]).await;
    let touched = BTreeSet::from([day("d2"), no_day(), day("not there yet")]);
    let change = Change::replace_partitions(&touched, vec![fresh]).position("medallion.run", json!({"runUid": "r1"}));
    let Outcome::Committed(after) = home.table.commit(&base, &change).await.expect("commit") else {
        panic!("the only writer wins");
    };
    let expected = BTreeMap::from([
        (some("d1"), vec![1, 2]),
        (some("d2"), vec![30, 40, 50]),
        (some("d3"), vec![5, 6]),
    ]);
    assert_eq!(rows(&after).await, expected);
    let now: BTreeSet<String> = names(&home.table.existing().await.expect("read"))
        .await
        .into_iter()
        .collect();
    assert!(untouched.is_subset(&now), "files of other partitions stay as they are");

    let changes = home.table.changes(1, 2).await.expect("changes");
    assert_eq!(changes.added.len(), 1);
    assert_eq!(changes.removed.len(), 3, "two files of d2 and one of null");
    let past = home.table.snapshot_at(1).await.expect("version 1");
    assert_eq!(rows(&past).await[&some("d2")], [3, 4], "the past stays readable");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_replaced_even_by_nothing() {
    let home = home();
    let base = three_days(&home).await;
    let fresh = file(&home.table, "all.parquet", &day("d7"), &[7]).await;
    let change = Change::replace_all(vec![fresh]).position("medallion.run", json!({"runUid": "r1"}));
    let Outcome::Committed(after) = home.table.commit(&base, &change).await.expect("commit") else {
        panic!("the only writer wins");
    };
    assert_eq!(rows(&after).await, BTreeMap::from([(some("d7"), vec![7])]));
    let empty = Change::replace_all(vec![]).position("medallion.run", json!({"runUid": "r2"}));
    let Outcome::Committed(after) = home.table.commit(&after, &empty).await.expect("commit") else {
        panic!("the only writer wins");
    };
    assert!(rows(&after).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_never_moves_on_top_of_what_it_has_not_seen() {
    let home = home();
    let base = three_days(&home).await;
    let late = file(&home.table, "part_day=d2/late.parquet", &day("d2"), &[44]).await;
    home.table.commit(&base, &append(vec![late], 2)).await.expect("commit");
    let fresh = file(&home.table, "part_day=d2/run-1.parquet", &day("d2"), &[30]).await;
    let change = Change::replace_partitions(&BTreeSet::from([day("d2")]), vec![fresh])
        .position("medallion.run", json!({"runUid": "r1"}));
    let Outcome::Conflict(found) = home.table.commit(&base, &change).await.expect("an answer") else {
        panic!("the late row would have been lost");
    };
    assert_eq!(found.position("test.shard.one"), Some(&at(2)));
    assert!(rows(&found).await[&some("d2")].contains(&44));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_outside_the_replaced_partitions_or_already_there_is_refused() {
    let home = home();
    let base = three_days(&home).await;
    let stray = file(&home.table, "stray.parquet", &day("d3"), &[1]).await;
    let change =
        Change::replace_partitions(&BTreeSet::from([day("d2")]), vec![stray]).position("medallion.run", json!(1));
    assert!(
        matches!(home.table.commit(&base, &change).await, Err(LakeError::BadChange(reason)) if reason.contains("not replaced"))
    );

    // The same bytes under the same name are taken for an upload whose answer was lost; the table knows better.
    let again = file(&home.table, "part_day=d2/first.parquet", &day("d2"), &[3]).await;
    let change =
        Change::replace_partitions(&BTreeSet::from([day("d2")]), vec![again]).position("medallion.run", json!(1));
    assert!(
        matches!(home.table.commit(&base, &change).await, Err(LakeError::BadChange(reason)) if reason.contains("already"))
    );
}
