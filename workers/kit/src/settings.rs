//! Reads and checks the settings file. No network.

use std::path::{Path, PathBuf};

use medallion_crds::Reason;
use medallion_crds::launch::{SETTINGS_PATH, Settings, environment};
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

use crate::error::WorkerError;
use crate::mend::faults_of;

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
    /// Fields are missing, unknown or have the wrong form.
    #[error("settings file: {0}")]
    Fields(Faults),
}

impl From<SettingsError> for WorkerError {
    fn from(error: SettingsError) -> Self {
        Self::settings(Reason::BadSettings, error.to_string())
    }
}

/// What is wrong with settings, field by field, so that all of it is named at once.
#[derive(Clone, Debug, Default, Eq, Error, PartialEq)]
#[error("{}", .0.join("; "))]
pub struct Faults(Vec<String>);

impl Faults {
    /// One field and what is wrong with it.
    pub fn add(&mut self, field: &str, problem: impl std::fmt::Display) {
        self.0.push(format!("field {field}: {problem}"));
    }

    /// The value, if it is at least 1 and fits; otherwise a fault, and 1 to go on with.
    pub fn positive<T: TryFrom<i64> + From<u8>>(&mut self, field: &str, value: i64) -> T {
        if value < 1 {
            self.add(field, "must be at least 1");
        } else if let Ok(value) = T::try_from(value) {
            return value;
        } else {
            self.add(field, "is too large");
        }
        T::from(1)
    }

    /// An error, if there is any fault.
    pub fn result(self) -> Result<(), WorkerError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(SettingsError::Fields(self).into())
        }
    }
}

/// The settings in a JSON text; an error names every field that is wrong.
pub fn parse<W: DeserializeOwned>(text: &str) -> Result<Settings<W>, SettingsError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|first| {
        let mut faults = Faults::default();
        if let Ok(document) = serde_json::from_str::<Value>(text) {
            for (field, problem) in faults_of::<Settings<W>>(document) {
                faults.add(&field, problem);
            }
        }
        if faults.0.is_empty() {
            faults.add(&first.path().to_string(), first.inner());
        }
        SettingsError::Fields(faults)
    })
}

/// What a worker works for, as far as its settings say: for people who read logs, whatever else is wrong with the settings.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Subject {
    /// Namespace of the Pipeline.
    pub namespace: Option<String>,
    /// Name of the Pipeline.
    pub pipeline: Option<String>,
    /// The stage.
    pub stage: Option<String>,
    /// Name of the `StageRun`.
    pub run: Option<String>,
    /// Its attempt.
    pub attempt: Option<i64>,
}

impl Subject {
    /// What a settings file says of it.
    pub fn of(text: &str) -> Self {
        let document: Value = serde_json::from_str(text).unwrap_or_default();
        let word = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        Self {
            namespace: word("/pipeline/namespace"),
            pipeline: word("/pipeline/name"),
            stage: word("/stage"),
            run: word("/worker/run/name"),
            attempt: document.pointer("/worker/run/attempt").and_then(Value::as_i64),
        }
    }
}

/// The text of the mounted file.
pub(crate) fn read() -> Result<String, SettingsError> {
    let path =
        std::env::var_os(environment::SETTINGS).map_or_else(|| Path::new(SETTINGS_PATH).to_path_buf(), PathBuf::from);
    std::fs::read_to_string(&path).map_err(|source| SettingsError::Read { path, source })
}

#[cfg(test)]
mod tests {
    use medallion_crds::launch::{LoaderSettings, ProvisionerSettings};

    use super::*;

    #[test]
    fn an_error_names_the_field() {
        let text = r#"{"pipeline": {"namespace": "shop", "name": "p", "uid": "u"}, "region": "eu-west-1",
            "worker": {"run": {"name": "r", "uid": "u", "attempt": "one"}}}"#;
        let error = parse::<LoaderSettings>(text).unwrap_err().to_string();
        assert!(error.contains("worker.run.attempt"), "{error}");
    }

    #[test]
    fn what_a_worker_works_for_is_known_as_far_as_it_is_said() {
        let text = r#"{"pipeline": {"namespace": "shop", "name": "p", "uid": 7}, "stage": "gold",
            "worker": {"run": {"name": "p-gold-3", "uid": "u", "attempt": 2}}}"#;
        let word = |text: &str| Some(text.to_owned());
        let mut subject = Subject {
            namespace: word("shop"),
            pipeline: word("p"),
            stage: word("gold"),
            run: word("p-gold-3"),
            attempt: Some(2),
        };
        assert_eq!(Subject::of(text), subject);
        (subject.stage, subject.run, subject.attempt) = (None, None, None);
        let text = r#"{"pipeline": {"namespace": "shop", "name": "p"}, "worker": {}}"#;
        assert_eq!(Subject::of(text), subject);
        assert_eq!(Subject::of("{"), Subject::default());
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let text = r#"{"pipeline": {"namespace": "shop", "name": "p", "uid": "u"}, "regoin": "eu-west-1"}"#;
        let error = parse::<LoaderSettings>(text).unwrap_err().to_string();
        assert!(error.contains("regoin"), "{error}");
    }

    #[test]
    fn every_bad_field_is_named_once() {
        let text = r#"{"pipeline": {"namespace": "shop", "uid": 7}, "regoin": "eu-west-1", "region": "eu-west-1",
            "worker": {"management": "Sometimes", "group": "g", "replicationFactor": 1, "partitions": "six", "table": "t",
                "contract": {"versions": [{"name": "v1", "schemaPath": "/s", "digest": "d"}], "key": "/k", "eventId": "/i", "eventTime": "/t"},
                "kafka": {"bootstrapServers": "kafka:9092", "topic": "t", "deadLetterTopic": "d"},
                "buckets": {"bronze": "b", "silver": 5, "gold": "g"}, "timeoutSeconds": 60}}"#;
        let error = parse::<ProvisionerSettings>(text).unwrap_err().to_string();
        let named: Vec<&str> = error
            .strip_prefix("settings file: ")
            .expect("a prefix")
            .split("; ")
            .map(|fault| {
                fault
                    .strip_prefix("field ")
                    .expect("a field")
                    .split(':')
                    .next()
                    .expect("a name")
            })
            .collect();
        let mut sorted = named.clone();
        sorted.sort_unstable();
        assert_eq!(
            sorted,
            [
                "pipeline.installation",
                "pipeline.name",
                "pipeline.uid",
                "regoin",
                "worker.buckets.silver",
                "worker.kafka.bootstrapServers",
                "worker.lake",
                "worker.management",
                "worker.partitions",
            ],
            "{error}"
        );
    }

    #[test]
    fn what_is_not_json_is_named_with_its_place() {
        let error = parse::<LoaderSettings>("{\"pipeline\": ").unwrap_err().to_string();
        assert!(error.contains("EOF") && error.contains("line 1"), "{error}");
    }

    #[test]
    fn bounds_are_named_together() {
        let mut faults = Faults::default();
        let (small, large): (usize, u8) = (faults.positive("worker.a", 0), faults.positive("worker.b", 300));
        assert_eq!((small, large, faults.positive::<usize>("worker.c", 9)), (1, 1, 9));
        let error = faults.result().expect_err("two faults").message;
        assert_eq!(
            error,
            "settings file: field worker.a: must be at least 1; field worker.b: is too large"
        );
        assert_eq!(Faults::default().result(), Ok(()));
    }
}
