//! Checks the event contract whole, before anything starts. Reads a mounted file, no network.

use std::path::Path;

use medallion_contract::{Contract, Pointers};
use medallion_crds::launch::ContractSettings;
use medallion_crds::pipeline::{Dependency, DependencyKind};

use crate::finding::Finding;

/// What the contract is like, and its version if it is valid.
pub fn check(settings: &ContractSettings) -> (Dependency, Option<String>) {
    let path = Path::new(settings.schema_path());
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let (finding, version) = compile(settings);
    (
        finding.of(DependencyKind::Contract, format!("Contract/{file}")),
        version,
    )
}

fn compile(settings: &ContractSettings) -> (Finding, Option<String>) {
    let text = match std::fs::read_to_string(settings.schema_path()) {
        Ok(text) => text,
        Err(error) => {
            let message = format!(
                "cannot read {}: {error}; check that the ConfigMap of spec.contract.versions[].schemaRef has this key",
                settings.schema_path()
            );
            return (Finding::Missing(message), None);
        }
    };
    let pointers = Pointers {
        key: &settings.key,
        event_id: &settings.event_id,
        event_time: &settings.event_time,
        version: settings.version.as_deref(),
    };
    match Contract::compile(&text, &pointers) {
        Ok(contract) => (Finding::Exists, Some(contract.version().to_owned())),
        Err(error) => (
            Finding::Differs(format!("{error}; a corrected contract is a new ConfigMap")),
            None,
        ),
    }
}

#[cfg(test)]
mod tests {
    use medallion_crds::launch::ContractVersionSettings;
    use medallion_crds::pipeline::DependencyState;

    use super::*;

    fn settings(schema: Option<&str>, key: &str) -> (tempfile::TempDir, ContractSettings) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("schema.json");
        if let Some(schema) = schema {
            std::fs::write(&path, schema).expect("written");
        }
        let settings = ContractSettings {
            versions: vec![ContractVersionSettings {
                name: "v1".to_owned(),
                schema_path: path.to_string_lossy().into_owned(),
            }],
            key: key.to_owned(),
            event_id: "/id".to_owned(),
            event_time: "/at".to_owned(),
            version: None,
        };
        (folder, settings)
    }

    const SCHEMA: &str = r#"{"type": "object", "required": ["sku", "id", "at"], "properties": {
        "sku": {"type": "string"}, "id": {"type": "string"}, "at": {"type": "string", "format": "date-time"}}}"#;

    #[test]
    fn a_valid_contract_has_a_version() {
        let (_folder, settings) = settings(Some(SCHEMA), "/sku");
        let (dependency, version) = check(&settings);
        assert_eq!(
            (dependency.name.as_str(), dependency.state),
            ("Contract/schema.json", DependencyState::Exists)
        );
        assert_eq!(version.map(|version| version.len()), Some(64));
    }

    #[test]
    fn a_pointer_that_leads_nowhere_is_said() {
        let (_folder, settings) = settings(Some(SCHEMA), "/article");
        let (dependency, version) = check(&settings);
        assert_eq!((dependency.state, version), (DependencyState::Differs, None));
        assert!(dependency.message.is_some_and(|message| message.contains("/article")));
    }

    #[test]
    fn a_missing_file_names_where_it_should_come_from() {
        let (_folder, settings) = settings(None, "/sku");
        let (dependency, _) = check(&settings);
        assert_eq!(dependency.state, DependencyState::Missing);
        assert!(
            dependency
                .message
                .is_some_and(|message| message.contains("spec.contract.versions[].schemaRef"))
        );
    }
}
