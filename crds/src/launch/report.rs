//! What a Job leaves behind: its termination message, JSON of at most 4 KiB. No network.
//!
//! A run's report arrives whole: what does not fit as it is goes packed (see [`Report::to_termination_message`]), and reads
//! the same. A layer may have [`MAX_TABLES`] tables with names of [`MAX_NAME`] letters; that much always fits.

use serde::{Deserialize, Serialize};

pub use super::run_report::RunReport;
use super::{TERMINATION_BYTES, packed};
use crate::pipeline::{ContractVersionStatus, Dependency};
use crate::reason::Reason;
use crate::text::cut;

/// How long each message may be at first.
const MESSAGE_BYTES: usize = 1500;

/// The most tables that a layer publishes.
pub const MAX_TABLES: usize = 64;
/// The most lower-case letters, digits and underscores in the name of a table.
pub const MAX_NAME: usize = 63;

/// The termination message of a Job.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "type", try_from = "Message")]
pub enum Report {
    /// Of the dbt-runner and the loader.
    Run(RunReport),
    /// Of the provisioner.
    Provision(ProvisionReport),
    /// Of any worker that failed.
    Failure(FailureReport),
}

/// A report as it stands in a message.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", tag = "type")]
enum Message {
    Run(RunReport),
    Provision(ProvisionReport),
    Failure(FailureReport),
    /// A run's report that is too long as it is.
    Packed {
        run: String,
    },
}

impl TryFrom<Message> for Report {
    type Error = &'static str;

    fn try_from(message: Message) -> Result<Self, Self::Error> {
        match message {
            Message::Run(report) => Ok(Self::Run(report)),
            Message::Provision(report) => Ok(Self::Provision(report)),
            Message::Failure(report) => Ok(Self::Failure(report)),
            Message::Packed { run } => packed::unpack(&run)
                .map(Self::Run)
                .ok_or("a packed report that cannot be unpacked"),
        }
    }
}

/// What the provisioner found.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvisionReport {
    /// Each dependency and its state.
    pub dependencies: Vec<Dependency>,
    /// The valid versions of the contract, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contract_versions: Vec<ContractVersionStatus>,
}

/// Why a worker failed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureReport {
    /// CamelCase word for why: event reason, condition reason and metric label.
    pub reason: Reason,
    /// What, where and what to do; for dbt the node and its message.
    pub message: String,
}

impl Report {
    /// The JSON text of at most [`TERMINATION_BYTES`]: words are shortened, never what must be read back.
    ///
    /// A run's report that is too long is packed. Should even that be too long, it goes without what the run's spec says
    /// as well, then without the digests of dbt projects; tables and versions are never cut.
    pub fn to_termination_message(&self) -> String {
        match self {
            Self::Run(report) => run_message(report),
            Self::Provision(report) => provision_message(report),
            Self::Failure(report) => failure_message(&report.reason, &report.message),
        }
    }
}

/// The JSON text, if it fits.
fn fitting(report: &impl Serialize) -> Option<String> {
    let text = serde_json::to_string(report).ok()?;
    (text.len() <= TERMINATION_BYTES).then_some(text)
}

fn run_message(report: &RunReport) -> String {
    if let Some(text) = fitting(&Report::Run(report.clone())) {
        return text;
    }
    let mut report = report.clone();
    let without: [fn(&mut RunReport); 4] = [
        |_| {},
        |report| report.inputs.clear(),
        |report| report.outputs.iter_mut().for_each(|table| table.oldest_project = None),
        |report| report.outputs.iter_mut().for_each(|table| table.project = None),
    ];
    for leave_out in without {
        leave_out(&mut report);
        let packed = packed::pack(&report).map(|run| Message::Packed { run });
        if let Some(text) = packed.as_ref().and_then(fitting) {
            return text;
        }
    }
    // Beyond the limits that a project is held to before anything is built.
    let words = format!(
        "the report names {} tables and is too long; a layer may publish {MAX_TABLES} tables with names of {MAX_NAME} letters",
        report.outputs.len()
    );
    failure_message(&Reason::ReportLost, &words)
}

/// Words are shortened, then left out, then those alone stay that are not met, without the contract's versions, then their names are cut.
fn provision_message(report: &ProvisionReport) -> String {
    let whole = limits()
        .map(|limit| shortened(report, limit))
        .chain([without_words(report)]);
    let whole = whole.map(|dependencies| ProvisionReport {
        dependencies,
        contract_versions: report.contract_versions.clone(),
    });
    let mut ways = whole.chain(barest(report)).map(Report::Provision);
    if let Some(text) = ways.find_map(|way| fitting(&way)) {
        return text;
    }
    // Beyond anything that a pipeline can depend on.
    let unmet = report.dependencies.iter().filter(|found| !found.state.is_met());
    let names: Vec<&str> = unmet.map(|dependency| dependency.name.as_str()).collect();
    let words = format!(
        "{} dependencies are not as they must be: {}",
        names.len(),
        names.join(", ")
    );
    failure_message(&Reason::DependenciesMissing, &words)
}

/// Words about a met dependency are for the curious; the room belongs to the others.
fn shortened(report: &ProvisionReport, limit: usize) -> Vec<Dependency> {
    let mut dependencies = report.dependencies.clone();
    for dependency in &mut dependencies {
        let limit = if dependency.state.is_met() { limit / 4 } else { limit };
        dependency.message = dependency
            .message
            .take()
            .filter(|_| limit >= 16)
            .map(|text| cut(&text, limit));
    }
    dependencies
}

/// All dependencies, without a word about any.
fn without_words(report: &ProvisionReport) -> Vec<Dependency> {
    let all = report.dependencies.iter();
    all.map(|found| named(found, usize::MAX)).collect()
}

/// What remains to be said of very many dependencies that are not met, the fullest first. What is known of the contract stands
/// in the status from before.
fn barest(report: &ProvisionReport) -> impl Iterator<Item = ProvisionReport> {
    [usize::MAX, 128, 64, 32, 16, 8].into_iter().map(|limit| {
        let unmet = report.dependencies.iter().filter(|found| !found.state.is_met());
        ProvisionReport {
            dependencies: unmet.map(|found| named(found, limit)).collect(),
            contract_versions: Vec::new(),
        }
    })
}

fn named(dependency: &Dependency, limit: usize) -> Dependency {
    Dependency {
        name: cut(&dependency.name, limit),
        message: None,
        ..dependency.clone()
    }
}

fn failure_message(reason: &Reason, message: &str) -> String {
    let fit = limits().find_map(|limit| {
        fitting(&Report::Failure(FailureReport {
            reason: Reason::read(&cut(reason.as_str(), 128)),
            message: cut(message, limit * 2),
        }))
    });
    fit.unwrap_or_default()
}

/// How long a message may be, ever shorter.
fn limits() -> impl Iterator<Item = usize> {
    std::iter::successors(Some(MESSAGE_BYTES), |limit| (*limit > 8).then_some(limit / 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{DependencyKind, DependencyState};

    /// Sixty dependencies with names of this length and long words; every `step`-th is not met.
    fn sixty(length: usize, step: usize) -> Vec<Dependency> {
        (0..60)
            .map(|number| Dependency {
                kind: DependencyKind::WarehouseSchema,
                name: format!("{number:02}{}", "n".repeat(length - 2)),
                state: if number % step == 0 {
                    DependencyState::Missing
                } else {
                    DependencyState::Exists
                },
                message: Some("ä \"quoted\"\n".repeat(100)),
            })
            .collect()
    }

    fn contract_versions() -> Vec<ContractVersionStatus> {
        vec![ContractVersionStatus {
            name: "v".repeat(63),
            digest: "c".repeat(64),
        }]
    }

    fn read_back(dependencies: Vec<Dependency>) -> Vec<Dependency> {
        let report = Report::Provision(ProvisionReport {
            dependencies,
            contract_versions: contract_versions(),
        });
        let text = report.to_termination_message();
        assert!(text.len() <= TERMINATION_BYTES, "{} bytes", text.len());
        match serde_json::from_str(&text).expect("whole JSON") {
            Report::Provision(report) => {
                let met = report.dependencies.iter().any(|found| found.state.is_met());
                assert!(
                    report.contract_versions == contract_versions() || !met,
                    "left out only where all that is said is what is not met"
                );
                report.dependencies
            }
            other => panic!("{other:?}"),
        }
    }

    fn unmet(dependencies: &[Dependency]) -> Vec<&str> {
        let unmet = dependencies.iter().filter(|found| !found.state.is_met());
        unmet.map(|found| found.name.as_str()).collect()
    }

    #[test]
    fn what_is_not_met_keeps_its_name_however_much_there_is_to_say() {
        for (length, step) in [(10, 1), (60, 2), (60, 5), (250, 6)] {
            let dependencies = sixty(length, step);
            let read = read_back(dependencies.clone());
            assert_eq!(unmet(&read), unmet(&dependencies), "names of {length}, one in {step}");
        }
    }

    #[test]
    fn names_that_cannot_all_be_carried_are_cut_and_none_is_left_out() {
        let read = read_back(sixty(250, 1));
        assert_eq!(read.len(), 60);
        for (number, dependency) in read.iter().enumerate() {
            assert!(dependency.name.starts_with(&format!("{number:02}")), "{dependency:?}");
        }
    }

    #[test]
    fn words_about_what_is_met_are_carried_where_there_is_room() {
        let mut dependencies = sixty(20, 60);
        dependencies.truncate(8);
        for dependency in &mut dependencies {
            dependency.message = Some("it has 9 partitions, spec.kafka.partitions says 6".to_owned());
        }
        assert_eq!(read_back(dependencies.clone()), dependencies);
    }
}
