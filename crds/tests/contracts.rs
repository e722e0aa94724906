//! The two contracts between operator and workers survive the way through JSON.

use medallion_crds::Reason;
use medallion_crds::launch::report::{FailureReport, ProvisionReport, Report, RunReport};
use medallion_crds::launch::{ExitCode, KafkaAuthenticationSettings, KafkaSettings, TERMINATION_BYTES};
use medallion_crds::pipeline::{ContractVersionStatus, Dependency, DependencyKind, DependencyState, ScramMechanism};
use medallion_crds::progress::Progress;
use medallion_crds::stage_run::OutputTable;

#[test]
fn a_termination_message_fits_and_stays_readable_whatever_it_has_to_say() {
    let dependencies = (0..12)
        .map(|number| Dependency {
            kind: DependencyKind::Topic,
            name: format!("Topic/{number}"),
            state: DependencyState::Missing,
            message: Some("é".repeat(2000)),
        })
        .collect();
    let report = Report::Provision(ProvisionReport {
        dependencies,
        contract_versions: vec![ContractVersionStatus {
            name: "v1".to_owned(),
            digest: "a".repeat(64),
        }],
    });
    let text = report.to_termination_message();
    assert!(text.len() <= TERMINATION_BYTES, "{} bytes", text.len());
    let Report::Provision(read) = serde_json::from_str(&text).unwrap() else {
        panic!("{text}")
    };
    assert_eq!(read.dependencies.len(), 12);

    let failure = Report::Failure(FailureReport {
        reason: Reason::DbtFailed,
        message: "\"\\\n".repeat(4000),
    });
    let text = failure.to_termination_message();
    assert!(text.len() <= TERMINATION_BYTES, "{} bytes", text.len());
    assert!(matches!(serde_json::from_str(&text).unwrap(), Report::Failure(read) if read.reason == Reason::DbtFailed));
}

/// A layer of many tables: what the next stage pins must arrive whole, or a committed run would count as lost.
#[test]
fn the_outputs_of_a_run_are_never_cut() {
    let tables = |layer: &str| {
        (0..60)
            .map(|number| OutputTable::new(format!("{layer}_table_of_the_shop_{number:03}"), 1_000_000))
            .collect::<Vec<_>>()
    };
    let report = Report::Run(RunReport {
        run_uid: "0f5b8f9e-6d1c-4b55-9f43-3a1f8f0f2f11".into(),
        attempt: 1,
        already_committed: false,
        inputs: tables("silver").iter().map(OutputTable::as_input).collect(),
        outputs: tables("gold"),
        rows: 7,
    });
    let text = report.to_termination_message();
    assert!(text.len() <= TERMINATION_BYTES, "{} bytes", text.len());
    let Report::Run(read) = serde_json::from_str(&text).unwrap() else {
        panic!("{text}")
    };
    assert_eq!(read.outputs, tables("gold"));
}

#[test]
fn exit_codes_are_read_as_they_are_written() {
    for code in [
        ExitCode::Done,
        ExitCode::Record,
        ExitCode::Environment,
        ExitCode::Fenced,
        ExitCode::LossRisk,
        ExitCode::Settings,
    ] {
        assert_eq!(ExitCode::from_code(i32::from(code.code())), Some(code));
    }
    assert_eq!(ExitCode::from_code(137), None);
}

/// What a worker does not know is absent, never zero.
#[test]
fn unknown_progress_stays_unknown() {
    let text = r#"{"identity": {"pipelineUid": "p", "podUid": "q", "stage": "persist", "settingsHash": "h"},
        "time": "2026-01-02T03:04:05Z"}"#;
    let progress: Progress = serde_json::from_str(text).unwrap();
    assert_eq!(progress.work.lag, None);
    let written = serde_json::to_string(&progress).unwrap();
    assert!(!written.contains("lag"), "{written}");
}

#[test]
fn how_to_prove_who_we_are_travels_as_paths_and_old_files_are_read() {
    let path = |file: &str| format!("/etc/medallion/kafka-credentials/{file}");
    for authentication in [
        KafkaAuthenticationSettings::None,
        KafkaAuthenticationSettings::MutualTls {
            certificate_path: path("tls.crt"),
            key_path: path("tls.key"),
        },
        KafkaAuthenticationSettings::Plain {
            username_path: path("username"),
            password_path: path("password"),
        },
        KafkaAuthenticationSettings::Scram {
            mechanism: ScramMechanism::Sha512,
            username_path: path("username"),
            password_path: path("password"),
        },
        KafkaAuthenticationSettings::MskIam {
            region: "eu-west-1".to_owned(),
        },
    ] {
        let settings = KafkaSettings {
            authentication,
            ..KafkaSettings::default()
        };
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(
            serde_json::from_str::<KafkaSettings>(&text).unwrap(),
            settings,
            "{text}"
        );
        assert_eq!(
            text.contains("authentication"),
            !settings.authentication.is_none(),
            "{text}"
        );
    }
    let unknown = r#"{"type": "Plain", "usernamePath": "a", "passwordPath": "b", "password": "c"}"#;
    serde_json::from_str::<KafkaAuthenticationSettings>(unknown).unwrap_err();
}
