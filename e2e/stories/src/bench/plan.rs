//! The pipelines that the bench opens. Touches no network.

use anyhow::Result;

use crate::shop::Plan;

/// A pipeline of the bench's own, with fresh stores: they slow down as they fill.
pub fn plan(name: &str) -> Result<Plan> {
    let mut plan = Plan::named(name)?;
    plan.pipeline.metadata.namespace = Some(format!("bench-{name}"));
    Ok(plan)
}
