//! Which functions there are. Touches no network.

/// A function: the worker that it is in the place of, the stage, and its program in that worker's crate.
pub struct Function {
    pub worker: &'static str,
    pub stage: &'static str,
    pub program: &'static str,
    /// With which features of that crate it is packed: what it is linked to must come along.
    pub features: &'static str,
    /// Most bytes of its package.
    pub limit: u64,
}

pub const GATEWAY: Function = Function {
    worker: "gateway",
    stage: "ingest",
    program: "gateway-lambda",
    features: "packaged",
    limit: 12_000_000,
};

pub const EXPORTER: Function = Function {
    worker: "exporter",
    stage: "bronze",
    program: "exporter-lambda",
    features: "",
    limit: 40_000_000,
};

/// All of them.
pub const FUNCTIONS: [&Function; 2] = [&GATEWAY, &EXPORTER];
