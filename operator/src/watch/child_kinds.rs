//! The kinds of children that pipelines have, one line each. Talks to the Kubernetes API.

use std::fmt::Debug;
use std::marker::PhantomData;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Resource;
use kube::api::{ApiResource, PartialObjectMeta};
use kube::runtime::watcher::watcher;
use serde::de::DeserializeOwned;

use crate::key::PipelineKey;
use crate::watch::follow::Filing;
use crate::watch::guard::Guarded;
use crate::watch::part::Part;
use crate::watch::room::StoredChild;
use crate::watch::slim::{self, Slim};
use crate::watch::start::{Start, ours};

/// A kind of child: what the API server calls it, and how it is watched.
pub(crate) struct Kind {
    pub name: &'static str,
    pub resource: fn() -> ApiResource,
    pub watch: fn(&Start),
}

/// Under this the index keeps whole objects beside the metadata that every child has.
const WHOLE: &str = "whole";

/// All kinds, in the order in which they are removed: pods first, then what they use.
pub(crate) static KINDS: [Kind; 5] = [
    Of::<Deployment>::whole(),
    Of::<PodDisruptionBudget>::metadata(),
    Of::<Service>::metadata(),
    Of::<ConfigMap>::metadata(),
    Of::<ServiceAccount>::metadata(),
];

/// The kind of that name.
pub(crate) fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// A kind by the type of its objects.
struct Of<K>(PhantomData<K>);

impl<K> Of<K>
where
    K: k8s_openapi::Resource
        + Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    /// A kind of which nothing but metadata is needed to know whether it stands.
    const fn metadata() -> Kind {
        Kind {
            name: K::KIND,
            resource: || ApiResource::erase::<K>(&()),
            watch: |start| {
                let filing = Filing {
                    kind: K::KIND,
                    put: |index, object: PartialObjectMeta<K>| {
                        index.put(K::KIND, PipelineKey::by_label(&object), slim::child(&object))
                    },
                    remove: |index, object| index.remove::<StoredChild>(K::KIND, object.meta()),
                    retain: |index, namespace, listed| index.retain::<StoredChild>(K::KIND, namespace, listed),
                };
                start.follow(watcher(start.api::<PartialObjectMeta<K>>(), ours()), filing);
            },
        }
    }

    /// A kind whose status is read too.
    const fn whole() -> Kind
    where
        K: Part + Slim,
    {
        Kind {
            name: K::KIND,
            resource: || ApiResource::erase::<K>(&()),
            watch: |start| {
                let filing = Filing {
                    kind: K::KIND,
                    put: |index, object: Guarded<K>| {
                        let home = PipelineKey::by_label(&object);
                        let mut news = index.put(K::KIND, home.clone(), slim::child(&object));
                        if let Ok(mut whole) = object.0 {
                            whole.slim();
                            news.extend(index.put(WHOLE, home, whole));
                        }
                        news
                    },
                    remove: |index, object| {
                        index.remove::<K>(WHOLE, object.meta());
                        index.remove::<StoredChild>(K::KIND, object.meta())
                    },
                    retain: |index, namespace, listed| {
                        index.retain::<K>(WHOLE, namespace, listed);
                        index.retain::<StoredChild>(K::KIND, namespace, listed)
                    },
                };
                start.follow(watcher(start.api::<Guarded<K>>(), ours()), filing);
            },
        }
    }
}
