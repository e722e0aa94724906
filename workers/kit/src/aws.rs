//! What all workers share of AWS: region, endpoints, credentials chain, time-outs, retries, and what a service said. Resolves credentials over the network when used.
//!
//! The one place where the SDK is set up: every client of a worker is made of [`configuration`], and whoever needs to know
//! where a service is, such as the tables' object store, asks what that says. Partition, FIPS and dual-stack endpoints, a
//! proxy and certificates come by the environment; `docs/aws.md` has the names, `tests/endpoints.rs` the URLs.

use std::error::Error;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// The SDK's configuration for one region. Endpoints and credentials come by the SDK's standard environment, service
/// account or instance. One attempt has 10 s, one call with its retries 60 s: longer waits are the worker's own to show.
pub async fn configuration(region: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(4)
                .with_initial_backoff(Duration::from_millis(50))
                .with_max_backoff(Duration::from_secs(5)),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(3))
                .operation_attempt_timeout(Duration::from_secs(10))
                .operation_timeout(Duration::from_mins(1))
                .build(),
        )
        .load()
        .await
}

/// What an AWS service said; if it did not answer, the error and its causes, of which the error itself says only the
/// outermost.
pub fn said<E: Error + ProvideErrorMetadata>(error: &E) -> String {
    if let (Some(code), Some(message)) = (error.code(), error.message()) {
        return format!("{code}: {message}");
    }
    let mut parts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Wrappers often repeat what they wrap.
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        cause = error.source();
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    #[derive(Debug)]
    struct Failed {
        metadata: ErrorMetadata,
        cause: std::io::Error,
    }

    impl fmt::Display for Failed {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("dispatch failure")
        }
    }

    impl Error for Failed {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.cause)
        }
    }

    impl ProvideErrorMetadata for Failed {
        fn meta(&self) -> &ErrorMetadata {
            &self.metadata
        }
    }

    #[test]
    fn the_services_own_words_come_before_those_of_the_connection() {
        let failed = |metadata| Failed {
            metadata,
            cause: std::io::Error::other("connection refused"),
        };
        let answered = ErrorMetadata::builder().code("AccessDenied").message("no").build();
        assert_eq!(said(&failed(answered)), "AccessDenied: no");
        let unanswered = ErrorMetadata::builder().build();
        assert_eq!(said(&failed(unanswered)), "dispatch failure: connection refused");
    }
}
