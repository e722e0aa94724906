//! Looks at pipelines against an API server in memory. No network.

mod apply;
mod attempt;
mod gather;
mod looks;
mod operator;
mod ownership;
mod pass;
mod refusals;
mod report;
mod world;
