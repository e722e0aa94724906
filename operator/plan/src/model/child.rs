//! A desired child object, whatever its kind. No network.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;

use super::uses::uses;

/// A desired child, to be applied whole. The order of the variants is the order of application: what pods mount comes before the pods.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Child {
    /// Identity of pods.
    ServiceAccount(ServiceAccount),
    /// Settings.
    ConfigMap(ConfigMap),
    /// Where the gateway is reached.
    Service(Box<Service>),
    /// How many gateways may leave at once.
    PodDisruptionBudget(Box<PodDisruptionBudget>),
    /// A streaming worker.
    Deployment(Box<Deployment>),
}

impl Child {
    /// Kind, as in messages.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ServiceAccount(_) => "ServiceAccount",
            Self::ConfigMap(_) => "ConfigMap",
            Self::Service(_) => "Service",
            Self::PodDisruptionBudget(_) => "PodDisruptionBudget",
            Self::Deployment(_) => "Deployment",
        }
    }

    /// Metadata.
    pub const fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::ServiceAccount(object) => &object.metadata,
            Self::ConfigMap(object) => &object.metadata,
            Self::Service(object) => &object.metadata,
            Self::PodDisruptionBudget(object) => &object.metadata,
            Self::Deployment(object) => &object.metadata,
        }
    }

    /// Name.
    pub fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// Whether pods are made from it.
    pub const fn is_workload(&self) -> bool {
        matches!(self, Self::Deployment(_))
    }

    /// Whether its pods run as the account, or mount the `ConfigMap`, of that name.
    pub fn uses(&self, kind: &str, name: &str) -> bool {
        match self {
            Self::Deployment(object) => {
                let spec = object.spec.as_ref();
                spec.is_some_and(|spec| uses(&spec.template, kind, name))
            }
            _ => false,
        }
    }

    /// Whether it wants no pods: such a change is a pause.
    pub fn is_pause(&self) -> bool {
        match self {
            Self::Deployment(object) => object.spec.as_ref().and_then(|spec| spec.replicas) == Some(0),
            _ => false,
        }
    }
}
