//! Decides what a run has to do, from what the logs say. No network.

use std::collections::{BTreeMap, BTreeSet};

use crate::position::{Position, Versions};

/// What the log of a published table says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standing {
    /// Name of the table.
    pub name: String,
    /// The position of its last run; absent when there is no table, or none has committed yet.
    pub position: Option<Position>,
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
    /// Per input the version after which to begin; absent: from the beginning.
    pub after: BTreeMap<String, Option<u64>>,
    /// Per input the version up to which to work.
    pub until: Versions,
    /// The tables to publish.
    pub publish: BTreeSet<String>,
    /// Tables that an earlier attempt of this very run has published: they are read as they stood before it.
    pub published_before: BTreeSet<String>,
}

/// Decides from the published tables of the layer and the run.
///
/// Tables of one layer can stand at different positions: an earlier run ended between two commits, or a model is new. The
/// range then begins where the last of them stands, and the others see changes again that they have seen before.
pub fn decide(tables: &[Standing], run_uid: &str, inputs: &Versions) -> Plan {
    let behind: Vec<&Standing> = tables
        .iter()
        .filter(|table| !table.position.as_ref().is_some_and(|position| position.covers(inputs)))
        .collect();
    if behind.is_empty() {
        return Plan::AlreadyCommitted;
    }
    let consumed =
        |table: &&Standing, input: &str| table.position.as_ref().and_then(|position| position.consumed(input));
    let after = inputs.keys().map(|input| {
        let earliest = behind.iter().map(|table| consumed(table, input)).min().flatten();
        (input.clone(), earliest)
    });
    // A position never goes back, whatever an old run asks for.
    let until = inputs.iter().map(|(input, wanted)| {
        let furthest = tables
            .iter()
            .filter_map(|table| consumed(&table, input))
            .max()
            .unwrap_or(0);
        (input.clone(), furthest.max(*wanted))
    });
    let by_this_run = |table: &&Standing| {
        table
            .position
            .as_ref()
            .is_some_and(|position| position.run_uid == run_uid)
    };
    Plan::Process(Work {
        after: after.collect(),
        until: until.collect(),
        publish: behind.iter().map(|table| table.name.clone()).collect(),
        published_before: tables
            .iter()
            .filter(by_this_run)
            .map(|table| table.name.clone())
            .collect(),
    })
}
