//! Which partitions a run rewrites, and which files models see.

use std::collections::BTreeMap;

use dbt_runner::position::Rewritten;
use dbt_runner::protocol::{Column, Replace, SourceName, TableModel, View};
use dbt_runner::touched::{Partitions, Touched, differing, following};
use dbt_runner::views::{Input, Layers, Own, views};
use medallion_lake::{DataFile, PartitionValues};

const GOLD: Layers<'static> = Layers {
    before: "silver",
    own: "gold",
};

fn day(date: &str) -> PartitionValues {
    PartitionValues::from([("part_date".to_owned(), Some(date.to_owned()))])
}

fn file(name: &str, partition: PartitionValues) -> DataFile {
    DataFile {
        name: name.to_owned(),
        url: format!("s3://lake/{name}"),
        size: 1,
        rows: Some(1),
        partition,
    }
}

fn model(name: &str, replace: Replace) -> TableModel {
    let partition_by = if replace == Replace::Partitions {
        vec!["part_date".to_owned()]
    } else {
        Vec::new()
    };
    let columns = vec![Column {
        name: "part_date".to_owned(),
        kind: "VARCHAR".to_owned(),
    }];
    TableModel {
        name: name.to_owned(),
        replace,
        key: vec!["id".to_owned()],
        partition_by,
        changes: None,
        columns,
    }
}

fn source(schema: &str, name: &str) -> SourceName {
    SourceName {
        schema: schema.to_owned(),
        name: name.to_owned(),
    }
}

fn days(dates: &[&str]) -> Partitions {
    dates.iter().map(|date| day(date)).collect()
}

fn files_of(views: &[View], name: &str) -> Vec<String> {
    let view = views.iter().find(|view| view.name == name).expect("the view is made");
    view.files
        .iter()
        .map(|file| file.url.rsplit('/').next().expect("a name").to_owned())
        .collect()
}

#[test]
fn a_day_that_became_empty_has_changed_too() {
    let before = [file("a", day("1")), file("b", day("2")), file("c", day("3"))];
    let now = [file("a", day("1")), file("d", day("3"))];
    assert_eq!(differing(&before, &now), days(&["2", "3"]));
    assert_eq!(differing(&[], &now), days(&["1", "3"]));
    assert_eq!(differing(&now, &now), days(&[]));
}

#[test]
fn gold_follows_the_days_that_silver_has_changed() {
    let changed = BTreeMap::from([("order_lines".to_owned(), days(&["2"]))]);
    let partitioned = following(&model("orders", Replace::Partitions), &changed, &[]).unwrap();
    assert_eq!(partitioned, Touched::Partitions(days(&["2"])));
    let whole = following(&model("customer_value", Replace::Table), &changed, &[]).unwrap();
    assert_eq!(whole, Touched::Whole);
}

#[test]
fn a_changed_input_without_partitions_touches_every_day_there_is() {
    let changed = BTreeMap::from([("buyers".to_owned(), Partitions::from([PartitionValues::new()]))]);
    let (lines, orders) = ([file("a", day("1"))], [file("b", day("2"))]);
    let touched = following(&model("orders", Replace::Partitions), &changed, &[&lines, &orders]).unwrap();
    assert_eq!(touched, Touched::Partitions(days(&["1", "2"])));
}

#[test]
fn a_table_that_begins_afresh_is_given_all_days_although_nothing_differs() {
    let unchanged = Input {
        partition_by: vec!["part_date".to_owned()],
        files: vec![file("old", day("1")), file("older", day("2"))],
        ..Input::default()
    };
    let sources = [source("silver", "order_lines_touched")];
    let inputs = BTreeMap::from([
        ("order_lines".to_owned(), unchanged),
        ("returns".to_owned(), Input::default()),
    ]);
    let files = |begins_afresh| {
        let made = views(&sources, GOLD, &inputs, &BTreeMap::new(), begins_afresh).unwrap();
        files_of(&made, "order_lines_touched")
    };
    assert_eq!(
        files(true),
        ["old", "older"],
        "they are written whole, from all there is"
    );
    assert!(files(false).is_empty());
}

#[test]
fn a_table_of_changed_rows_keeps_nothing_that_was_made_from_other_tables() {
    let changing = || TableModel {
        changes: Some("order_changes".to_owned()),
        ..model("orders", Replace::Partitions)
    };
    let (changed, stood) = (BTreeMap::new(), || vec![file("displaced", day("1"))]);
    let own = |goes_on| Own::new(changing(), stood(), (goes_on, true), &changed, &[]).unwrap();
    let anew = own(false);
    assert_eq!(
        anew.touched,
        Some(Touched::Whole),
        "also the days that no new row concerns"
    );
    let sources = [source("gold", "orders_current"), source("gold", "orders_kept")];
    let tables = BTreeMap::from([("orders".to_owned(), anew)]);
    let made = views(&sources, GOLD, &BTreeMap::new(), &tables, true).unwrap();
    for view in ["orders_current", "orders_kept"] {
        assert!(files_of(&made, view).is_empty(), "{view}");
    }

    let going_on = own(true);
    assert_eq!(going_on.touched, None, "its changed rows say which days");
    assert_eq!(going_on.files, stood());
}

#[test]
fn a_table_that_follows_its_inputs_is_written_whole_when_it_is_made_from_others() {
    let changed = BTreeMap::from([("order_lines".to_owned(), days(&["2"]))]);
    let stood = || vec![file("one", day("1"))];
    let own = |case| Own::new(model("orders", Replace::Partitions), stood(), case, &changed, &[]).unwrap();
    let followed = own((true, false));
    assert_eq!(followed.touched, Some(Touched::Partitions(days(&["2"]))));
    let beside_a_new_one = own((true, true));
    assert_eq!(
        (beside_a_new_one.touched, beside_a_new_one.files),
        (Some(Touched::Whole), stood())
    );
    let anew = own((false, true));
    assert_eq!((anew.touched, anew.files), (Some(Touched::Whole), Vec::new()));
}

#[test]
fn other_partition_columns_than_the_inputs_are_refused_by_name() {
    let month = PartitionValues::from([("part_month".to_owned(), Some("2010-12".to_owned()))]);
    let changed = BTreeMap::from([("order_lines".to_owned(), Partitions::from([month]))]);
    let error = following(&model("orders", Replace::Partitions), &changed, &[])
        .unwrap_err()
        .to_string();
    for word in ["orders", "order_lines", "part_date", "part_month"] {
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn models_see_the_touched_days_and_no_other() {
    let input = Input {
        partition_by: vec!["part_date".to_owned()],
        added: vec![file("new", day("2"))],
        files: vec![file("old", day("1")), file("new", day("2"))],
        changed: days(&["2", "3"]),
        ..Input::default()
    };
    let own = Own {
        model: model("customer_days", Replace::Partitions),
        files: vec![file("one", day("1")), file("two", day("2")), file("three", day("3"))],
        touched: Some(Touched::Partitions(days(&["2", "3"]))),
    };
    let sources = [
        source("run", "context"),
        source("silver", "order_lines_new"),
        source("silver", "order_lines_touched"),
        source("silver", "order_lines_all"),
        source("gold", "customer_days_current"),
        source("gold", "customer_days_kept"),
    ];
    let inputs = BTreeMap::from([("order_lines".to_owned(), input)]);
    let mut tables = BTreeMap::from([("customer_days".to_owned(), own)]);
    let made = views(&sources, GOLD, &inputs, &tables, false).unwrap();
    assert_eq!(made.len(), 5, "the context is not a view over files");
    assert_eq!(files_of(&made, "order_lines_new"), ["new"]);
    assert_eq!(files_of(&made, "order_lines_touched"), ["new"]);
    assert_eq!(files_of(&made, "order_lines_all"), ["old", "new"]);
    assert_eq!(files_of(&made, "customer_days_current"), ["two", "three"]);
    assert_eq!(files_of(&made, "customer_days_kept"), ["one"]);

    // As long as nobody knows what is touched, the views that depend on it are not made.
    tables.get_mut("customer_days").unwrap().touched = None;
    assert_eq!(views(&sources, GOLD, &inputs, &tables, false).unwrap().len(), 3);
}

#[test]
fn a_source_that_nobody_provides_is_named() {
    let inputs = BTreeMap::from([("order_lines".to_owned(), Input::default())]);
    for (schema, name) in [
        ("silver", "order_lines"),
        ("bronze", "bronze_new"),
        ("silver", "lines_new"),
        ("gold", "x_kept"),
    ] {
        let error = views(&[source(schema, name)], GOLD, &inputs, &BTreeMap::new(), false)
            .unwrap_err()
            .to_string();
        assert!(error.contains(&format!("{schema}.{name}")), "{error}");
    }
}

#[test]
fn rows_of_earlier_runs_stand_beside_those_of_this_one_unless_all_are_rewritten() {
    let present = [file("a", day("d1")), file("b", day("d2"))];
    let some = |dates: &[&str]| Touched::Partitions(days(dates));
    assert_eq!(Touched::Whole.rewrite(&present), Rewritten::All);
    assert_eq!(some(&["d1"]).rewrite(&present), Rewritten::Some);
    assert_eq!(some(&["d1", "d2", "d3"]).rewrite(&present), Rewritten::All);
    assert_eq!(some(&["d3"]).rewrite(&[]), Rewritten::All, "nothing stood before");
    assert_eq!(some(&[]).rewrite(&present), Rewritten::Nothing);
}
