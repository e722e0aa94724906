//! Looks at pipelines against an API server in memory. No network.

mod apply;
mod attempt;
mod gather;
mod pass;
mod world;
