//! From what stands to what is wanted: gather, plan, apply, report, for one pipeline at a time and for many side by side. Talks to the Kubernetes API.

mod apply;
mod children;
pub(crate) mod dispatch;
mod gather;
mod pass;
mod queue;
mod report;
mod since;
#[cfg(test)]
mod tests;
mod unknown;
