//! Hands the AWS SDK's credentials to the object store client and renews them in time. Resolves credentials over the network when used.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;

/// Credentials are renewed this long before they end, so that a slow upload still carries valid ones.
const RENEW_BEFORE: Duration = Duration::from_mins(5);

/// Asks the SDK's provider chain (environment, Pod Identity, IRSA, instance) and keeps the answer until shortly before
/// it expires.
#[derive(Debug)]
pub(crate) struct SdkCredentials {
    provider: SharedCredentialsProvider,
    current: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    credential: Arc<AwsCredential>,
    renew_at: Option<SystemTime>,
}

impl SdkCredentials {
    pub(crate) fn new(provider: SharedCredentialsProvider) -> Self {
        Self {
            provider,
            current: Mutex::new(None),
        }
    }
}

#[async_trait]
impl CredentialProvider for SdkCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut current = self.current.lock().await;
        if let Some(held) = current.as_ref()
            && held.renew_at.is_none_or(|renew_at| SystemTime::now() < renew_at)
        {
            return Ok(Arc::clone(&held.credential));
        }
        let found = self
            .provider
            .provide_credentials()
            .await
            .map_err(|source| object_store::Error::Generic {
                store: "aws credentials",
                source: Box::new(source),
            })?;
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        });
        let renew_at = found
            .expiry()
            .map(|expiry| expiry.checked_sub(RENEW_BEFORE).unwrap_or(expiry));
        *current = Some(Held {
            credential: Arc::clone(&credential),
            renew_at,
        });
        Ok(credential)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use aws_credential_types::Credentials;
    use aws_credential_types::provider::future;

    use super::*;

    #[derive(Debug)]
    struct Counting {
        asked: Arc<AtomicU32>,
        lifetime: Duration,
    }

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            let expiry = SystemTime::now() + self.lifetime;
            future::ProvideCredentials::ready(Ok(Credentials::new(
                format!("key-{number}"),
                "secret",
                None,
                Some(expiry),
                "test",
            )))
        }
    }

    async fn keys_of_two_calls(lifetime: Duration) -> (String, String) {
        let provider = Counting {
            asked: Arc::default(),
            lifetime,
        };
        let credentials = SdkCredentials::new(SharedCredentialsProvider::new(provider));
        let first = credentials.get_credential().await.expect("first").key_id.clone();
        let second = credentials.get_credential().await.expect("second").key_id.clone();
        (first, second)
    }

    #[tokio::test]
    async fn fresh_credentials_are_kept() {
        let (first, second) = keys_of_two_calls(Duration::from_hours(1)).await;
        assert_eq!(first, second);
    }

    #[tokio::test]
    async fn credentials_about_to_end_are_renewed() {
        let (first, second) = keys_of_two_calls(Duration::from_mins(1)).await;
        assert_ne!(first, second);
    }
}
