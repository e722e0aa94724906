//! Checks the event contract whole, before anything starts. Reads a mounted file, no network.

use medallion_contract::{Contract, ContractError};
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
    let error = match Contract::mounted(settings) {
        Ok(contract) => return (Finding::Exists, Some(contract)),
        Err(error) => error,
    };
    let finding = match error {
        ContractError::File { path, message } => Finding::Missing(format!(
            "cannot read {path}: {message}; check that the ConfigMap of spec.contract.versions[].schemaRef has this key"
        )),
        // The operator has not seen this text yet: once it has, another try judges it.
        ContractError::Changed { .. } => Finding::Unknown(error.to_string()),
        error => Finding::Differs(format!("{error}; a corrected contract is a new ConfigMap")),
    };
    (finding, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use medallion_crds::launch::{ContractVersionSettings, schema_digest};

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
                digest: schema_digest(schema.unwrap_or_default()),
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
    fn a_text_that_the_operator_has_not_seen_is_not_judged() {
        let (_folder, settings) = settings(Some(SCHEMA), "/sku");
        let other = SCHEMA.replace(r#""sku": {"type": "string"}"#, r#""sku": {"type": "integer"}"#);
        std::fs::write(settings.schema_path(), other).expect("written");
        let (Finding::Unknown(message), None) = check(&settings) else {
            panic!("it is another text");
        };
        assert!(message.contains("changed in place"), "{message}");
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
