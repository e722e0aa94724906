//! What a worker has as a function of AWS Lambda instead of a pod: a package in place of mounts, and a life between invocations. Reads files, and takes invocations from the Lambda runtime.

mod life;

pub use life::start;

use std::path::{Path, PathBuf};

use medallion_crds::Reason;
use medallion_crds::launch::{MOUNTS_PATH, SETTINGS_PATH, Settings};
use serde::de::DeserializeOwned;

use crate::error::WorkerError;
use crate::settings::{self, SettingsError};

/// What is fetched stands below this name in the folder for temporary files, the only one that a function may write to.
const FETCHED: &str = "medallion";

/// The folder of a function's program, with what else was packed, and a folder for what it fetches.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Package {
    folder: PathBuf,
    fetched: PathBuf,
}

impl Package {
    /// That of this process: the folder of its program.
    pub fn of_this_program() -> Result<Self, WorkerError> {
        let program = std::env::current_exe()
            .map_err(|error| WorkerError::settings(Reason::BadSettings, format!("where the package lies: {error}")))?;
        let folder = program.parent().unwrap_or(Path::new("/"));
        Ok(Self::at(folder, std::env::temp_dir().join(FETCHED)))
    }

    /// One whose files are in this folder, and what is fetched in that.
    pub fn at(folder: impl Into<PathBuf>, fetched: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            fetched: fetched.into(),
        }
    }

    /// Where a file is that pods have mounted at this path: packed, or else among what is fetched. Other paths are what they are.
    pub fn place(&self, path: &str) -> String {
        let Ok(name) = Path::new(path).strip_prefix(MOUNTS_PATH) else {
            return path.to_owned();
        };
        let packed = self.folder.join(name);
        let place = if packed.exists() {
            packed
        } else {
            self.fetched.join(name)
        };
        place.to_string_lossy().into_owned()
    }

    /// Where to put what pods have mounted at this path, once it is fetched; `None`: pods have nothing mounted there.
    pub fn fetched(&self, path: &str) -> Option<PathBuf> {
        let name = Path::new(path).strip_prefix(MOUNTS_PATH).ok()?;
        Some(self.fetched.join(name))
    }

    /// The packed settings.
    pub fn settings<W: DeserializeOwned>(&self) -> Result<Settings<W>, WorkerError> {
        let name = SETTINGS_PATH.trim_start_matches(MOUNTS_PATH).trim_start_matches('/');
        let path = self.folder.join(name);
        let text = std::fs::read_to_string(&path).map_err(|source| SettingsError::Read { path, source })?;
        Ok(settings::parse(&text)?)
    }
}

#[cfg(test)]
mod tests {
    use medallion_crds::launch::{CONTRACT_PATH, KAFKA_PASSWORD_PATH};

    use super::*;

    #[test]
    fn what_pods_have_mounted_is_packed_or_fetched() {
        let (folder, fetched) = (PathBuf::from("/nowhere/task"), PathBuf::from("/nowhere/tmp"));
        let package = Package::at(folder, fetched);
        assert_eq!(
            package.place(KAFKA_PASSWORD_PATH),
            "/nowhere/tmp/kafka-credentials/password"
        );
        assert_eq!(package.place("/elsewhere/schema.json"), "/elsewhere/schema.json");
        let here = tempfile::tempdir().expect("a folder");
        let schema = here.path().join("contract/schema.json");
        std::fs::create_dir_all(here.path().join("contract")).expect("a folder");
        std::fs::write(&schema, "{}").expect("written");
        let package = Package::at(here.path(), "/nowhere/tmp");
        assert_eq!(package.place(CONTRACT_PATH), schema.to_string_lossy());
    }

    #[test]
    fn settings_that_were_not_packed_are_missed_by_name() {
        let package = Package::at("/nowhere/task", "/nowhere/tmp");
        let error = package
            .settings::<medallion_crds::launch::GatewaySettings>()
            .expect_err("none");
        assert_eq!(error.reason, Reason::BadSettings);
        assert!(
            error.message.contains("/nowhere/task/settings/settings.json"),
            "{error}"
        );
    }
}
