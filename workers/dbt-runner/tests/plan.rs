//! What a run decides to do, from what the logs of its tables say.

use std::collections::BTreeMap;

use dbt_runner::plan::{Plan, Standing, Work, decide};
use dbt_runner::position::{Position, Versions};
use rstest::rstest;

const THIS: &str = "run-2";

fn versions(entries: &[(&str, u64)]) -> Versions {
    entries
        .iter()
        .map(|(name, version)| ((*name).to_owned(), *version))
        .collect()
}

fn never(name: &str) -> Standing {
    Standing {
        name: name.to_owned(),
        position: None,
    }
}

fn at(name: &str, run: &str, consumed: &[(&str, u64)]) -> Standing {
    Standing {
        name: name.to_owned(),
        position: Some(Position::new(run, 1, &versions(consumed))),
    }
}

fn work(tables: &[Standing], inputs: &[(&str, u64)]) -> Work {
    match decide(tables, THIS, &versions(inputs)) {
        Plan::Process(work) => work,
        Plan::AlreadyCommitted => panic!("there is work to do"),
    }
}

fn after(entries: &[(&str, Option<u64>)]) -> BTreeMap<String, Option<u64>> {
    entries
        .iter()
        .map(|(name, version)| ((*name).to_owned(), *version))
        .collect()
}

fn names(work: &Work) -> Vec<&str> {
    work.publish.iter().map(String::as_str).collect()
}

#[test]
fn the_first_run_begins_at_the_beginning() {
    let work = work(&[never("order_lines")], &[("bronze", 7)]);
    assert_eq!(work.after, after(&[("bronze", None)]));
    assert_eq!(work.until, versions(&[("bronze", 7)]));
    assert_eq!(names(&work), ["order_lines"]);
}

#[test]
fn a_run_takes_what_lies_between_the_log_and_its_inputs() {
    let work = work(&[at("order_lines", "run-1", &[("bronze", 5)])], &[("bronze", 7)]);
    assert_eq!(work.after, after(&[("bronze", Some(5))]));
    assert!(work.published_before.is_empty());
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
    let tables = [
        at("customer_days", THIS, &[("lines", 7)]),
        at("orders", THIS, &[("lines", 7)]),
        at("customer_value", "run-1", &[("lines", 5)]),
    ];
    let work = work(&tables, &[("lines", 7)]);
    assert_eq!(names(&work), ["customer_value"]);
    assert_eq!(work.after, after(&[("lines", Some(5))]));
    assert_eq!(
        work.published_before.iter().collect::<Vec<_>>(),
        ["customer_days", "orders"]
    );
}

#[test]
fn tables_that_an_abandoned_run_left_apart_meet_again() {
    let tables = [
        at("customer_days", "run-1", &[("lines", 6)]),
        at("customer_value", "run-0", &[("lines", 5)]),
    ];
    let work = work(&tables, &[("lines", 7)]);
    assert_eq!(work.after, after(&[("lines", Some(5))]));
    assert_eq!(names(&work), ["customer_days", "customer_value"]);
}

#[test]
fn a_new_model_is_given_everything() {
    let tables = [at("orders", "run-1", &[("lines", 5)]), never("product_sales")];
    assert_eq!(work(&tables, &[("lines", 7)]).after, after(&[("lines", None)]));
    // Its run may even be one whose inputs all others have consumed.
    assert_eq!(names(&work(&tables, &[("lines", 5)])), ["product_sales"]);
}

#[test]
fn a_new_input_is_read_from_its_beginning() {
    let work = work(
        &[at("orders", "run-1", &[("lines", 5)])],
        &[("lines", 5), ("buyers", 2)],
    );
    assert_eq!(work.after, after(&[("buyers", None), ("lines", Some(5))]));
}

#[test]
fn a_position_never_goes_back() {
    let tables = [at("orders", "run-1", &[("lines", 9), ("buyers", 1)])];
    let work = work(&tables, &[("lines", 7), ("buyers", 2)]);
    assert_eq!(work.until, versions(&[("lines", 9), ("buyers", 2)]));
}

#[test]
fn a_position_is_read_back_as_it_was_written() {
    let written = Position::new("run-1", 3, &versions(&[("bronze", 1042)]));
    assert_eq!(
        written.to_value(),
        serde_json::json!({"runUid": "run-1", "attempt": 3, "inputs": [{"name": "bronze", "version": 1042}]})
    );
    assert_eq!(Position::read("order_lines", &written.to_value()).unwrap(), written);
    assert!(Position::read("order_lines", &serde_json::json!("something else")).is_err());
}
