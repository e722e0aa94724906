//! The AWS configuration all workers share: region, credentials chain, time-outs and retries. Resolves credentials over the network when used.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};

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
