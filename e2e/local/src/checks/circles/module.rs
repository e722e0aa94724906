//! A module as the check sees it: what it declares, imports and mentions. Touches no network.

use std::collections::BTreeSet;
use std::path::PathBuf;

/// Names with `::` between them.
pub type Names = Vec<String>;

/// One module of a crate.
#[derive(Debug, Default)]
pub struct Module {
    /// From the crate's root, which itself has none.
    pub path: Names,
    pub file: PathBuf,
    pub children: BTreeSet<String>,
    /// Items other than modules.
    pub declares: BTreeSet<String>,
    pub imports: Vec<Import>,
    /// Paths of two names and more, in code.
    pub mentions: Vec<Mention>,
}

/// One name that a `use` brings, or all of a module.
#[derive(Debug)]
pub struct Import {
    /// None: `*`.
    pub name: Option<String>,
    pub path: Names,
    /// `pub use`, however wide.
    pub re_exports: bool,
    pub line: usize,
}

#[derive(Debug)]
pub struct Mention {
    pub path: Names,
    pub line: usize,
}
