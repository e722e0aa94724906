//! The table of kinds of run: one entry a kind, one file an entry. No network.

mod kind;
mod process;

use medallion_crds::StageRun;
use medallion_crds::stage_run::RunMode;

pub(crate) use kind::RunType;
pub(crate) use process::any as any_process;

/// The kinds of run.
pub(crate) static RUN_TYPES: &[RunType] = &[process::TYPE];

/// The kind of a run; `None` for one that this version does not know, or that is not to work.
pub(crate) fn of(run: &StageRun) -> Option<&'static RunType> {
    let mut known = RUN_TYPES.iter().filter(|_| run.spec.mode == RunMode::Apply);
    known.find(|entry| entry.kind == run.spec.kind)
}
