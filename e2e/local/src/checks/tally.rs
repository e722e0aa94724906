//! Counts what passed and what failed, from the closing lines that test programs print. Touches no network.

use std::cell::Cell;

use anyhow::Result;
use tokio::process::Command;

use crate::run;

/// Of one phase.
#[derive(Debug, Default)]
pub struct Tally {
    passed: Cell<u64>,
    failed: Cell<u64>,
}

impl Tally {
    /// Runs a program with its words on our own outputs and counts along.
    pub async fn count(&self, command: &Command) -> Result<()> {
        run::shown_lines(command, |line| self.read(line)).await
    }

    /// Counts what was not printed by a test program.
    pub fn add(&self, passed: u64, failed: u64) {
        self.passed.set(self.passed.get() + passed);
        self.failed.set(self.failed.get() + failed);
    }

    /// What has to be said in the end: a phase that counts nothing itself is one check, and one that failed has at
    /// least one failure (a program that crashed prints no closing line).
    pub fn close(&self, succeeded: bool) -> (u64, u64) {
        match (succeeded, self.passed.get(), self.failed.get()) {
            (true, 0, 0) => (1, 0),
            (true, passed, failed) => (passed, failed),
            (false, passed, failed) => (passed, failed.max(1)),
        }
    }

    /// Counts a line, if it is a closing one.
    pub fn read(&self, line: &str) {
        if let Some((passed, failed)) = closing(line) {
            self.add(passed, failed);
        }
    }
}

/// `test result: ok. 5 passed; 0 failed; ...` of libtest, `5 passed, 0 failed` of the stories.
fn closing(line: &str) -> Option<(u64, u64)> {
    let line = match line.split_once("test result: ") {
        Some((_, result)) => result.split_once(". ")?.1,
        None => line,
    };
    let (passed, rest) = line.split_once(" passed")?;
    let rest = rest.strip_prefix([';', ','])?;
    let (failed, _) = rest.trim_start().split_once(" failed")?;
    Some((passed.parse().ok()?, failed.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_known_and_others_are_not() {
        assert_eq!(
            closing("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s"),
            Some((12, 0))
        );
        assert_eq!(
            closing(
                "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s"
            ),
            Some((3, 2))
        );
        assert_eq!(closing("7 passed, 1 failed"), Some((7, 1)));
        for other in [
            "test a ... ok",
            "3 passed the door, 1 failed",
            "all passed, none failed",
            "",
        ] {
            assert_eq!(closing(other), None, "{other}");
        }
    }

    #[test]
    fn a_phase_counts_at_least_once() {
        assert_eq!(Tally::default().close(true), (1, 0));
        assert_eq!(Tally::default().close(false), (0, 1));
        let tally = Tally::default();
        tally.read("test result: ok. 12 passed; 0 failed; 0 ignored");
        tally.read("5 passed, 0 failed");
        assert_eq!(tally.close(true), (17, 0));
        assert_eq!(tally.close(false), (17, 1), "a crash has no closing line");
    }
}
