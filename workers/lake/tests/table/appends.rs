//! Appends with positions: they add up, they race, they are recognised. No network.

use std::collections::BTreeMap;

use medallion_lake::{LakeError, LakeStore, Outcome};
use serde_json::json;

use crate::support::{append, at, claim, created, day, file, home, home_in, names, no_day, rows, some};

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_position_arrive_together() {
    let home = home();
    assert!(
        home.table.snapshot().await.expect("looked").is_none(),
        "no table before it is created"
    );
    let base = created(&home).await;
    let new = file(&home.table, "part_day=d1/a.parquet", &day("d1"), &[1, 2, 3]).await;
    let Outcome::Committed(after) = home.table.commit(&base, &append(vec![new], 7)).await.expect("commit") else {
        panic!("the only writer wins");
    };
    assert_eq!(after.version(), 1);
    for snapshot in [after, home.table.existing().await.expect("read again")] {
        assert_eq!(snapshot.position("test.shard.one"), Some(&at(7)));
        assert_eq!(rows(&snapshot).await, BTreeMap::from([(some("d1"), vec![1, 2, 3])]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_partition_values_come_back_as_they_were() {
    let home = home();
    let mut base = created(&home).await;
    let odd = [
        "2026-03-01",
        "Côte d'Ivoire",
        "a/b=c%20d",
        "1+1 & 2?#",
        "tab\there",
        " leading and trailing ",
    ];
    let mut expected = BTreeMap::from([(None, vec![99])]);
    let mut files = vec![file(&home.table, "nulls.parquet", &no_day(), &[99]).await];
    for (number, value) in odd.iter().enumerate() {
        let id = i64::try_from(number).expect("small");
        files.push(file(&home.table, &format!("odd-{number}.parquet"), &day(value), &[id]).await);
        expected.insert(some(value), vec![id]);
    }
    if let Outcome::Committed(after) = home.table.commit(&base, &append(files, 1)).await.expect("commit") {
        base = after;
    }
    assert_eq!(rows(&base).await, expected);
    let read_again = home.table.existing().await.expect("read");
    assert_eq!(rows(&read_again).await, expected);
    let changes = home.table.changes(0, 1).await.expect("changes");
    let partitions: Vec<_> = changes
        .added
        .into_iter()
        .map(|(_, file)| file.partition["part_day"].clone())
        .collect();
    assert_eq!(partitions.len(), expected.len());
    assert!(partitions.iter().all(|partition| expected.contains_key(partition)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_alone_is_a_commit_and_a_dropped_one_is_gone() {
    let home = home();
    let base = created(&home).await;
    let closing = append(vec![], 3).position("test.shard.two", json!({"sequence": "9", "closed": true}));
    let Outcome::Committed(closed) = home.table.commit(&base, &closing).await.expect("commit") else {
        panic!("the only writer wins");
    };
    let next = append(vec![], 4).forget("test.shard.two");
    let Outcome::Committed(after) = home.table.commit(&closed, &next).await.expect("commit") else {
        panic!("the only writer wins");
    };
    for snapshot in [after, home.table.existing().await.expect("read")] {
        let shards: Vec<_> = snapshot.positions_under("test.shard.").collect();
        assert_eq!(shards, [("one", &at(4))]);
        assert!(rows(&snapshot).await.is_empty());
    }
    let past = home.table.snapshot_at(1).await.expect("version 1");
    assert_eq!(
        past.position("test.shard.two"),
        Some(&json!({"sequence": "9", "closed": true}))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_racing_writers_one_wins_and_the_others_learn_who() {
    let home = home();
    let mut base = created(&home).await;
    for round in 0..20_u64 {
        let mut race = tokio::task::JoinSet::new();
        for writer in 0..4_u64 {
            // Every writer has a store of its own, as processes have.
            let table = LakeStore::local()
                .expect("store")
                .table(home.table.address())
                .expect("table")
                .claimed(&claim("here/shop/orders", &[]));
            let base = table.snapshot_at(base.version()).await.expect("base");
            race.spawn(async move {
                let id = i64::try_from(round * 10 + writer).expect("small");
                let new = file(&table, &format!("round-{round}-{writer}.parquet"), &day("d"), &[id]).await;
                (
                    id,
                    table
                        .commit(&base, &append(vec![new], round * 10 + writer))
                        .await
                        .expect("an answer"),
                )
            });
        }
        let outcomes = race.join_all().await;
        let winners: Vec<i64> = outcomes
            .iter()
            .filter(|(_, o)| matches!(o, Outcome::Committed(_)))
            .map(|(id, _)| *id)
            .collect();
        let found = home.table.existing().await.expect("read");
        assert_eq!(winners.len(), 1, "round {round}");
        assert_eq!(found.version(), round + 1, "one version per round");
        let expected = at(u64::try_from(winners[0]).expect("small"));
        assert_eq!(
            found.position("test.shard.one"),
            Some(&expected),
            "the log shows the winner"
        );
        for (_, outcome) in &outcomes {
            if let Outcome::Conflict(seen) = outcome {
                assert_eq!(
                    seen.position("test.shard.one"),
                    Some(&expected),
                    "the loser sees the winner"
                );
            }
        }
        base = found;
    }
    assert_eq!(
        rows(&base).await[&some("d")].len(),
        20,
        "no loser's rows are in the table"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_moves_on_top_of_a_commit_that_does_not_concern_it() {
    let home = home();
    let base = created(&home).await;
    let other = file(&home.table, "other.parquet", &day("d"), &[1]).await;
    let foreign = medallion_lake::Change::append(vec![other]).position("another.domain", json!(1));
    home.table.commit(&base, &foreign).await.expect("commit");
    let mine = file(&home.table, "mine.parquet", &day("d"), &[2]).await;
    let Outcome::Committed(after) = home.table.commit(&base, &append(vec![mine], 1)).await.expect("commit") else {
        panic!("it should have been moved");
    };
    assert_eq!(after.version(), 2);
    assert_eq!(names(&after).await, ["mine.parquet", "other.parquet"]);
    assert_eq!(after.position("another.domain"), Some(&json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_loses_the_race_to_create_opens_the_winners_table() {
    let store = LakeStore::local().expect("store");
    for _ in 0..10 {
        let home = home_in(&store);
        let (one, two) = tokio::join!(created(&home), created(&home));
        assert_eq!((one.version(), two.version()), (0, 0));
        assert_eq!(one.schema(), two.schema());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_could_not_be_recognised_are_refused() {
    let home = home();
    let base = created(&home).await;
    let new = file(&home.table, "a.parquet", &day("d"), &[1]).await;
    let refused = |change| {
        let (table, base) = (home.table.clone(), base.clone());
        async move {
            match table.commit(&base, &change).await {
                Err(LakeError::BadChange(reason)) => reason,
                other => panic!("{other:?}"),
            }
        }
    };
    let no_position = medallion_lake::Change::append(vec![new.clone()]);
    assert!(refused(no_position).await.contains("no position"));
    assert!(
        refused(append(vec![new.clone(), new.clone()], 1))
            .await
            .contains("twice")
    );
    assert!(
        refused(append(vec![], 1).forget("test.shard.one"))
            .await
            .contains("both")
    );
    assert!(
        refused(append(vec![], 1).position("delta.mine", json!(1)))
            .await
            .contains("reserved")
    );
}
