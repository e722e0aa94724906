//! What a Job leaves behind: its termination message, JSON of at most 4 KiB. No network.

use std::iter;

use serde::{Deserialize, Serialize};

use super::TERMINATION_BYTES;
use crate::pipeline::Dependency;
use crate::reason::Reason;
use crate::stage_run::TableVersion;
use crate::text::cut;

/// How long each message may be at first.
const MESSAGE_BYTES: usize = 1500;

/// The termination message of a Job.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Report {
    /// Of the dbt-runner and the loader.
    Run(RunReport),
    /// Of the provisioner.
    Provision(ProvisionReport),
    /// Of any worker that failed.
    Failure(FailureReport),
}

/// A run that ended well: the evidence of what stands committed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// UID of the `StageRun`.
    pub run_uid: String,
    /// The attempt that wrote this.
    pub attempt: i32,
    /// true: everything stood committed before this attempt did anything.
    pub already_committed: bool,
    /// What the layer has consumed now; left out when there is no room for it, because the run's spec says the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<TableVersion>,
    /// All tables of the layer at their versions (for the warehouse: each table at the Gold version it holds).
    pub outputs: Vec<TableVersion>,
    /// Rows written by the run.
    pub rows: i64,
}

/// What the provisioner found.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvisionReport {
    /// Each dependency and its state.
    pub dependencies: Vec<Dependency>,
    /// Version of the contract; absent when the contract is not valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_version: Option<String>,
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
    /// The JSON text, cut to what a termination message may hold: words are shortened or left out, never what must be
    /// read back. Always whole JSON.
    pub fn to_termination_message(&self) -> String {
        let limits = iter::successors(Some(MESSAGE_BYTES), |limit| (*limit >= 32).then_some(limit / 2));
        let ways = limits.map(|limit| self.shortened(limit)).chain(self.barest());
        let mut text = String::new();
        for way in ways {
            text = serde_json::to_string(&way).unwrap_or_default();
            if text.len() <= TERMINATION_BYTES {
                break;
            }
        }
        text
    }

    fn shortened(&self, limit: usize) -> Self {
        match self.clone() {
            Self::Run(mut report) => {
                if limit < MESSAGE_BYTES {
                    report.inputs.clear();
                }
                Self::Run(report)
            }
            Self::Provision(mut report) => {
                for dependency in &mut report.dependencies {
                    // Words about a met dependency are for the curious; the room belongs to the others.
                    let limit = if dependency.state.is_met() { limit / 4 } else { limit };
                    dependency.message = dependency
                        .message
                        .take()
                        .filter(|_| limit >= 16)
                        .map(|text| cut(&text, limit));
                }
                Self::Provision(report)
            }
            Self::Failure(report) => Self::Failure(FailureReport {
                reason: cut(report.reason.as_str(), 128).into(),
                message: cut(&report.message, limit.max(64) * 2),
            }),
        }
    }

    /// What remains to be said of very many dependencies, the fullest first: no words, then those alone that are not met,
    /// then their names cut.
    fn barest(&self) -> Vec<Self> {
        let Self::Provision(report) = self else {
            return Vec::new();
        };
        let with = |dependencies: Vec<Dependency>| {
            Self::Provision(ProvisionReport {
                dependencies,
                contract_version: report.contract_version.clone(),
            })
        };
        let named = |dependency: &Dependency, limit: usize| Dependency {
            name: cut(&dependency.name, limit),
            message: None,
            ..dependency.clone()
        };
        let all = report.dependencies.iter();
        let unmet: Vec<&Dependency> = all.clone().filter(|found| !found.state.is_met()).collect();
        let mut ways = vec![with(all.map(|found| named(found, usize::MAX)).collect())];
        for limit in [usize::MAX, 128, 64, 32, 16, 8] {
            ways.push(with(unmet.iter().map(|found| named(found, limit)).collect()));
        }
        ways
    }
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

    fn read_back(dependencies: Vec<Dependency>) -> Vec<Dependency> {
        let report = Report::Provision(ProvisionReport {
            dependencies,
            contract_version: Some("c".repeat(64)),
        });
        let text = report.to_termination_message();
        assert!(text.len() <= TERMINATION_BYTES, "{} bytes", text.len());
        match serde_json::from_str(&text).expect("whole JSON") {
            Report::Provision(report) => {
                assert_eq!(report.contract_version, Some("c".repeat(64)));
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
