//! Reads the manifest that names the files of a COPY; touches no network.

use serde::Deserialize;

use crate::sql::copy::ObjectAddress;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Manifest {
    pub entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    pub url: String,
    /// Redshift's default; a missing file is then skipped in silence.
    #[serde(default)]
    pub mandatory: bool,
    pub meta: Option<Meta>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Meta {
    pub content_length: u64,
}

impl Entry {
    pub fn address(&self) -> Option<ObjectAddress> {
        ObjectAddress::parse(&self.url)
    }
}

pub fn parse(bytes: &[u8]) -> Result<Manifest, serde_json::Error> {
    serde_json::from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_not_mandatory_unless_it_is_said() {
        let manifest = parse(br#"{"entries": [{"url": "s3://b/1.parquet", "mandatory": true, "meta": {"content_length": 7}}, {"url": "s3://b/2.parquet"}]}"#).unwrap();
        assert!(manifest.entries[0].mandatory);
        assert_eq!(manifest.entries[0].meta, Some(Meta { content_length: 7 }));
        assert!(!manifest.entries[1].mandatory);
        assert_eq!(manifest.entries[1].meta, None);
    }

    #[test]
    fn a_manifest_without_entries_is_none() {
        assert!(parse(br#"{"files": []}"#).is_err());
    }
}
