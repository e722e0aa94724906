//! A zip as Lambda takes it: the same files make the same bytes. No network.

use std::io::{Cursor, Write as _};

use anyhow::Context as _;
use medallion_crds::launch::MOUNTS_PATH;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// The best that there is: it is packed once, and loaded at each cold start.
const LEVEL: i64 = 9;

/// A file of a package.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct File {
    /// Its place in the package.
    pub name: String,
    pub content: Vec<u8>,
    pub is_program: bool,
}

/// Where in a package is what pods have mounted at this path.
pub(super) fn place(path: &str) -> &str {
    path.strip_prefix(MOUNTS_PATH).unwrap_or(path).trim_start_matches('/')
}

/// The bytes of a zip, without times and owners.
pub(super) fn zipped(files: &[File]) -> anyhow::Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        // Lambda runs it as another user than who made it.
        let mode = if file.is_program { 0o755 } else { 0o644 };
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(LEVEL))
            .last_modified_time(DateTime::default())
            .unix_permissions(mode);
        let place = || format!("packing {}", file.name);
        zip.start_file(file.name.as_str(), options).with_context(place)?;
        zip.write_all(&file.content).with_context(place)?;
    }
    Ok(zip.finish().context("packing")?.into_inner())
}
