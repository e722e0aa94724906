//! Whether the operator's metrics also stand among its log lines, for CloudWatch. Writes to standard output.

use std::sync::Arc;

use medallion_crds::launch::environment;
use medallion_metrics::{Embedder, Emission};

use crate::admin::shown;
use crate::context::Context;

/// Begins to write them, if the environment says so. Of which pipeline and stage a figure is, its own labels say.
pub(crate) fn begin(context: Arc<Context>) -> Option<Emission> {
    let told = std::env::var(environment::EMBEDDED_METRICS).is_ok_and(|value| value == "true");
    told.then(|| Emission::begin(Embedder::new("operator", Vec::new()), move || shown(&context)))
}
