//! What a run decides to do, from what the logs of its tables say.

use std::collections::{BTreeMap, BTreeSet};

use dbt_runner::plan::{Plan, TableState, Work, decide};
use dbt_runner::position::{Position, Projects, Rewritten, TableIds, Versions, identity};
use rstest::rstest;

const THIS: &str = "run-2";

fn versions(entries: &[(&str, u64)]) -> Versions {
    entries
        .iter()
        .map(|(name, version)| ((*name).to_owned(), *version))
        .collect()
}

fn never(name: &str) -> TableState {
    TableState {
        name: name.to_owned(),
        position: None,
        before: None,
    }
}

fn position(run: &str, consumed: &[(&str, u64)]) -> Position {
    Position::new(run, 1, &versions(consumed), &TableIds::new(), Projects::default())
}

fn at(name: &str, run: &str, consumed: &[(&str, u64)]) -> TableState {
    TableState {
        name: name.to_owned(),
        position: Some(position(run, consumed)),
        before: Some(position(run, consumed)),
    }
}

/// A table that an earlier attempt of this run has published.
fn published(name: &str, consumed: &[(&str, u64)], before: Option<Position>) -> TableState {
    TableState {
        name: name.to_owned(),
        position: Some(position(THIS, consumed)),
        before,
    }
}

fn work(tables: &[TableState], inputs: &[(&str, u64)]) -> Work {
    match decide(tables, THIS, &versions(inputs)) {
        Plan::Process(work) => work,
        Plan::AlreadyCommitted => panic!("there is work to do"),
    }
}

fn bases(entries: &[(&str, &[Option<u64>])]) -> BTreeMap<String, BTreeSet<Option<u64>>> {
    entries
        .iter()
        .map(|(name, versions)| ((*name).to_owned(), versions.iter().copied().collect()))
        .collect()
}

fn names(work: &Work) -> Vec<&str> {
    work.publish.iter().map(String::as_str).collect()
}

#[test]
fn the_first_run_begins_at_the_beginning() {
    let work = work(&[never("order_lines")], &[("bronze", 7)]);
    assert_eq!(work.bases, bases(&[("bronze", &[None])]));
    assert!(work.begins_afresh());
    assert_eq!(work.until, versions(&[("bronze", 7)]));
    assert_eq!(names(&work), ["order_lines"]);
}

#[test]
fn a_run_takes_what_lies_between_the_log_and_its_inputs() {
    let work = work(&[at("order_lines", "run-1", &[("bronze", 5)])], &[("bronze", 7)]);
    assert_eq!(work.after("bronze"), Some(5));
    assert!(!work.begins_afresh());
}

#[rstest]
#[case::exactly_there(7)]
#[case::past_it(9)]
fn what_all_tables_have_consumed_is_already_committed(#[case] consumed: u64) {
    let tables = [
        at("orders", "run-1", &[("lines", consumed)]),
        at("daily", "run-1", &[("lines", 8)]),
    ];
    assert_eq!(
        decide(&tables, THIS, &versions(&[("lines", 7)])),
        Plan::AlreadyCommitted
    );
}

#[test]
fn a_retry_skips_what_its_run_has_published_and_reads_it_as_it_was_before() {
    let before = Some(position("run-1", &[("lines", 5)]));
    let tables = [
        published("customer_days", &[("lines", 7)], before.clone()),
        published("orders", &[("lines", 7)], before),
        at("customer_value", "run-1", &[("lines", 5)]),
    ];
    let work = work(&tables, &[("lines", 7)]);
    assert_eq!(names(&work), ["customer_value"]);
    assert_eq!(work.bases, bases(&[("lines", &[Some(5)])]));
}

#[test]
fn a_retry_takes_the_range_of_the_attempt_before_it() {
    let value = at("customer_value", "run-1", &[("lines", 5)]);
    let first = work(&[never("customer_days"), value.clone()], &[("lines", 7)]);
    // The new model is published, and what reads it is not: it must be given all days of it again.
    let retry = work(
        &[published("customer_days", &[("lines", 7)], None), value],
        &[("lines", 7)],
    );
    assert_eq!(retry.bases, first.bases);
    assert_eq!(retry.after("lines"), None);
    assert_eq!(names(&retry), ["customer_value"]);
}

#[test]
fn tables_that_an_abandoned_run_left_apart_meet_again() {
    let tables = [
        at("customer_days", "run-1", &[("lines", 6)]),
        at("customer_value", "run-0", &[("lines", 5)]),
    ];
    let work = work(&tables, &[("lines", 7)]);
    assert_eq!(work.after("lines"), Some(5));
    assert_eq!(work.bases, bases(&[("lines", &[Some(5), Some(6)])]));
    assert_eq!(names(&work), ["customer_days", "customer_value"]);
    assert_eq!(work.range(), "lines after 5 or 6 up to 7");
    assert_eq!(work.tables(), "customer_days, customer_value");
}

#[test]
fn a_new_model_is_given_everything() {
    let tables = [at("orders", "run-1", &[("lines", 5)]), never("product_sales")];
    let all = work(&tables, &[("lines", 7)]);
    assert_eq!(all.after("lines"), None);
    assert_eq!(all.range(), "lines after nothing or 5 up to 7");
    // Its run may even be one whose inputs all others have consumed.
    assert_eq!(names(&work(&tables, &[("lines", 5)])), ["product_sales"]);
}

#[test]
fn a_new_input_is_read_from_its_beginning() {
    let work = work(
        &[at("orders", "run-1", &[("lines", 5)])],
        &[("lines", 5), ("buyers", 2)],
    );
    assert_eq!(work.bases, bases(&[("buyers", &[None]), ("lines", &[Some(5)])]));
}

#[test]
fn a_position_never_goes_back() {
    let tables = [at("orders", "run-1", &[("lines", 9), ("buyers", 1)])];
    let work = work(&tables, &[("lines", 7), ("buyers", 2)]);
    assert_eq!(work.until, versions(&[("lines", 9), ("buyers", 2)]));
}

#[test]
fn a_position_is_read_back_as_it_was_written() {
    let ids = TableIds::from([("bronze".to_owned(), "b".to_owned())]);
    let written = Position::new("run-1", 3, &versions(&[("bronze", 1042)]), &ids, Projects::default());
    assert_eq!(
        written.to_value(),
        serde_json::json!({"runUid": "run-1", "attempt": 3, "inputs": [{"name": "bronze", "version": 1042, "tableId": "b"}]})
    );
    assert_eq!(Position::read("order_lines", &written.to_value()).unwrap(), written);
    assert!(Position::read("order_lines", &serde_json::json!("something else")).is_err());
}

#[test]
fn what_was_consumed_of_a_table_that_is_no_more_counts_for_nothing() {
    let ids = |id: &str| TableIds::from([("lines".to_owned(), id.to_owned())]);
    let consumed = versions(&[("lines", 40)]);
    let written = Position::new("run-1", 1, &consumed, &ids("old"), Projects::default());
    assert_eq!(written.clone().of(&ids("old")).consumed("lines"), Some(40));
    assert_eq!(written.of(&ids("anew")).consumed("lines"), None);
    // One without an id says nothing about the table of today.
    assert_eq!(
        position("run-1", &[("lines", 40)]).of(&ids("anew")).consumed("lines"),
        None
    );
}

fn ids(entries: &[(&str, &str)]) -> TableIds {
    entries
        .iter()
        .map(|(name, id)| ((*name).to_owned(), (*id).to_owned()))
        .collect()
}

/// The state of a table whose last run consumed lines `a` up to 40 and buyers `b` up to 2, for a run with these inputs.
fn made_of_a_and_b(now: &[(&str, &str)]) -> TableState {
    let consumed = versions(&[("lines", 40), ("buyers", 2)]);
    let then = ids(&[("lines", "a"), ("buyers", "b")]);
    let position = Position::new("run-1", 1, &consumed, &then, Projects::default()).of(&ids(now));
    TableState {
        name: "orders".to_owned(),
        position: Some(position.clone()),
        before: Some(position),
    }
}

#[rstest]
#[case::the_same_tables(&[("lines", "a"), ("buyers", "b")], true)]
#[case::another_one_beside_them(&[("lines", "a"), ("buyers", "b"), ("returns", "c")], true)]
#[case::one_of_them_is_another(&[("lines", "a"), ("buyers", "other")], false)]
#[case::one_of_them_is_no_input_any_more(&[("lines", "a")], false)]
#[case::one_of_them_has_another_in_its_place(&[("lines", "a"), ("returns", "c")], false)]
#[case::all_are_others(&[("sales", "s")], false)]
fn a_run_goes_on_from_rows_that_were_made_from_its_own_inputs_alone(
    #[case] now: &[(&str, &str)],
    #[case] goes_on: bool,
) {
    let inputs: Vec<(&str, u64)> = now.iter().map(|(name, _)| (*name, 50)).collect();
    let table = made_of_a_and_b(now);
    assert_eq!(table.goes_on(&versions(&inputs)), goes_on);
    let work = work(&[table], &inputs);
    for (name, _) in inputs.iter().filter(|_| !goes_on) {
        assert_eq!(work.after(name), None, "{name} is read from its beginning");
    }
    assert_eq!(work.after("lines"), goes_on.then_some(40));
}

#[test]
fn a_table_that_was_not_there_is_begun_and_a_retry_begins_it_again() {
    let inputs = versions(&[("lines", 7)]);
    assert!(!never("orders").goes_on(&inputs));
    assert!(!published("orders", &[("lines", 7)], None).goes_on(&inputs));
    let before = Some(position("run-1", &[("lines", 5)]));
    assert!(published("orders", &[("lines", 7)], before).goes_on(&inputs));
}

#[test]
fn rows_that_were_begun_anew_in_place_are_other_rows_to_who_reads_them() {
    let position = |begun: Option<&str>| {
        let consumed = Position::new(
            "run-7",
            1,
            &versions(&[("bronze", 9)]),
            &ids(&[("bronze", "b")]),
            Projects::default(),
        );
        consumed.begun_by(begun.map(str::to_owned))
    };
    let begun = position(Some("run-7"));
    assert_eq!(Position::read("lines", &begun.to_value()).expect("read"), begun);
    assert_eq!(identity("id", None), "id");
    assert_eq!(identity("id", Some(&position(None))), "id");
    let (once, twice) = (
        identity("id", Some(&begun)),
        identity("id", Some(&position(Some("run-9")))),
    );
    assert!(once != "id" && once != twice, "{once} {twice}");

    let of_reader = Position::new(
        "run-8",
        1,
        &versions(&[("lines", 3)]),
        &ids(&[("lines", "id")]),
        Projects::default(),
    );
    assert_eq!(of_reader.of(&ids(&[("lines", once.as_str())])).consumed("lines"), None);
}

fn projects(project: &str, oldest: Option<&str>) -> Projects {
    Projects {
        project: Some(project.to_owned()),
        oldest: oldest.map(str::to_owned),
    }
}

#[rstest]
#[case::a_new_table(None, Rewritten::Some, ("c", None))]
#[case::the_same_project(Some(("c", None)), Rewritten::Some, ("c", None))]
#[case::another_project_and_rows_that_stay(Some(("b", None)), Rewritten::Some, ("c", Some("b")))]
#[case::the_oldest_is_kept_in_mind(Some(("b", Some("a"))), Rewritten::Some, ("c", Some("a")))]
#[case::and_stays_in_mind(Some(("c", Some("a"))), Rewritten::Some, ("c", Some("a")))]
#[case::back_to_the_oldest(Some(("b", Some("c"))), Rewritten::Some, ("c", Some("b")))]
#[case::a_whole_replacement(Some(("b", Some("a"))), Rewritten::All, ("c", None))]
#[case::no_row_was_touched(Some(("b", Some("a"))), Rewritten::Nothing, ("b", Some("a")))]
fn a_table_knows_by_which_projects_its_rows_were_computed(
    #[case] before: Option<(&str, Option<&str>)>,
    #[case] rewritten: Rewritten,
    #[case] after: (&str, Option<&str>),
) {
    let before = before.map(|(project, oldest)| projects(project, oldest));
    assert_eq!(
        Projects::after(before.as_ref(), "c", rewritten),
        projects(after.0, after.1)
    );
}

#[test]
fn a_position_is_read_back_and_one_without_a_project_is_a_position() {
    let position = Position::new(
        "run-1",
        2,
        &versions(&[("bronze", 7)]),
        &TableIds::new(),
        projects("b", Some("a")),
    );
    assert_eq!(Position::read("t", &position.to_value()).expect("read"), position);
    let earlier = serde_json::json!({"runUid": "run-1", "attempt": 2, "inputs": [{"name": "bronze", "version": 7}]});
    let read = Position::read("t", &earlier).expect("read");
    assert_eq!(read.projects, Projects::default());
    assert_eq!(read.to_value(), earlier);
}
