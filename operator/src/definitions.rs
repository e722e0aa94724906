//! Whether the installed kinds are of the operator's own version: two charts carry them. Talks to the Kubernetes API.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PartialObjectMeta;
use kube::{Api, Client, ResourceExt};
use medallion_crds::labels;

use crate::api::call::call;

/// Names of the definitions.
const NAMES: [&str; 2] = ["pipelines.medallion.dev", "stageruns.medallion.dev"];

/// What does not fit, in words; empty if everything does. What cannot be looked at is named too, and is no reason to stop.
pub(crate) async fn misfits(client: &Client) -> Vec<String> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut misfits = Vec::new();
    for name in NAMES {
        let message = match call(|| format!("get {name}"), api.get_metadata_opt(name)).await {
            Ok(found) => misfit(name, found.as_ref(), env!("CARGO_PKG_VERSION")),
            Err(error) => Some(format!("the version of the kinds is not known: {error}")),
        };
        misfits.extend(message);
    }
    misfits
}

fn misfit(name: &str, found: Option<&PartialObjectMeta<CustomResourceDefinition>>, ours: &str) -> Option<String> {
    const FIX: &str = "install the chart medallion-crds of the operator's version";
    let Some(found) = found else {
        return Some(format!("{name} is not installed; {FIX}"));
    };
    match found.annotations().get(labels::VERSION) {
        Some(version) if version == ours => None,
        Some(version) => Some(format!("{name} is of version {version}, the operator of {ours}; {FIX}")),
        None => Some(format!(
            "{name} does not say its version, the operator is of {ours}; {FIX}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use kube::core::metadata::PartialObjectMetaExt;

    use super::*;

    fn of(version: Option<&str>) -> PartialObjectMeta<CustomResourceDefinition> {
        let annotations = version.map(|version| BTreeMap::from([(labels::VERSION.to_owned(), version.to_owned())]));
        ObjectMeta {
            annotations,
            ..ObjectMeta::default()
        }
        .into_request_partial()
    }

    #[test]
    fn another_version_or_none_is_named_with_the_fix() {
        let ask = |found: Option<&PartialObjectMeta<_>>| misfit("pipelines.medallion.dev", found, "0.2.0");
        assert_eq!(ask(Some(&of(Some("0.2.0")))), None);
        for (found, word) in [
            (Some(of(Some("0.1.0"))), "0.1.0"),
            (Some(of(None)), "does not say"),
            (None, "not installed"),
        ] {
            let message = ask(found.as_ref()).unwrap();
            assert!(
                message.contains(word) && message.contains("medallion-crds"),
                "{message}"
            );
        }
    }
}
