//! What every Kafka client of ours has beside its configuration: it remembers why brokers refuse us, and gives tokens. Looks at a broker's certificate when that is what is refused.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kafka_admin::Operation;
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

use crate::diagnosis::Diagnosis;
use crate::failure::{Failure, Kind};
use crate::inspect;
use crate::material::{Material, Proof};
use crate::party::{Need, Party, Resource, code_of};
use crate::signer::TokenSource;

/// A refusal that is not said again within this time is over: the library repeats itself every thirty seconds, and tries
/// again every ten.
const FRESH: Duration = Duration::from_mins(1);
/// A broker has so long for each step of a look at its certificate.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);

/// The context of a client; clones share what is remembered.
#[derive(Clone)]
pub struct KafkaContext {
    shared: Arc<Shared>,
}

struct Shared {
    party: Party,
    material: Material,
    tokens: Option<Arc<dyn TokenSource>>,
    last: Mutex<Option<(Instant, Refusal)>>,
    was_answered: AtomicBool,
}

/// Why we are not connected.
#[derive(Clone)]
enum Refusal {
    /// In the library's words.
    Failed(Failure, Kind),
    /// We know it ourselves, or have found it out.
    Known(Diagnosis),
}

impl KafkaContext {
    pub(crate) fn new(party: Party, material: Material, tokens: Option<Arc<dyn TokenSource>>) -> Self {
        Self {
            shared: Arc::new(Shared {
                party,
                material,
                tokens,
                last: Mutex::default(),
                was_answered: AtomicBool::new(false),
            }),
        }
    }

    /// The brokers have answered a question: they speak as we do.
    pub fn answered(&self) {
        self.shared.was_answered.store(true, Ordering::Relaxed);
    }

    /// Why brokers refuse us, as far as anybody has said of late. The first time that a broker's certificate is the reason
    /// this blocks for some seconds, to look at it.
    pub fn refusal(&self) -> Option<Diagnosis> {
        let (since, refusal) = self.last().clone().filter(|(since, _)| since.elapsed() < FRESH)?;
        let diagnosis = match refusal {
            Refusal::Known(diagnosis) => return Some(diagnosis),
            Refusal::Failed(failure, kind) => self.diagnose(&failure, kind),
        };
        let mut last = self.last();
        if last.as_ref().is_some_and(|(time, _)| *time == since) {
            *last = Some((since, Refusal::Known(diagnosis.clone())));
        }
        Some(diagnosis)
    }

    /// What has gone wrong with a question, for which this is needed: a refusal of the brokers, or else that there was no
    /// answer, in these words.
    pub fn explain(&self, error: &KafkaError, needs: &[Need<'_>], otherwise: impl FnOnce() -> String) -> Diagnosis {
        self.denial(error, needs)
            .or_else(|| self.refusal())
            .unwrap_or_else(|| Diagnosis::unavailable(otherwise()))
    }

    /// What the brokers do not allow of what is needed, if that is what the error says.
    pub fn denial(&self, error: &KafkaError, needs: &[Need<'_>]) -> Option<Diagnosis> {
        self.shared.party.denial(error, needs)
    }

    /// What the brokers do not allow, in words.
    pub fn denied(&self, resource: Resource<'_>, operations: &[Operation]) -> Diagnosis {
        self.shared.party.denied(resource, operations)
    }

    fn diagnose(&self, failure: &Failure, kind: Kind) -> Diagnosis {
        let Shared { party, material, .. } = &*self.shared;
        let distrust = (kind == Kind::BrokerCertificate)
            .then(|| inspect::distrust(failure.server()?, material.authorities.as_deref(), LOOK_PATIENCE))
            .flatten();
        let expired = match &material.proof {
            Proof::Certificate { certificate, .. } if kind == Kind::ClientCertificate => {
                inspect::expired(certificate, Timestamp::now())
            }
            _ => None,
        };
        party.refused(failure, kind, distrust, expired)
    }

    fn failed(&self, failure: Failure) {
        if let Some(kind) = failure.kind(self.shared.was_answered.load(Ordering::Relaxed)) {
            self.note(Refusal::Failed(failure, kind));
        }
    }

    fn note(&self, refusal: Refusal) {
        let mut last = self.last();
        if let Some((time, Refusal::Failed(known, _))) = &mut *last
            && let Refusal::Failed(failure, _) = &refusal
            && known == failure
        {
            *time = Instant::now();
            return;
        }
        *last = Some((Instant::now(), refusal));
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Refusal)>> {
        self.shared.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for KafkaContext {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(target: "librdkafka", facility, "{message}");
            }
            _ => tracing::warn!(target: "librdkafka", facility, "{message}"),
        }
        if let Some(failure) = Failure::logged(facility, message) {
            self.failed(failure);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
        let Some(code) = code_of(&error) else { return };
        // Why there is no token we have said better ourselves.
        if !reason.contains("OAUTHBEARER token") {
            let text = reason.to_owned();
            self.failed(Failure { code, text });
        }
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let source = self.shared.tokens.as_ref().ok_or("nothing gives tokens")?;
        match source.token() {
            Ok(token) => Ok(OAuthToken {
                lifetime_ms: token.expires_ms(),
                principal_name: token.principal,
                token: token.value,
            }),
            Err(diagnosis) => {
                tracing::warn!(
                    reason = diagnosis.reason.as_str(),
                    detail = diagnosis.message,
                    "no token for the brokers"
                );
                self.note(Refusal::Known(diagnosis.clone()));
                Err(Box::new(diagnosis))
            }
        }
    }
}

impl ConsumerContext for KafkaContext {}

#[cfg(test)]
mod tests {
    use medallion_crds::Reason;
    use medallion_crds::launch::{KafkaAuthenticationSettings, KafkaSettings};
    use medallion_crds::pipeline::ScramMechanism;
    use rdkafka::error::RDKafkaErrorCode;

    use super::*;
    use crate::token::Token;

    const REFUSED: &str = "sasl_ssl://b-1.shop:9096/bootstrap: SASL authentication error: invalid credentials (after 318ms in state AUTH_REQ)";

    fn context(tokens: Option<Arc<dyn TokenSource>>) -> KafkaContext {
        let settings = KafkaSettings {
            bootstrap_servers: vec!["b-1.shop:9096".to_owned()],
            authentication: KafkaAuthenticationSettings::Scram {
                mechanism: ScramMechanism::Sha512,
                username_path: String::new(),
                password_path: String::new(),
            },
            ..KafkaSettings::default()
        };
        let material = Material {
            authorities: None,
            proof: Proof::User {
                name: "shop".to_owned(),
                password: "secret".to_owned(),
            },
        };
        KafkaContext::new(Party::new(&settings, &material), material, tokens)
    }

    #[test]
    fn what_the_library_says_of_credentials_is_remembered_and_other_words_do_not_hide_it() {
        let context = context(None);
        assert_eq!(context.refusal(), None);
        context.error(KafkaError::Global(RDKafkaErrorCode::Authentication), REFUSED);
        context.error(
            KafkaError::Global(RDKafkaErrorCode::AllBrokersDown),
            "1/1 brokers are down",
        );
        let refusal = context.refusal().expect("it was said");
        assert_eq!(refusal.reason, Reason::KafkaCredentialsRefused);
        assert_eq!(context.refusal(), Some(refusal.clone()), "and is still so");
        let explained = context.explain(
            &KafkaError::MetadataFetch(RDKafkaErrorCode::BrokerTransportFailure),
            &[Need::topic("orders", &[Operation::Write])],
            || "no answer".to_owned(),
        );
        assert_eq!(explained, refusal);
    }

    #[test]
    fn without_a_refusal_there_is_no_answer_and_a_denial_comes_first() {
        let context = context(None);
        let needs = [Need::topic("orders", &[Operation::Write])];
        let explain = |code| context.explain(&KafkaError::MetadataFetch(code), &needs, || "no answer".to_owned());
        assert_eq!(
            explain(RDKafkaErrorCode::BrokerTransportFailure),
            Diagnosis::unavailable("no answer")
        );
        let denied = explain(RDKafkaErrorCode::TopicAuthorizationFailed);
        assert_eq!(denied.reason, Reason::TopicAccessDenied);
        let error = KafkaError::AdminOp(RDKafkaErrorCode::GroupAuthorizationFailed);
        let readers = [Need::group("readers", &[Operation::Read])];
        let denied = context.denial(&error, &readers).expect("a denial");
        assert_eq!(denied.reason, Reason::GroupAccessDenied);
        assert_eq!(context.denial(&error, &needs), None, "another matter");
    }

    struct NoTokens;

    impl TokenSource for NoTokens {
        fn token(&self) -> Result<Token, Diagnosis> {
            Err(Diagnosis::new(Reason::NoCredentials, "no role"))
        }
    }

    #[test]
    fn why_there_is_no_token_is_said_in_our_own_words() {
        let context = context(Some(Arc::new(NoTokens)));
        assert!(context.generate_oauth_token(None).is_err());
        let words = "Failed to acquire SASL OAUTHBEARER token: NoCredentials: no role";
        context.error(KafkaError::Global(RDKafkaErrorCode::Authentication), words);
        assert_eq!(
            context.refusal(),
            Some(Diagnosis::new(Reason::NoCredentials, "no role"))
        );
    }
}
