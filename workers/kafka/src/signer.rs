//! Makes tokens from the process's own AWS credentials, whenever the client library asks for one. Resolves credentials over the network.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use medallion_crds::Reason;
use tokio::runtime::Handle;

use crate::diagnosis::Diagnosis;
use crate::token::{Token, signed};

/// A provider that has not answered by then is asked again by the library ten seconds later.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a pod comes by an AWS identity.
const GIVE_ROLE: &str =
    "name one in the Helm value workers.<worker>.serviceAccountAnnotations, or give it one by Pod Identity";

/// Where the time comes from; tests have their own.
pub type Clock = fn() -> SystemTime;

/// Makes tokens for SASL/OAUTHBEARER.
pub trait TokenSource: Send + Sync + 'static {
    /// A token that is good now. Blocks some seconds at most, so it is never called on a thread that serves tasks.
    fn token(&self) -> Result<Token, Diagnosis>;
}

/// Signs with the process's own AWS credentials.
struct IamTokens {
    provider: SharedCredentialsProvider,
    region: String,
    runtime: Handle,
    clock: Clock,
}

/// Tokens for the brokers of a region, signed with what the provider gives; it is asked on this runtime.
pub fn iam_tokens(provider: SharedCredentialsProvider, region: &str, clock: Clock) -> Arc<dyn TokenSource> {
    Arc::new(IamTokens {
        provider,
        region: region.to_owned(),
        runtime: Handle::current(),
        clock,
    })
}

impl TokenSource for IamTokens {
    fn token(&self) -> Result<Token, Diagnosis> {
        let (answer, answered) = sync_channel(1);
        let provider = self.provider.clone();
        self.runtime.spawn(async move {
            // Whoever asked may have given up.
            let _ = answer.send(provider.provide_credentials().await);
        });
        let late = || {
            Diagnosis::new(
                Reason::NoCredentials,
                format!(
                    "no AWS credentials for the brokers within {} s, trying again: if the worker's ServiceAccount has no IAM role, {GIVE_ROLE}",
                    PATIENCE.as_secs()
                ),
            )
        };
        let credentials = answered.recv_timeout(PATIENCE).map_err(|_| late())?;
        let credentials = credentials.map_err(|error| no_credentials(&error))?;
        signed(&credentials, &self.region, (self.clock)()).map_err(|error| {
            Diagnosis::new(
                Reason::NoCredentials,
                format!("the AWS credentials cannot sign a token for the brokers: {error}"),
            )
        })
    }
}

fn no_credentials(error: &CredentialsError) -> Diagnosis {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    match error {
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => Diagnosis::new(
            Reason::NoCredentials,
            format!(
                "no AWS credentials for the brokers ({words}): give the worker's ServiceAccount an IAM role: {GIVE_ROLE}"
            ),
        ),
        _ => Diagnosis::new(
            Reason::CredentialsRefused,
            format!(
                "AWS gives no credentials for the brokers ({words}): check the IAM role of the worker's ServiceAccount and whom it trusts"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::UNIX_EPOCH;

    use aws_credential_types::Credentials;
    use aws_credential_types::provider::future;

    use super::*;

    #[derive(Debug, Default)]
    struct Provider(Mutex<u32>);

    impl ProvideCredentials for Provider {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let mut calls = self.0.lock().expect("a count");
            *calls += 1;
            future::ProvideCredentials::ready(if *calls == 1 {
                Err(CredentialsError::not_loaded("no role"))
            } else {
                Ok(Credentials::new(format!("key-{calls}"), "secret", None, None, "test"))
            })
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_token_is_made_of_the_credentials_and_the_time_of_that_moment() {
        let provider = SharedCredentialsProvider::new(Provider::default());
        let clock = || UNIX_EPOCH + Duration::from_hours(1);
        let source = iam_tokens(provider, "eu-west-1", clock);
        tokio::task::spawn_blocking(move || {
            let none = source.token().err().expect("no credentials yet");
            assert_eq!(none.reason, Reason::NoCredentials);
            assert!(
                none.message.contains("no role") && none.message.contains("serviceAccountAnnotations"),
                "{none}"
            );
            let token = source.token().expect("a token");
            assert_eq!((token.principal.as_str(), token.expires_ms()), ("key-2", 4_500_000));
            assert_eq!(source.token().expect("another").principal, "key-3");
        })
        .await
        .expect("asked");
    }
}
