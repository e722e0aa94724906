//! Decides what a run has to do, from what the logs say. No network.

use std::collections::{BTreeMap, BTreeSet};

use crate::position::{Position, Versions};

/// What the log of a published table says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TableState {
    /// Name of the table.
    pub name: String,
    /// The position of its last run; absent when there is no table, or none has committed yet.
    pub position: Option<Position>,
    /// The position before this run: another one only where an earlier attempt of the run has published the table.
    pub before: Option<Position>,
}

impl TableState {
    /// Whether the rows that stood before this run were made from its inputs. Where they were not, because there was no table,
    /// or it was made from others, as one that was taken over may be, nothing of them stays.
    pub fn goes_on(&self, inputs: &Versions) -> bool {
        let before = self.before.as_ref();
        before.is_some_and(|position| inputs.keys().any(|input| position.consumed(input).is_some()))
    }
}

/// What a run has to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Plan {
    /// Every table has consumed the inputs already.
    AlreadyCommitted,
    /// Work off a range.
    Process(Work),
}

/// The range of a run, and the tables that it is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Work {
    /// Per input where the tables stood before the run, each version once; `None`: at the beginning.
    pub bases: BTreeMap<String, BTreeSet<Option<u64>>>,
    /// Per input the version up to which to work.
    pub until: Versions,
    /// The tables to publish.
    pub publish: BTreeSet<String>,
}

impl Work {
    /// The version of an input after which the range begins: where the last of the tables stands. `None`: at the beginning.
    pub fn after(&self, input: &str) -> Option<u64> {
        self.bases.get(input)?.first().copied().flatten()
    }

    /// The range in words: `bronze after 2 up to 5`.
    pub fn range(&self) -> String {
        let of_one = |(input, until): (&String, &u64)| {
            let bases = self.bases.get(input).into_iter().flatten();
            let bases: Vec<_> = bases
                .map(|base| base.map_or_else(|| "nothing".to_owned(), |version| version.to_string()))
                .collect();
            format!("{input} after {} up to {until}", bases.join(" or "))
        };
        let all: Vec<_> = self.until.iter().map(of_one).collect();
        all.join(", ")
    }

    /// The tables to publish, in words.
    pub fn tables(&self) -> String {
        let all: Vec<_> = self.publish.iter().map(String::as_str).collect();
        all.join(", ")
    }

    /// Whether some table has to be given an input from its beginning.
    pub fn begins_afresh(&self) -> bool {
        self.bases.values().any(|bases| bases.contains(&None))
    }
}

/// Decides from the published tables of the layer and the run.
///
/// Tables of one layer can stand at different positions: an earlier run ended between two commits, or a model is new. The
/// range then begins where the last of them stands, and the others see changes again that they have seen before.
///
/// Tables that an earlier attempt of this very run has published are not published again, but they count for the range as
/// they stood before it: every attempt computes from the same.
pub fn decide(tables: &[TableState], run_uid: &str, inputs: &Versions) -> Plan {
    let covers = |table: &TableState| {
        let position = table.position.as_ref();
        position.is_some_and(|position| position.covers(inputs))
    };
    let behind: BTreeSet<String> = tables
        .iter()
        .filter(|table| !covers(table))
        .map(|table| table.name.clone())
        .collect();
    if behind.is_empty() {
        return Plan::AlreadyCommitted;
    }
    let by_this_run = |table: &TableState| {
        let position = table.position.as_ref();
        position.is_some_and(|position| position.run_uid == run_uid)
    };
    let taking_part: Vec<&TableState> = tables
        .iter()
        .filter(|table| behind.contains(&table.name) || by_this_run(table))
        .collect();
    let bases = inputs.keys().map(|input| {
        let bases = taking_part.iter().map(|table| table.before.as_ref()?.consumed(input));
        (input.clone(), bases.collect())
    });
    // A position never goes back, whatever an old run asks for.
    let until = inputs.iter().map(|(input, wanted)| {
        let consumed = tables
            .iter()
            .filter_map(|table| table.position.as_ref()?.consumed(input));
        (input.clone(), consumed.max().unwrap_or(0).max(*wanted))
    });
    Plan::Process(Work {
        bases: bases.collect(),
        until: until.collect(),
        publish: behind,
    })
}
