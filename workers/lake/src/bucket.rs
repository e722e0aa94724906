//! One bucket's client, and the log library's engine on it. No network of its own.

use std::sync::Arc;

use delta_kernel_default_engine::DefaultEngine;
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use object_store::ObjectStore;

pub(crate) type Engine = DefaultEngine<TokioMultiThreadExecutor>;

/// One bucket's client, and the log library's engine on it.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) engine: Arc<Engine>,
}
