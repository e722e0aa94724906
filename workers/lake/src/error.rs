//! What can go wrong with a table, by what the caller must do about it. No network.

use std::error::Error;

use delta_kernel::KernelError;

/// Why the lake could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The object store did not answer as it should; trying again may help.
    #[error("object store: {what}: {}", told(source))]
    Store {
        /// What was being done, with the object's name.
        what: String,
        /// The store's own words.
        source: object_store::Error,
    },
    /// The table's log could not be read or written; trying again may help.
    #[error("table log: {what}: {}", told(&**source))]
    Log {
        /// What was being done, with the table's address.
        what: String,
        /// The log library's own words.
        source: Box<KernelError>,
    },
    /// A local file could not be read.
    #[error("local file {path}: {source}")]
    LocalFile {
        /// The file.
        path: String,
        /// The system's own words.
        source: std::io::Error,
    },
    /// There is no table at this address.
    #[error("no table at {0}: it must be created first")]
    NoTable(String),
    /// The table is not the one any more on which a commit was to build.
    #[error(
        "table {table} was deleted or made anew while it was being written to: its log has no entry {version} of ours any \
         more; open it again"
    )]
    TableReplaced {
        /// The table's address.
        table: String,
        /// The version on which the commit builds.
        version: u64,
    },
    /// The address cannot be used.
    #[error("bad table address {address}: {reason}")]
    BadAddress {
        /// The address as given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The existing table is laid out differently from what its writer expects.
    #[error("table {table} does not fit: {reason}")]
    TableDiffers {
        /// The table's address.
        table: String,
        /// Which column or partitioning differs, and how.
        reason: String,
    },
    /// A file does not fit the table; committing it would break every reader.
    #[error("file {file} does not fit the table: {reason}")]
    FileDiffers {
        /// The file's name under the table's root.
        file: String,
        /// Which column differs, and how.
        reason: String,
    },
    /// A file that a commit wants to add is not in the store, or has another size.
    #[error("file {file} cannot be committed: {reason}")]
    MissingFile {
        /// The file's name under the table's root.
        file: String,
        /// What was found instead.
        reason: String,
    },
    /// An object of this name, but of other content, exists already.
    #[error("file {0} exists already with other content: file names must never be used twice")]
    FileExists(String),
    /// The change contradicts itself.
    #[error("bad change: {0}")]
    BadChange(String),
    /// Parquet or Arrow data that cannot be encoded or decoded.
    #[error("parquet file {file}: {reason}")]
    Parquet {
        /// The file's name.
        file: String,
        /// The library's own words.
        reason: String,
    },
    /// The log entries for the asked range have been cleaned up.
    #[error("log entry {version} of {table} is gone: read the whole snapshot instead of the changes")]
    LogGone {
        /// The table's address.
        table: String,
        /// The first entry that is missing.
        version: u64,
    },
    /// The table uses something that these writers never write.
    #[error("table {table} uses {feature}, which is not supported")]
    Unsupported {
        /// The table's address.
        table: String,
        /// The feature.
        feature: String,
    },
    /// The table is another's, and not to be taken over.
    #[error("{}", refusal(table, owner.as_deref(), own))]
    OwnedByAnother {
        /// The table's address.
        table: String,
        /// Who owns it; absent when it names nobody.
        owner: Option<String>,
        /// For whom it was to be written.
        own: String,
    },
    /// A task of the lake ended without an answer.
    #[error("internal: {0}")]
    Internal(String),
}

impl LakeError {
    /// Whether the same call may succeed later without anybody changing the data or the program.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Store { .. } | Self::Log { .. } | Self::LocalFile { .. } | Self::Internal(_)
        )
    }

    pub(crate) fn store(what: impl Into<String>) -> impl FnOnce(object_store::Error) -> Self {
        let what = what.into();
        move |source| Self::Store { what, source }
    }

    pub(crate) fn log(what: impl Into<String>) -> impl FnOnce(KernelError) -> Self {
        let what = what.into();
        move |source| Self::Log {
            what,
            source: Box::new(source),
        }
    }
}

/// An error and its causes, as far as it does not say them itself: what is wrong with a connection, such as a certificate that
/// is not trusted, the store's own words leave out.
fn told(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.contains(&text) {
            told.push_str(": ");
            told.push_str(&text);
        }
        cause = error.source();
    }
    told
}

/// Who owns it and how to go on, for a refusal.
fn refusal(table: &str, owner: Option<&str>, own: &str) -> String {
    match owner {
        Some(owner) => format!(
            "table {table} belongs to {owner}, not to {own}; nothing was written to it. Name another bucket or table, or, \
             if it is to change hands, stop that pipeline and annotate this one with medallion.dev/adopt: {owner}"
        ),
        None => format!(
            "table {table} was made by something else than a pipeline, nothing was written to it. Name another bucket or \
             table, or move it away, or, if {own} is to take it over, annotate the pipeline with medallion.dev/adopt: \
             {table}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says nothing of its cause.
    #[derive(Debug, thiserror::Error)]
    #[error("error sending request")]
    struct Unsent(#[source] std::io::Error);

    #[test]
    fn what_lies_below_a_failed_request_is_said_once() {
        let cause = std::io::Error::other("invalid peer certificate");
        let source = object_store::Error::Generic {
            store: "S3",
            source: Box::new(Unsent(cause)),
        };
        let error = LakeError::store("list s3://gold")(source);
        assert_eq!(
            error.to_string(),
            "object store: list s3://gold: Generic S3 error: error sending request: invalid peer certificate"
        );
    }

    #[test]
    fn a_refusal_names_the_owner_and_the_way_on() {
        let words = refusal("s3://silver/orders", Some("a/shop/old"), "a/shop/orders");
        assert!(words.contains("belongs to a/shop/old"), "{words}");
        assert!(words.contains("medallion.dev/adopt: a/shop/old"), "{words}");
        let words = refusal("s3://silver/orders", None, "a/shop/orders");
        assert!(words.contains("medallion.dev/adopt: s3://silver/orders"), "{words}");
    }
}
