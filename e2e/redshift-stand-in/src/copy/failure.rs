//! Why a COPY fails, in the words and the shape of Redshift's messages; touches no network.

use thiserror::Error;

#[derive(Debug, Error)]
pub enum CopyError {
    /// PostgreSQL's own complaint, already worded.
    #[error("{0}")]
    Database(String),
    #[error("ERROR: column \"{column}\" of relation \"{table}\" does not exist")]
    UnknownColumn { table: String, column: String },
    #[error("ERROR: The specified S3 prefix '{key}' does not exist\n  Detail: \n{}", detail("The specified S3 prefix does not exist", 8001, key, *query_id, "s3_utility.cpp:649"))]
    NoManifest { key: String, query_id: i64 },
    #[error("ERROR: S3ServiceException: {problem}\n  Detail: \n{}", detail("S3ServiceException", 8001, problem, *query_id, "s3_utility.cpp:649"))]
    Storage { problem: String, query_id: i64 },
    #[error("ERROR: Manifest file is not in correct json format\n  Detail: \n{}", detail("Manifest file is not in correct json format", 8001, problem, *query_id, "s3_utility.cpp:353"))]
    BadManifest { problem: String, query_id: i64 },
    #[error("ERROR: File entry does not have 'meta' key.\n  Detail: \n{}", detail("File entry does not have 'meta' key.", 15_003, url, *query_id, "spectrum_manifest.cpp:204"))]
    NoContentLength { url: String, query_id: i64 },
    #[error("ERROR: Mandatory url is not present in S3\n  Detail: \n{}", detail("Mandatory url is not present in S3", 8001, url, *query_id, "s3_utility.cpp:353"))]
    MandatoryMissing { url: String, query_id: i64 },
    #[error("ERROR: No files found: every file that the manifest lists is missing\n  Detail: \n{}", detail("No files found", 8001, manifest, *query_id, "s3_utility.cpp:353"))]
    NoFiles { manifest: String, query_id: i64 },
    /// Everything that happens while a file is read.
    #[error("ERROR: Spectrum Scan Error\n  Detail: \n{}", detail("Spectrum Scan Error", *code, context, *query_id, "dory_util.cpp:1450"))]
    Scan { code: u32, context: String, query_id: i64 },
}

fn detail(error: &str, code: u32, context: &str, query_id: i64, location: &str) -> String {
    const LINE: &str = "  -----------------------------------------------";
    format!(
        "{LINE}\n  error:  {error}\n  code:      {code}\n  context:   {context}\n  query:     {query_id}\n  location:  {location}\n  process:   worker_thread\n{LINE}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_error_has_the_shape_that_people_search_for() {
        let error = CopyError::Scan {
            code: 15_007,
            context: "Unmatched number of columns".to_owned(),
            query_id: 7,
        };
        let text = error.to_string();
        assert!(text.starts_with("ERROR: Spectrum Scan Error\n"), "{text}");
        assert!(
            text.contains("code:      15007\n  context:   Unmatched number of columns\n  query:     7"),
            "{text}"
        );
    }
}
