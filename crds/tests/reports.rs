//! A Job's report arrives whole in 4 KiB, or says in words that it could not.

use medallion_crds::Reason;
use medallion_crds::launch::TERMINATION_BYTES;
use medallion_crds::launch::report::{FailureReport, MAX_NAME, MAX_TABLES, ProvisionReport, Report, RunReport};
use medallion_crds::pipeline::{Dependency, DependencyKind, DependencyState};
use medallion_crds::stage_run::{OutputTable, TableVersion};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Different digests in one report beyond which those of the oldest projects may be left out.
const DIGESTS: usize = 12;

fn read(text: &str) -> Report {
    assert!(text.len() <= TERMINATION_BYTES, "{} bytes", text.len());
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn report(outputs: Vec<OutputTable>, inputs: Vec<TableVersion>) -> RunReport {
    RunReport {
        run_uid: "0f5b8f9e-6d1c-4b55-9f43-3a1f8f0f2f11".to_owned(),
        attempt: 3,
        already_committed: false,
        inputs,
        outputs,
        rows: 123_456_789,
    }
}

/// Letters without a pattern, as far as a report is concerned.
fn noise(seed: usize, letters: &str, length: usize) -> String {
    let letters: Vec<char> = letters.chars().collect();
    let mut state = seed as u64 ^ 0x9E37_79B9_7F4A_7C15;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        letters[usize::try_from(state >> 33).expect("31 bits") % letters.len()]
    };
    std::iter::repeat_with(next).take(length).collect()
}

const NAME_LETTERS: &str = "abcdefghijklmnopqrstuvwxyz0123456789_";
const HEX: &str = "0123456789abcdef";

#[test]
fn a_layer_of_the_most_tables_with_the_longest_names_arrives_whole() {
    let tables: Vec<_> = (0..MAX_TABLES)
        .map(|number| OutputTable {
            project: Some(noise(number % 2, HEX, 16)),
            oldest_project: (number % 3 > 0).then(|| noise(10 + number % 3, HEX, 16)),
            ..OutputTable::new(
                noise(number, NAME_LETTERS, MAX_NAME),
                1_000_000 + i64::try_from(number).expect("small"),
            )
        })
        .collect();
    let wanted = report(tables, Vec::new());
    let text = Report::Run(wanted.clone()).to_termination_message();
    assert_eq!(read(&text), Report::Run(wanted));
}

#[test]
fn what_has_no_room_is_left_out_but_never_a_table_or_its_version() {
    let outputs: Vec<_> = (0..MAX_TABLES)
        .map(|number| OutputTable {
            project: Some(noise(number, HEX, 64)),
            oldest_project: Some(noise(1000 + number, HEX, 64)),
            ..OutputTable::new(
                noise(number, NAME_LETTERS, MAX_NAME),
                i64::try_from(number).expect("small"),
            )
        })
        .collect();
    let wanted = report(outputs.clone(), outputs.iter().map(OutputTable::as_input).collect());
    let Report::Run(found) = read(&Report::Run(wanted.clone()).to_termination_message()) else {
        panic!("a run's report");
    };
    let versions = |report: &RunReport| -> Vec<_> {
        report
            .outputs
            .iter()
            .map(|table| (table.name.clone(), table.version))
            .collect()
    };
    assert_eq!(versions(&found), versions(&wanted));
    assert_eq!((found.rows, found.attempt), (wanted.rows, wanted.attempt));
}

#[test]
fn a_report_beyond_all_limits_is_a_failure_in_words_and_not_broken_json() {
    let outputs = (0..400)
        .map(|number| OutputTable::new(noise(number, NAME_LETTERS, 255), 1))
        .collect();
    let Report::Failure(failure) = read(&Report::Run(report(outputs, Vec::new())).to_termination_message()) else {
        panic!("it cannot fit");
    };
    assert_eq!(failure.reason, Reason::ReportLost);
    assert!(failure.message.contains("400 tables"), "{}", failure.message);
}

#[test]
fn a_packed_report_that_is_damaged_is_no_report() {
    for text in [
        r#"{"type": "packed", "run": "nonsense"}"#,
        r#"{"type": "packed", "run": ""}"#,
        r#"{"type": "packed"}"#,
    ] {
        assert!(serde_json::from_str::<Report>(text).is_err(), "{text}");
    }
}

#[test]
fn findings_of_a_provisioner_without_end_are_reported_in_short() {
    let dependency = |number: usize| Dependency {
        kind: DependencyKind::SilverBucket,
        name: format!("Bucket/{}", noise(number, NAME_LETTERS, MAX_NAME)),
        state: DependencyState::Missing,
        message: Some("é\u{1}".repeat(500)),
    };
    let provision = |count: usize| {
        let report = ProvisionReport {
            dependencies: (0..count).map(dependency).collect(),
            contract_versions: Vec::new(),
        };
        read(&Report::Provision(report).to_termination_message())
    };
    assert!(matches!(provision(20), Report::Provision(report) if report.dependencies.len() == 20));
    assert!(matches!(provision(200), Report::Failure(failure) if failure.reason == Reason::DependenciesMissing));
}

/// Letters that JSON writes as they are, as two, or as six, and those of several bytes.
#[test]
fn a_failure_s_words_are_cut_however_they_are_written() {
    for letter in ["a", "\"", "\\", "\n", "\u{1}", "\u{7f}", "é", "€", "𝄞"] {
        let failure = FailureReport {
            reason: Reason::WorkerFailed,
            message: letter.repeat(TERMINATION_BYTES),
        };
        let Report::Failure(found) = read(&Report::Failure(failure).to_termination_message()) else {
            panic!("a failure of {letter:?}");
        };
        assert_eq!(found.reason, Reason::WorkerFailed);
        let kept = found.message.matches(letter).count();
        assert!(kept > 100, "{kept} of {letter:?}");
    }
}

prop_compose! {
    fn table(digests: Vec<String>)(
        name in "[a-z_][a-z0-9_]{0,62}",
        version in 0..2_000_000_i64,
        project in option::of(select(digests.clone())),
        oldest_project in option::of(select(digests)),
    ) -> OutputTable {
        OutputTable { project, oldest_project, ..OutputTable::new(name, version) }
    }
}

fn tables() -> impl Strategy<Value = Vec<OutputTable>> {
    vec("[0-9a-f]{16}", 1..=DIGESTS).prop_flat_map(|digests| vec(table(digests), 0..=MAX_TABLES))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_run_within_the_limits_is_read_back_as_it_was(outputs in tables(), rows in any::<i64>(), attempt in 1..i32::MAX) {
        let wanted = RunReport { rows, attempt, ..report(outputs, Vec::new()) };
        let text = Report::Run(wanted.clone()).to_termination_message();
        prop_assert_eq!(read(&text), Report::Run(wanted));
    }

    #[test]
    fn any_failure_fits(reason in "\\PC{0,300}", message in "(?s).{0,6000}") {
        let failure = Report::Failure(FailureReport { reason: Reason::read(&reason), message });
        prop_assert!(matches!(read(&failure.to_termination_message()), Report::Failure(_)));
    }
}
