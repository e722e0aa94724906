//! What users read: conditions, stages, events. No network.

mod bounded;
mod events;
mod health;
mod readiness;
mod stage;
pub(crate) mod status;
mod urgency;

pub use urgency::{Urgency, urgency};

use crate::model::pipeline::ValidatedPipeline;
use crate::model::wish::{StageWish, WorkWish};

/// The pipeline's stages that run as Jobs, in words: `silver, gold and warehouse`.
fn batch_stages(pipeline: &ValidatedPipeline) -> String {
    let batch = pipeline.stages.iter().filter(|wish| is_batch(wish));
    let names: Vec<_> = batch.map(|wish| wish.stage.as_str()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// Whether the stage runs as Jobs.
const fn is_batch(wish: &StageWish) -> bool {
    matches!(wish.work, WorkWish::Batch(_))
}
