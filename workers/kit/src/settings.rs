//! Reads and checks the settings file. No network.

use std::path::{Path, PathBuf};

use medallion_crds::launch::{SETTINGS_PATH, Settings, environment};
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::error::WorkerError;

/// Why the settings cannot be used.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The file is not there or not readable.
    #[error("cannot read the settings file {path}: {source}; the operator mounts it, or {variable} names another", variable = environment::SETTINGS)]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A field is missing, unknown or has the wrong form.
    #[error("settings file: field {field}: {message}")]
    Field {
        /// Path of the field, for example `worker.kafka.topic`.
        field: String,
        /// What is wrong with it.
        message: String,
    },
}

impl From<SettingsError> for WorkerError {
    fn from(error: SettingsError) -> Self {
        Self::settings("BadSettings", error.to_string())
    }
}

/// The settings in a JSON text; an error names the field.
pub fn parse<W: DeserializeOwned>(text: &str) -> Result<Settings<W>, SettingsError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| SettingsError::Field {
        field: error.path().to_string(),
        message: error.into_inner().to_string(),
    })
}

/// The settings from the mounted file.
pub(crate) fn load<W: DeserializeOwned>() -> Result<Settings<W>, SettingsError> {
    let path =
        std::env::var_os(environment::SETTINGS).map_or_else(|| Path::new(SETTINGS_PATH).to_path_buf(), PathBuf::from);
    let text = std::fs::read_to_string(&path).map_err(|source| SettingsError::Read { path, source })?;
    parse(&text)
}

#[cfg(test)]
mod tests {
    use medallion_crds::launch::LoaderSettings;

    use super::*;

    #[test]
    fn an_error_names_the_field() {
        let text = r#"{"pipeline": {"namespace": "shop", "name": "p", "uid": "u"}, "region": "eu-west-1",
            "worker": {"run": {"name": "r", "uid": "u", "attempt": "one"}}}"#;
        let error = parse::<LoaderSettings>(text).unwrap_err().to_string();
        assert!(error.contains("worker.run.attempt"), "{error}");
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let text = r#"{"pipeline": {"namespace": "shop", "name": "p", "uid": "u"}, "regoin": "eu-west-1"}"#;
        let error = parse::<LoaderSettings>(text).unwrap_err().to_string();
        assert!(error.contains("regoin"), "{error}");
    }
}
