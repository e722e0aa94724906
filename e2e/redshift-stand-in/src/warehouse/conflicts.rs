//! Conflicts between transactions as Redshift finds them, by whole tables; touches no network.
//!
//! Two transactions that ran at the same time conflict when each must have come before the other: one has read a table
//! as it was before the other wrote it, and has written a table that the other had read or written. UPDATE, DELETE and
//! MERGE read what they write. Circles of more than two transactions are not looked for.

use std::collections::{BTreeSet, VecDeque};

/// So many committed transactions are remembered: more than ever run at the same time.
const REMEMBERED: usize = 1_000;

/// Which transactions one sees, in PostgreSQL's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Everything before this one has ended.
    first_running: u64,
    /// This one and all after it had not begun.
    first_to_come: u64,
    running: Vec<u64>,
}

/// What a transaction has done by the time it commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint {
    /// Its number; absent when it changed nothing.
    pub number: Option<u64>,
    pub snapshot: Snapshot,
    /// Tables, by their ids.
    pub read: BTreeSet<i64>,
    pub written: BTreeSet<i64>,
}

/// Two transactions that each had to come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    table: i64,
    transactions: [u64; 2],
}

/// What was committed, oldest first.
#[derive(Debug, Default)]
pub struct Committed(VecDeque<Footprint>);

impl Snapshot {
    /// Reads `first_running:first_to_come:running,running`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let first_running = parts.next()?.parse().ok()?;
        let first_to_come = parts.next()?.parse().ok()?;
        let running = parts.next()?.split(',').filter(|number| !number.is_empty());
        Some(Self {
            first_running,
            first_to_come,
            running: running.map(|number| number.parse().ok()).collect::<Option<_>>()?,
        })
    }

    fn sees(&self, committed: u64) -> bool {
        committed < self.first_running || (committed < self.first_to_come && !self.running.contains(&committed))
    }
}

impl Committed {
    /// Whether a transaction that is about to commit conflicts with one that did so since it began.
    pub fn violated_by(&self, own: &Footprint) -> Option<Violation> {
        self.0.iter().find_map(|other| {
            let number = other.number.filter(|number| !own.snapshot.sees(*number))?;
            let is_before = own.read.intersection(&other.written).next()?;
            let is_after = |theirs: &BTreeSet<i64>| !own.written.is_disjoint(theirs);
            (is_after(&other.read) || is_after(&other.written)).then(|| Violation {
                table: *is_before,
                transactions: [own.number.unwrap_or_default(), number],
            })
        })
    }

    pub fn add(&mut self, own: Footprint) {
        if own.number.is_none() || own.written.is_empty() {
            return;
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(own);
    }
}

impl Violation {
    /// As Redshift words it.
    pub fn described(&self, process_id: i64) -> String {
        let Self {
            table,
            transactions: [one, other],
        } = self;
        format!(
            "ERROR: 1023\n  Detail: Serializable isolation violation on table - {table}, transactions forming the cycle are: {one}, \
             {other} (pid:{process_id})"
        )
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn footprint(number: u64, snapshot: &str, read: &[i64], written: &[i64]) -> Footprint {
        Footprint {
            number: Some(number),
            snapshot: Snapshot::parse(snapshot).unwrap(),
            read: read.iter().copied().collect(),
            written: written.iter().copied().collect(),
        }
    }

    #[test]
    fn a_snapshot_sees_what_had_ended_when_it_was_taken() {
        let snapshot = Snapshot::parse("10:14:11,13").unwrap();
        let seen: Vec<u64> = (9..16).filter(|number| snapshot.sees(*number)).collect();
        assert_eq!(seen, [9, 10, 12]);
        assert!(Snapshot::parse("10:10:").unwrap().sees(9));
        assert_eq!(Snapshot::parse("none"), None);
    }

    const A: i64 = 1;
    const B: i64 = 2;

    #[rstest]
    #[case::each_reads_what_the_other_writes(&[A], &[B], &[B], &[A], true)]
    #[case::both_rewrite_one_table(&[A], &[A], &[A], &[A], true)]
    #[case::both_only_add_to_one_table(&[], &[A], &[], &[A], false)]
    #[case::one_reads_what_the_other_writes(&[A], &[B], &[], &[A], false)]
    #[case::tables_of_their_own(&[A], &[A], &[B], &[B], false)]
    #[case::one_only_reads(&[A, B], &[], &[A], &[A], false)]
    fn a_circle_is_a_violation_and_a_line_is_none(
        #[case] read: &[i64],
        #[case] written: &[i64],
        #[case] theirs_read: &[i64],
        #[case] theirs_written: &[i64],
        #[case] violated: bool,
    ) {
        let mut committed = Committed::default();
        committed.add(footprint(21, "20:20:", theirs_read, theirs_written));
        let meanwhile = footprint(22, "20:20:", read, written);
        assert_eq!(committed.violated_by(&meanwhile).is_some(), violated);
        let afterwards = footprint(22, "22:22:", read, written);
        assert_eq!(committed.violated_by(&afterwards), None);
    }

    #[test]
    fn a_violation_is_worded_as_redshift_does() {
        let mut committed = Committed::default();
        committed.add(footprint(21, "20:20:", &[A], &[A]));
        let violation = committed.violated_by(&footprint(22, "20:20:", &[A], &[A])).unwrap();
        assert_eq!(
            violation.described(7),
            "ERROR: 1023\n  Detail: Serializable isolation violation on table - 1, transactions forming the cycle are: 22, 21 (pid:7)"
        );
    }
}
