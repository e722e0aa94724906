//! Names made of run, attempt and step: the same work has the same name after a crash. No network.

use medallion_crds::hex::hex;
use sha2::{Digest, Sha256};

use crate::identifier::{BadIdentifier, Identifier};

/// What every staging table's name begins with.
const STAGING: &str = "medallion_staging";

/// The names of one attempt of one run of one pipeline.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Names {
    pipeline: String,
    run_uid: String,
    attempt: i32,
}

impl Names {
    /// The names of an attempt.
    pub fn new(pipeline_uid: &str, run_uid: &str, attempt: i32) -> Self {
        Self {
            pipeline: digest(&[pipeline_uid])[..8].to_owned(),
            run_uid: run_uid.to_owned(),
            attempt,
        }
    }

    /// What the names of all statements of the run begin with, whatever the attempt.
    pub fn run_prefix(&self) -> String {
        format!("medallion/{}/", self.run_uid)
    }

    /// Name of a statement.
    pub fn statement(&self, step: &str) -> String {
        format!("{}{}/{step}", self.run_prefix(), self.attempt)
    }

    /// Token of a statement: the warehouse runs what has the same token once. 64 characters are its limit.
    pub fn token(&self, step: &str) -> String {
        digest(&[&self.statement(step)])
    }

    /// Whether a statement is of this attempt.
    pub fn is_own(&self, statement: &str) -> bool {
        statement.starts_with(&format!("{}{}/", self.run_prefix(), self.attempt))
    }

    /// Staging table of the n-th table of the run.
    pub fn staging(&self, table: usize) -> Result<Identifier, BadIdentifier> {
        Identifier::new(&format!("{}{table}", self.staging_prefix()))
    }

    /// Table into which one load of a staging table goes first.
    pub fn landing(staging: &Identifier, load: usize) -> Result<Identifier, BadIdentifier> {
        Identifier::new(&format!("{}_l{load}", staging.as_str()))
    }

    /// Which of the tables are staging tables of this pipeline that nobody will use any more once this attempt has
    /// published: its own, those of earlier attempts and of other runs.
    pub fn stale<'t>(&self, tables: impl IntoIterator<Item = &'t str>) -> Vec<Identifier> {
        let of_pipeline = format!("{STAGING}_{}_", self.pipeline);
        let of_run = format!("{of_pipeline}{}_", self.run());
        let newer_attempt = |table: &str| {
            let attempt = table.strip_prefix(&of_run).and_then(|rest| rest.split('_').next());
            attempt
                .and_then(|attempt| attempt.parse::<i32>().ok())
                .is_some_and(|attempt| attempt > self.attempt)
        };
        tables
            .into_iter()
            .filter(|table| table.starts_with(&of_pipeline) && !newer_attempt(table))
            .filter_map(|table| Identifier::new(table).ok())
            .collect()
    }

    /// Folder of the attempt under the layer's root.
    pub fn folder(&self) -> String {
        format!("_runs/{}/{}", self.run_uid, self.attempt)
    }

    fn run(&self) -> String {
        digest(&[&self.run_uid])[..12].to_owned()
    }

    fn staging_prefix(&self) -> String {
        format!("{STAGING}_{}_{}_{}_", self.pipeline, self.run(), self.attempt)
    }
}

/// A few letters that stand for some texts.
pub fn short_digest(texts: &[&str]) -> String {
    digest(texts)[..12].to_owned()
}

/// SHA-256 of some texts as one.
fn digest(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.as_bytes());
    }
    hex(&digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(run: &str, attempt: i32) -> Names {
        Names::new("pipeline", run, attempt)
    }

    #[test]
    fn the_same_step_of_the_same_attempt_has_the_same_names() {
        assert_eq!(names("run", 1).token("publish"), names("run", 1).token("publish"));
        for other in [names("run", 2), names("other", 1)] {
            assert_ne!(names("run", 1).token("publish"), other.token("publish"));
            assert_ne!(names("run", 1).staging(0), other.staging(0));
        }
        assert_eq!(names("run", 1).token("publish").len(), 64);
    }

    #[test]
    fn attempt_one_is_not_attempt_ten() {
        assert!(names("run", 1).is_own(&names("run", 1).statement("publish")));
        assert!(!names("run", 1).is_own(&names("run", 10).statement("publish")));
    }

    #[test]
    fn only_what_is_dead_is_stale() {
        let mine = names("run", 2);
        let table = |names: &Names| names.staging(0).expect("a name").as_str().to_owned();
        let tables = [
            table(&mine),
            table(&names("run", 1)),
            table(&names("older", 7)),
            table(&names("run", 3)),
            table(&Names::new("another pipeline", "run", 1)),
            "orders".to_owned(),
        ];
        let stale: Vec<String> = mine
            .stale(tables.iter().map(String::as_str))
            .iter()
            .map(|table| table.as_str().to_owned())
            .collect();
        assert_eq!(stale, tables[..3]);
    }

    #[test]
    fn the_longest_staging_name_is_still_a_name() {
        let staging = names("run", i32::MAX).staging(11).expect("a name");
        assert!(Names::landing(&staging, 9999).is_ok(), "{staging}");
    }
}
