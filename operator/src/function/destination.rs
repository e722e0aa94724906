//! The file that a package is written to: in the place of an older package of the same function, never of anything else. No network; reads and writes files.

use std::fmt;
use std::fs::{self, File};
use std::io::{Cursor, Read, Seek};
use std::path::Path;

use anyhow::{Context as _, ensure};
use medallion_crds::Stage;
use medallion_crds::launch::SETTINGS_PATH;
use serde::Deserialize;
use zip::ZipArchive;

use super::archive::place;

/// Whose package a zip is, by the settings in it.
#[derive(Debug, Deserialize, Eq, PartialEq)]
struct Subject {
    stage: Stage,
    pipeline: Named,
}

#[derive(Debug, Deserialize, Eq, PartialEq)]
struct Named {
    namespace: String,
    name: String,
}

impl Subject {
    /// `None`: it is no package.
    fn of<R: Read + Seek>(zip: R) -> Option<Self> {
        let mut archive = ZipArchive::new(zip).ok()?;
        let settings = archive.by_name(place(SETTINGS_PATH)).ok()?;
        serde_json::from_reader(settings).ok()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stage,
            pipeline: Named { namespace, name },
        } = self;
        write!(formatter, "the package of stage {stage} of Pipeline {namespace}/{name}")
    }
}

/// Writes the package, unless that would take the place of something else.
pub(super) fn write(into: &Path, zip: &[u8]) -> anyhow::Result<()> {
    // What is no file, as /dev/stdout, has nothing to lose.
    if into.is_file() {
        let older = File::open(into).ok().and_then(Subject::of);
        let is_ours = older.is_some() && older == Subject::of(Cursor::new(zip));
        let what = older.map_or_else(|| "no function's package".to_owned(), |older| older.to_string());
        ensure!(
            is_ours,
            "{} is there already and is {what}: name another file by --into, or remove it",
            into.display()
        );
    }
    fs::write(into, zip).with_context(|| format!("writing {}", into.display()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::archive::{self, zipped};
    use super::*;

    fn package(stage: &str, name: &str, region: &str) -> Vec<u8> {
        let pipeline = json!({"installation": "here", "namespace": "shop", "name": name, "uid": ""});
        let settings = json!({"pipeline": pipeline, "stage": stage, "region": region, "worker": {}});
        let file = archive::File {
            name: place(SETTINGS_PATH).to_owned(),
            content: settings.to_string().into_bytes(),
            is_program: false,
        };
        zipped(&[file]).unwrap()
    }

    #[test]
    fn a_newer_package_takes_the_place_of_an_older_one_and_of_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("gateway.zip");
        let packages = ["eu-west-1", "eu-central-1"].map(|region| package("ingest", "orders", region));
        for zip in &packages {
            write(&into, zip).unwrap();
            assert_eq!(fs::read(&into).unwrap(), *zip);
        }
        for (other, words) in [
            (
                package("bronze", "orders", "eu-west-1"),
                "stage bronze of Pipeline shop/orders",
            ),
            (
                package("ingest", "returns", "eu-west-1"),
                "stage ingest of Pipeline shop/returns",
            ),
            (zipped(&[]).unwrap(), "no function's package"),
            (b"kind: Pipeline".to_vec(), "no function's package"),
            (Vec::new(), "no function's package"),
        ] {
            fs::write(&into, &other).unwrap();
            let refused = write(&into, &packages[0]).unwrap_err().to_string();
            assert!(refused.contains(words) && refused.contains("gateway.zip"), "{refused}");
            assert_eq!(fs::read(&into).unwrap(), other, "it is as it was");
        }
    }

    #[test]
    fn what_keeps_nothing_may_be_written_to() {
        write(Path::new("/dev/null"), &package("ingest", "orders", "eu-west-1")).unwrap();
        let refused = write(Path::new("/nonexistent/gateway.zip"), b"").unwrap_err();
        assert!(
            refused.to_string().contains("writing /nonexistent/gateway.zip"),
            "{refused}"
        );
    }
}
