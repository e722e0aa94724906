//! A run's report in few bytes: columns of what its tables have in common, deflated, in letters that JSON takes as they are. No network.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};

use super::run_report::RunReport;
use crate::stage_run::{OutputTable, TableVersion};

/// The most bytes that a packed report unpacks to; what is longer no worker has written.
const UNPACKED_BYTES: u64 = 256 * 1024;

/// A report by columns. The names are short because they are paid for.
#[derive(Deserialize, Serialize)]
struct Columns {
    #[serde(rename = "u")]
    run_uid: String,
    #[serde(rename = "a")]
    attempt: i32,
    #[serde(rename = "c")]
    already_committed: bool,
    #[serde(rename = "r")]
    rows: i64,
    #[serde(rename = "i")]
    inputs: Versions,
    #[serde(rename = "o")]
    outputs: Tables,
    /// Digests of dbt projects, each once: the tables of a layer have few.
    #[serde(rename = "d")]
    digests: Vec<String>,
}

/// Tables at versions by columns.
#[derive(Default, Deserialize, Serialize)]
struct Versions {
    #[serde(rename = "n")]
    names: Vec<String>,
    #[serde(rename = "v")]
    versions: Vec<i64>,
}

impl Versions {
    fn pack(list: &[TableVersion]) -> Self {
        let columns = list.iter().map(|entry| (entry.name.clone(), entry.version));
        let (names, versions) = columns.unzip();
        Self { names, versions }
    }

    fn unpack(self) -> Option<Vec<TableVersion>> {
        let fits = self.names.len() == self.versions.len();
        let rows = self.names.into_iter().zip(self.versions);
        fits.then(|| rows.map(|(name, version)| TableVersion { name, version }).collect())
    }
}

/// Tables by columns; digests by their place in the list.
#[derive(Default, Deserialize, Serialize)]
struct Tables {
    #[serde(rename = "n")]
    names: Vec<String>,
    #[serde(rename = "v")]
    versions: Vec<i64>,
    #[serde(rename = "p")]
    projects: Vec<Option<usize>>,
    #[serde(rename = "q")]
    oldest_projects: Vec<Option<usize>>,
}

impl Tables {
    fn pack(list: &[OutputTable], digests: &mut Vec<String>) -> Self {
        let mut place = |digest: Option<&String>| {
            let digest = digest?;
            let found = digests.iter().position(|known| known == digest);
            Some(found.unwrap_or_else(|| {
                digests.push(digest.clone());
                digests.len() - 1
            }))
        };
        let mut tables = Self::default();
        for entry in list {
            tables.names.push(entry.name.clone());
            tables.versions.push(entry.version);
            tables.projects.push(place(entry.project.as_ref()));
            tables.oldest_projects.push(place(entry.oldest_project.as_ref()));
        }
        tables
    }

    fn unpack(self, digests: &[String]) -> Option<Vec<OutputTable>> {
        let length = self.names.len();
        if [self.versions.len(), self.projects.len(), self.oldest_projects.len()] != [length; 3] {
            return None;
        }
        let digest = |place: Option<usize>| match place {
            None => Some(None),
            Some(place) => digests.get(place).cloned().map(Some),
        };
        let versions = self.versions.into_iter();
        let columns = versions.zip(self.projects).zip(self.oldest_projects);
        let rows = self.names.into_iter().zip(columns);
        rows.map(|(name, ((version, project), oldest_project))| {
            Some(OutputTable {
                project: digest(project)?,
                oldest_project: digest(oldest_project)?,
                ..OutputTable::new(name, version)
            })
        })
        .collect()
    }
}

/// The report in letters of which none needs an escape in JSON.
pub(super) fn pack(report: &RunReport) -> Option<String> {
    let mut digests = Vec::new();
    let inputs = Versions::pack(&report.inputs);
    let outputs = Tables::pack(&report.outputs, &mut digests);
    let columns = Columns {
        run_uid: report.run_uid.clone(),
        attempt: report.attempt,
        already_committed: report.already_committed,
        rows: report.rows,
        inputs,
        outputs,
        digests,
    };
    encode(&columns)
}

fn encode(columns: &Columns) -> Option<String> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&serde_json::to_vec(columns).ok()?).ok()?;
    Some(z85::encode(encoder.finish().ok()?))
}

/// What was packed.
pub(super) fn unpack(packed: &str) -> Option<RunReport> {
    let deflated = z85::decode(packed).ok()?;
    let mut text = Vec::new();
    DeflateDecoder::new(deflated.as_slice())
        .take(UNPACKED_BYTES)
        .read_to_end(&mut text)
        .ok()?;
    let columns: Columns = serde_json::from_slice(&text).ok()?;
    Some(RunReport {
        run_uid: columns.run_uid,
        attempt: columns.attempt,
        already_committed: columns.already_committed,
        rows: columns.rows,
        inputs: columns.inputs.unpack()?,
        outputs: columns.outputs.unpack(&columns.digests)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Columns {
        let names = || vec!["orders".to_owned(), "daily_sales".to_owned()];
        let inputs = Versions {
            names: names(),
            versions: vec![3, 4],
        };
        let outputs = Tables {
            names: names(),
            versions: vec![7, 9],
            projects: vec![Some(0), None],
            oldest_projects: vec![None, Some(1)],
        };
        Columns {
            run_uid: "a".to_owned(),
            attempt: 1,
            already_committed: false,
            rows: 3,
            inputs,
            outputs,
            digests: vec!["c0ffee".to_owned(), "0ddba11".to_owned()],
        }
    }

    fn unpacked(columns: &Columns) -> Option<RunReport> {
        unpack(&encode(columns).expect("packed"))
    }

    #[test]
    fn columns_that_do_not_fit_together_are_no_report() {
        let report = unpacked(&columns()).expect("a report");
        assert_eq!(report.outputs[1].oldest_project.as_deref(), Some("0ddba11"));
        let cases: [fn(&mut Columns); 8] = [
            |columns| columns.outputs.names.truncate(1),
            |columns| columns.outputs.versions.truncate(1),
            |columns| columns.outputs.projects.truncate(1),
            |columns| columns.outputs.oldest_projects.truncate(1),
            |columns| columns.inputs.versions.push(1),
            |columns| columns.inputs.names.push("more".to_owned()),
            |columns| columns.outputs.projects[0] = Some(2),
            |columns| columns.digests.truncate(1),
        ];
        for (number, damage) in cases.into_iter().enumerate() {
            let mut damaged = columns();
            damage(&mut damaged);
            assert_eq!(unpacked(&damaged), None, "damage {number}");
        }
    }

    #[test]
    fn what_unpacks_to_more_than_any_report_is_none() {
        let mut endless = columns();
        endless.outputs.names[0] = "a".repeat(300_000);
        assert_eq!(unpacked(&endless), None);
    }
}
