//! Decides which files stand behind the views that a layer's models read. No network.
//!
//! Of a source table `t`: `t_new` has the rows of files added since the last run, `t_touched` all rows of the partitions
//! that have changed since, `t_all` all rows. Of a published table `t` of the layer itself: `t_current` has the rows of the
//! partitions that this run rewrites, as they stand before it, `t_kept` all others.

use std::collections::BTreeMap;

use medallion_lake::{DataFile, PartitionValues};

use crate::error::RunError;
use crate::protocol::{Column, File, SourceName, TableModel, View};
use crate::touched::{Partitions, Touched, following};

/// Schema of the one view about the run itself, which the dbt process makes.
pub const CONTEXT_SCHEMA: &str = "run";

/// A source table, read up to the run's version of it.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// All columns.
    pub columns: Vec<Column>,
    /// Those that are not in the files.
    pub partition_by: Vec<String>,
    /// Files added in the run's range.
    pub added: Vec<DataFile>,
    /// All files.
    pub files: Vec<DataFile>,
    /// Partitions that differ at the range's ends.
    pub changed: Partitions,
}

/// A published table of the layer, as it stood before the run.
#[derive(Clone, Debug)]
pub struct Own {
    /// What its model declares.
    pub model: TableModel,
    /// All files that the run goes on from.
    pub files: Vec<DataFile>,
    /// What the run rewrites; absent as long as it has not been looked up.
    pub touched: Option<Touched>,
}

impl Own {
    /// A table of the layer, as far as it is known before the changed rows are looked up. `goes_on`: its rows were made from the
    /// run's inputs; otherwise the run knows nothing of them, and writes the table whole. `begins_afresh`: some table of the
    /// layer is given an input from its beginning. `changed`: partitions by input. `present`: files of the inputs.
    pub fn new(
        model: TableModel,
        files: Vec<DataFile>,
        (goes_on, begins_afresh): (bool, bool),
        changed: &BTreeMap<String, Partitions>,
        present: &[&[DataFile]],
    ) -> Result<Self, RunError> {
        if !goes_on {
            return Ok(Self {
                model,
                files: Vec::new(),
                touched: Some(Touched::Whole),
            });
        }
        let touched = if model.changes.is_some() {
            None
        } else if begins_afresh {
            // What it reads beside its inputs may be written whole.
            Some(Touched::Whole)
        } else {
            let present: Vec<&[DataFile]> = present.iter().copied().chain([files.as_slice()]).collect();
            Some(following(&model, changed, &present)?)
        };
        Ok(Self { model, files, touched })
    }
}

/// Which part of a table a view shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// Files added since the last run.
    New,
    /// Partitions changed since the last run.
    Touched,
    /// Everything.
    All,
    /// Partitions that this run rewrites.
    Current,
    /// All others.
    Kept,
}

impl Part {
    const INPUT: [(&'static str, Self); 3] = [("_new", Self::New), ("_touched", Self::Touched), ("_all", Self::All)];
    const OWN: [(&'static str, Self); 2] = [("_current", Self::Current), ("_kept", Self::Kept)];
}

/// Names of the layer and of the one before it, which are the schemas of the views.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'n> {
    /// Where the inputs come from.
    pub before: &'n str,
    /// The layer itself.
    pub own: &'n str,
}

impl Layers<'_> {
    /// The table and the part of it that a source's name asks for; `None` for what the dbt process makes itself.
    pub fn resolve<'s>(&self, source: &'s SourceName) -> Result<Option<(&'s str, Part)>, RunError> {
        if source.schema == CONTEXT_SCHEMA {
            return Ok(None);
        }
        let parts: &[(&str, Part)] = match source.schema.as_str() {
            schema if schema == self.before => &Part::INPUT,
            schema if schema == self.own => &Part::OWN,
            _ => &[],
        };
        let found = parts
            .iter()
            .find_map(|(suffix, part)| Some((source.name.strip_suffix(suffix)?, *part)));
        found.map(Some).ok_or_else(|| {
            RunError::Unfit(format!(
                "source {}.{} is nothing that the runner provides for {own}: there are {before}.<table>_new, _touched and \
                 _all, {own}.<table>_current and _kept, and run.context",
                source.schema,
                source.name,
                own = self.own,
                before = self.before,
            ))
        })
    }
}

/// The partitions through which changes of the inputs reach the layer: all, if an input without partitions has changed, or if
/// some table begins afresh and is therefore written whole.
fn reach(inputs: &BTreeMap<String, Input>, begins_afresh: bool) -> Touched {
    let changed: Partitions = inputs
        .values()
        .flat_map(|input| input.changed.iter().cloned())
        .collect();
    if begins_afresh || changed.iter().any(PartitionValues::is_empty) {
        Touched::Whole
    } else {
        Touched::Partitions(changed)
    }
}

/// The views that can be made by now: those of tables whose touched partitions are not known yet are left out.
pub fn views(
    sources: &[SourceName],
    layers: Layers<'_>,
    inputs: &BTreeMap<String, Input>,
    own: &BTreeMap<String, Own>,
    begins_afresh: bool,
) -> Result<Vec<View>, RunError> {
    let reach = reach(inputs, begins_afresh);
    let mut views = Vec::new();
    for source in sources {
        let Some((table, part)) = layers.resolve(source)? else {
            continue;
        };
        let made = match part {
            Part::New | Part::Touched | Part::All => Some(input_view(
                source,
                inputs.get(table).ok_or_else(|| unknown(source, "input of the run"))?,
                part,
                &reach,
            )),
            Part::Current | Part::Kept => own_view(
                source,
                own.get(table)
                    .ok_or_else(|| unknown(source, "published table of the layer"))?,
                part,
            ),
        };
        views.extend(made);
    }
    Ok(views)
}

fn unknown(source: &SourceName, what: &str) -> RunError {
    RunError::Unfit(format!(
        "source {}.{} does not begin with the name of an {what}",
        source.schema, source.name
    ))
}

fn input_view(source: &SourceName, input: &Input, part: Part, reach: &Touched) -> View {
    let files: Vec<File> = match part {
        Part::New => input.added.iter().map(File::from).collect(),
        // A table without partitions has no smaller part than all of it.
        Part::Touched if !input.partition_by.is_empty() => input
            .files
            .iter()
            .filter(|file| reach.covers(&file.partition))
            .map(File::from)
            .collect(),
        _ => input.files.iter().map(File::from).collect(),
    };
    view(source, &input.columns, &input.partition_by, files)
}

fn own_view(source: &SourceName, own: &Own, part: Part) -> Option<View> {
    let touched = own.touched.as_ref()?;
    let rewritten = part == Part::Current;
    let files = own
        .files
        .iter()
        .filter(|file| touched.covers(&file.partition) == rewritten)
        .map(File::from)
        .collect();
    Some(view(source, &own.model.columns, &own.model.partition_by, files))
}

fn view(source: &SourceName, columns: &[Column], partition_by: &[String], files: Vec<File>) -> View {
    View {
        schema: source.schema.clone(),
        name: source.name.clone(),
        columns: columns.to_vec(),
        partition_by: partition_by.to_vec(),
        files,
    }
}
