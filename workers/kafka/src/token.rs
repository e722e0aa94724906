//! The token by which Amazon MSK's IAM knows a client: a signed request that was never sent. A function of credentials, region and time. No network.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use worker_kit::Partition;

/// How long a token is good; brokers take none that lives longer.
pub(crate) const LIFETIME: Duration = Duration::from_mins(15);

/// The name of the service in signatures, which is not that of its host.
const SERVICE: &str = "kafka-cluster";

/// A token for SASL/OAUTHBEARER.
#[derive(Clone, Eq, PartialEq)]
pub struct Token {
    /// What is sent to the broker.
    pub value: String,
    /// Until when brokers take it.
    pub expires: SystemTime,
    /// Whose it is, for logs: the access key's id.
    pub principal: String,
}

impl Token {
    /// Milliseconds from the Unix epoch to its end.
    pub fn expires_ms(&self) -> i64 {
        let since = self.expires.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// Signs a request to connect, as the AWS signers for other languages do.
pub(crate) fn signed(credentials: &Credentials, region: &str, now: SystemTime) -> Result<Token, String> {
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(LIFETIME);
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let suffix = Partition::of(region).dns_suffix;
    let address = format!("https://kafka.{region}.{suffix}/?Action=kafka-cluster%3AConnect");
    let request = SignableRequest::new("GET", &address, std::iter::empty(), SignableBody::Bytes(&[]))
        .map_err(|error| error.to_string())?;
    let (instructions, _) = sign(request, &parameters)
        .map_err(|error| error.to_string())?
        .into_parts();
    let mut request = http::Request::get(&address)
        .body(())
        .map_err(|error| error.to_string())?;
    instructions.apply_to_request_http1x(&mut request);
    // Not part of the signature; brokers' logs show it.
    let url = format!("{}&User-Agent=medallion%2F{}", request.uri(), worker_kit::VERSION);
    let signed_for = now + LIFETIME;
    Ok(Token {
        value: URL_SAFE_NO_PAD.encode(url),
        // A signature is worth no more than the key that made it.
        expires: credentials.expiry().map_or(signed_for, |expiry| expiry.min(signed_for)),
        principal: credentials.access_key_id().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(session: Option<&str>, expires: Option<SystemTime>) -> Credentials {
        Credentials::new(
            "AKIDEXAMPLE",
            "wJalrXUtnFEMI/K7MDENG",
            session.map(str::to_owned),
            expires,
            "test",
        )
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn url(token: &Token) -> String {
        String::from_utf8(URL_SAFE_NO_PAD.decode(&token.value).expect("base64")).expect("a text")
    }

    #[test]
    fn a_token_is_a_signed_request_to_connect() {
        let token = signed(&credentials(None, None), "eu-west-1", at(1_767_225_600)).expect("signed");
        let url = url(&token);
        for part in [
            "https://kafka.eu-west-1.amazonaws.com/?Action=kafka-cluster%3AConnect&",
            "X-Amz-Algorithm=AWS4-HMAC-SHA256",
            "X-Amz-Credential=AKIDEXAMPLE%2F20260101%2Feu-west-1%2Fkafka-cluster%2Faws4_request",
            "X-Amz-Date=20260101T000000Z",
            "X-Amz-Expires=900",
            "X-Amz-SignedHeaders=host",
            "X-Amz-Signature=",
            "&User-Agent=medallion%2F",
        ] {
            assert!(url.contains(part), "{part} is not in {url}");
        }
        assert!(!url.contains("X-Amz-Security-Token"), "{url}");
        assert_eq!(token.expires_ms(), 1_767_226_500_000);
        assert_eq!(token.principal, "AKIDEXAMPLE");
        assert!(!token.value.contains('='), "brokers take no padding");
    }

    #[test]
    fn a_token_is_a_function_of_credentials_region_and_time() {
        let token = |session, region, seconds| {
            signed(&credentials(session, None), region, at(seconds))
                .expect("signed")
                .value
        };
        assert_eq!(token(None, "eu-west-1", 1), token(None, "eu-west-1", 1));
        assert_ne!(token(None, "eu-west-1", 1), token(None, "eu-west-1", 2));
        assert_ne!(token(None, "eu-west-1", 1), token(None, "us-east-1", 1));
        assert_ne!(token(None, "eu-west-1", 1), token(Some("session"), "eu-west-1", 1));
    }

    #[test]
    fn a_token_is_signed_for_the_host_of_its_partition() {
        for (region, host) in [
            ("us-gov-west-1", "https://kafka.us-gov-west-1.amazonaws.com/"),
            ("cn-north-1", "https://kafka.cn-north-1.amazonaws.com.cn/"),
        ] {
            let token = signed(&credentials(None, None), region, at(1)).expect("signed");
            assert!(url(&token).starts_with(host), "{}", url(&token));
        }
    }

    #[test]
    fn a_session_is_signed_and_a_token_lives_no_longer_than_it() {
        let end = at(1_767_225_700);
        let token = signed(
            &credentials(Some("session/token"), Some(end)),
            "eu-west-1",
            at(1_767_225_600),
        )
        .expect("signed");
        assert!(
            url(&token).contains("X-Amz-Security-Token=session%2Ftoken"),
            "{}",
            url(&token)
        );
        assert_eq!(token.expires, end);
        let later = signed(
            &credentials(None, Some(at(1_800_000_000))),
            "eu-west-1",
            at(1_767_225_600),
        )
        .expect("signed");
        assert_eq!(later.expires, at(1_767_226_500));
    }
}
