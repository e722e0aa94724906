//! How many files and connections the process may have open. No network.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit to what the administrator allows; tells the limit that holds.
pub(crate) fn raise_limit() -> u64 {
    let limits = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard {
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        }
        Ok(hard)
    });
    limits.unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit of open files stays as it is");
        1024
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_may_have_as_many_files_as_is_allowed() {
        let limit = raise_limit();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!((soft, limit), (hard, hard));
    }
}
