//! Which functions there are. Touches no network.

/// A function: the worker that it is in the place of, the stage, and its program in that worker's crate.
pub struct Function {
    pub worker: &'static str,
    pub stage: &'static str,
    pub program: &'static str,
    /// Most bytes of its package.
    pub limit: u64,
}

pub const GATEWAY: Function = Function {
    worker: "gateway",
    stage: "ingest",
    program: "gateway-lambda",
    limit: 12_000_000,
};
