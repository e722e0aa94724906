//! The name of a pipeline in the cluster, as everything here is filed. No network.

use std::fmt;
use std::sync::Arc;

use kube::Resource;
use medallion_crds::labels;

/// Namespace and name of a Pipeline, which may not exist.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct PipelineKey {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

impl PipelineKey {
    /// The key of a pipeline.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// Where things of a namespace are filed that name no pipeline that can be read. No pipeline has it.
    pub fn of_none(namespace: &str) -> Self {
        Self::new(namespace, "")
    }

    /// The pipeline that an object's label names.
    pub fn by_label<K: Resource>(object: &K) -> Option<Self> {
        let metadata = object.meta();
        let name = metadata.labels.as_ref()?.get(labels::PIPELINE)?;
        Some(Self::new(metadata.namespace.as_ref()?, name))
    }
}

impl fmt::Display for PipelineKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}
