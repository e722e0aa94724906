//! Checks the event contract whole, before anything starts. Reads a mounted file, no network.

use medallion_contract::Contract;
use medallion_crds::launch::ContractSettings;
use medallion_crds::pipeline::ContractVersionStatus;

use crate::finding::Finding;

/// Name of the contract as a dependency: that of the version that admits new events.
pub fn name(settings: &ContractSettings) -> String {
    let version = settings.versions.last().map_or("", |version| &version.name);
    format!("Contract/{version}")
}

/// The valid versions by name and digest; none while the contract is not valid.
pub fn versions(settings: &ContractSettings, valid: Option<&Contract>) -> Vec<ContractVersionStatus> {
    let admitting = settings.versions.last().zip(valid);
    let named = admitting.map(|(version, contract)| ContractVersionStatus {
        name: version.name.clone(),
        digest: contract.digest().to_owned(),
    });
    named.into_iter().collect()
}

/// What the contract is like by itself, and the contract if it is valid.
pub fn check(settings: &ContractSettings) -> (Finding, Option<Contract>) {
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
    match Contract::compile(&text, &settings.into()) {
        Ok(contract) => (Finding::Exists, Some(contract)),
        Err(error) => (
            Finding::Differs(format!("{error}; a corrected contract is a new ConfigMap")),
            None,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medallion_crds::launch::ContractVersionSettings;

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
            event_version: None,
        };
        (folder, settings)
    }

    const SCHEMA: &str = r#"{"type": "object", "required": ["sku", "id", "at"], "properties": {
        "sku": {"type": "string"}, "id": {"type": "string"}, "at": {"type": "string", "format": "date-time"}}}"#;

    #[test]
    fn a_valid_contract_has_a_version() {
        let (_folder, settings) = settings(Some(SCHEMA), "/sku");
        let (finding, contract) = check(&settings);
        assert_eq!((name(&settings).as_str(), finding), ("Contract/v1", Finding::Exists));
        assert_eq!(contract.map(|contract| contract.digest().len()), Some(64));
    }

    #[test]
    fn a_pointer_that_leads_nowhere_is_said() {
        let (_folder, settings) = settings(Some(SCHEMA), "/article");
        let (Finding::Differs(message), None) = check(&settings) else {
            panic!("it is not valid");
        };
        assert!(message.contains("/article"), "{message}");
    }

    #[test]
    fn a_missing_file_names_where_it_should_come_from() {
        let (_folder, settings) = settings(None, "/sku");
        let (Finding::Missing(message), None) = check(&settings) else {
            panic!("it is not there");
        };
        assert!(message.contains("spec.contract.versions[].schemaRef"), "{message}");
    }
}
