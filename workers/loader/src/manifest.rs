//! The manifest of a COPY: exactly these files, none may be missing, each of exactly this size. No network.

use serde::Serialize;

use crate::layout::GoldFile;

#[derive(Serialize)]
struct Manifest<'f> {
    entries: Vec<Entry<'f>>,
}

#[derive(Serialize)]
struct Entry<'f> {
    url: &'f str,
    mandatory: bool,
    meta: Meta,
}

#[derive(Serialize)]
struct Meta {
    content_length: u64,
}

/// The manifest's JSON text.
pub fn text(files: &[GoldFile]) -> Result<String, serde_json::Error> {
    let entries = files.iter().map(|gold| Entry {
        url: &gold.file.url,
        // Left out, a missing file would be skipped without a word.
        mandatory: true,
        meta: Meta {
            content_length: gold.file.size,
        },
    });
    serde_json::to_string(&Manifest {
        entries: entries.collect(),
    })
}

#[cfg(test)]
mod tests {
    use medallion_lake::{DataFile, PartitionValues};

    use super::*;
    use crate::layout::Footer;

    #[test]
    fn every_file_is_mandatory_and_has_its_length() {
        let file = DataFile {
            name: "a.parquet".to_owned(),
            url: "s3://gold/orders/a.parquet".to_owned(),
            size: 1234,
            rows: None,
            partition: PartitionValues::new(),
        };
        let text = text(&[GoldFile {
            file,
            footer: Footer::default(),
        }])
        .expect("json");
        assert_eq!(
            text,
            r#"{"entries":[{"url":"s3://gold/orders/a.parquet","mandatory":true,"meta":{"content_length":1234}}]}"#
        );
    }
}
