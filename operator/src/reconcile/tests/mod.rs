//! Looks at pipelines against an API server in memory. No network.

mod apply;
mod attempt;
mod gather;
mod looks;
mod pass;
mod report;
mod world;
