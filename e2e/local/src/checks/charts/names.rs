//! Releases beside each other: no two of them make an object of the same name. Touches no network.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::helm::{Helm, Render, identity};
use super::limits;

/// Releases and namespaces, among them such as read alike when they are put together, and such as YAML reads as numbers.
const RELEASES: [(&str, &str); 8] = [
    ("medallion", "one"),
    ("medallion", "two"),
    ("other", "one"),
    ("a-b", "c"),
    ("a", "b-c"),
    ("a", "c"),
    ("medallion", "10045"),
    ("2024", "1e3"),
];

pub async fn check(helm: &Helm, operator: &Path) -> Result<()> {
    let mut seen = BTreeMap::new();
    for (release, namespace) in RELEASES {
        // All of them look after the same namespaces, which is theirs to sort out, but not by objects that overwrite each other.
        let render = Render {
            release,
            namespace,
            kinds: &[limits::POLICY],
            ..Render::new(
                operator,
                json!({
                    "watchNamespaces": ["shop", "007"],
                    "networkPolicies": {"enabled": true, "defaultDeny": true},
                    "metrics": {
                        "serviceMonitor": {"enabled": true},
                        "podMonitor": {"enabled": true},
                        "prometheusRule": {"enabled": true},
                    },
                }),
            )
        };
        for object in helm.objects(&render).await? {
            let identity = identity(&object);
            let (kind, place, name) = &identity;
            let labels = object["metadata"]["labels"].as_object();
            ensure!(
                labels.is_none_or(|labels| labels.values().all(Value::is_string)),
                "{kind} {name} has labels that are no texts: {labels:?}"
            );
            ensure!(
                place == namespace || (name.contains(release) && name.contains(namespace)),
                "{kind} {name} outside the release's namespace does not bear the names of release and namespace"
            );
            if let Some(other) = seen.insert(identity.clone(), (release, namespace)) {
                ensure!(
                    other == (release, namespace),
                    "{identity:?} is made by release {release} in {namespace} and by {} in {}",
                    other.0,
                    other.1
                );
            }
        }
    }
    Ok(())
}
