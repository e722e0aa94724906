//! What librdkafka says when a connection to a broker fails, sorted by what must be mended. No network.
//!
//! The library has two codes for all of it, so its words decide; they are those of librdkafka 2.12 and OpenSSL 3, and the
//! tests that need a running stack hold them against a real broker.

use rdkafka::error::RDKafkaErrorCode;

/// A failed connection, in the library's own words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failure {
    pub(crate) code: RDKafkaErrorCode,
    pub(crate) text: String,
}

/// What must be mended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// The broker's certificate: not trusted, expired, or of another name; the library does not say which.
    BrokerCertificate,
    /// Our certificate: refused by the broker.
    ClientCertificate,
    /// The broker wants a certificate and we have none, or none that its authorities signed.
    NoClientCertificate,
    /// User, password or token.
    Credentials,
    /// The listener speaks another protocol, or knows another mechanism.
    Listener,
    /// The broker refuses us in some other way.
    Other,
}

/// Words of a listener that speaks another protocol. A broker that goes down while it is being spoken to looks the same, so
/// they count only until there was a first answer.
const OTHER_PROTOCOL: [&str; 4] = [
    "connecting to a PLAINTEXT broker listener",
    "might require SASL authentication",
    "wrong version number",
    // The broker ended the connection at the first request: it expected something else.
    "in state APIVERSION_QUERY",
];

impl Failure {
    /// What must be mended; `None`: nothing but that the broker is not there, as far as the library says.
    pub(crate) fn kind(&self, was_answered: bool) -> Option<Kind> {
        let text = self.text.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(&word.to_lowercase()));
        match self.code {
            RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => {
                Some(if has(&["mechanism handshake failed", "supported mechanisms"]) {
                    Kind::Listener
                } else {
                    Kind::Credentials
                })
            }
            RDKafkaErrorCode::SSL | RDKafkaErrorCode::BrokerTransportFailure => {
                if has(&["certificate verify failed", "failed to verify broker certificate"]) {
                    Some(Kind::BrokerCertificate)
                } else if has(&["alert certificate required", "alert handshake failure"]) {
                    Some(Kind::NoClientCertificate)
                } else if has(&[
                    "alert certificate",
                    "alert bad certificate",
                    "alert unknown ca",
                    "alert unsupported certificate",
                ]) {
                    Some(Kind::ClientCertificate)
                } else if has(&OTHER_PROTOCOL) {
                    (!was_answered).then_some(Kind::Listener)
                } else {
                    (self.code == RDKafkaErrorCode::SSL).then_some(Kind::Other)
                }
            }
            _ => None,
        }
    }

    /// What stands in a line of the library's log, if that is about a connection that it takes for no error: at its first request
    /// the broker has ended it.
    pub(crate) fn logged(facility: &str, line: &str) -> Option<Self> {
        let is_one = facility == "FAIL" && line.contains("Disconnected") && line.contains("in state APIVERSION_QUERY");
        is_one.then(|| Self {
            code: RDKafkaErrorCode::BrokerTransportFailure,
            // The name of the thread stands before it.
            text: line.split_once("]: ").map_or(line, |(_, text)| text).to_owned(),
        })
    }

    /// Behind the protocol: `b-1.shop:9096/bootstrap: ...`.
    fn behind_protocol(&self) -> &str {
        self.text.split_once("://").map_or(self.text.as_str(), |(_, rest)| rest)
    }

    /// host:port of the broker, as in `sasl_ssl://b-1.shop:9096/bootstrap: ...`.
    pub(crate) fn server(&self) -> Option<&str> {
        let server = self.behind_protocol().split(['/', ' ']).next();
        server.filter(|server| server.contains(':') && !server.ends_with(':'))
    }

    /// What the broker or the library said, without the broker's name before and the library's own state after it.
    pub(crate) fn words(&self) -> &str {
        let words = self.server().and_then(|_| self.behind_protocol().split_once(": "));
        let words = words.map_or(self.text.as_str(), |(_, words)| words);
        words.rsplit_once(" (after ").map_or(words, |(words, _)| words)
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::error::RDKafkaErrorCode as Code;
    use rstest::rstest;

    use super::*;

    const PLAIN_TO_TLS: &str = "127.0.0.1:9094/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN (after 7ms in state APIVERSION_QUERY)";
    const TLS_TO_PLAIN: &str = "ssl://127.0.0.1:9092/bootstrap: SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener? (after 3ms in state SSL_HANDSHAKE)";

    #[rstest]
    #[case::authority(
        Code::SSL,
        "ssl://127.0.0.1:9094/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker certificate could not be verified, verify that ssl.ca.location is correctly configured or root CA certificates are installed (install ca-certificates package) (after 12ms in state SSL_HANDSHAKE)",
        Some(Kind::BrokerCertificate)
    )]
    #[case::no_certificate(
        Code::SSL,
        "ssl://127.0.0.1:9095/bootstrap: SSL handshake failed: error:0A00045C:SSL routines::tlsv13 alert certificate required: SSL alert number 116 (after 4ms in state APIVERSION_QUERY)",
        Some(Kind::NoClientCertificate)
    )]
    #[case::expired(
        Code::SSL,
        "ssl://127.0.0.1:9095/bootstrap: SSL handshake failed: error:0A000415:SSL routines::sslv3 alert certificate expired: SSL alert number 45",
        Some(Kind::ClientCertificate)
    )]
    #[case::java_without_a_certificate(
        Code::BrokerTransportFailure,
        "ssl://127.0.0.1:9095/bootstrap: Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate: SSL alert number 42 (after 0ms in state APIVERSION_QUERY)",
        Some(Kind::ClientCertificate)
    )]
    #[case::another_way_to_say_it(
        Code::BrokerTransportFailure,
        "ssl://127.0.0.1:9194/bootstrap: error:0A000086:SSL routines::certificate verify failed (after 11ms in state SSL_HANDSHAKE)",
        Some(Kind::BrokerCertificate)
    )]
    #[case::newer_words(
        Code::BrokerTransportFailure,
        "ssl://127.0.0.1:9095/bootstrap: ssl/tls alert certificate unknown (SSL alert number 46)",
        Some(Kind::ClientCertificate)
    )]
    #[case::authority_of_the_client(
        Code::SSL,
        "ssl://127.0.0.1:9095/1: error:0A000418:SSL routines::tlsv1 alert unknown ca: SSL alert number 48",
        Some(Kind::ClientCertificate)
    )]
    #[case::password(
        Code::Authentication,
        "sasl_ssl://127.0.0.1:9096/bootstrap: SASL authentication error: Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512 (after 318ms in state AUTH_REQ)",
        Some(Kind::Credentials)
    )]
    #[case::mechanism(
        Code::Authentication,
        "sasl_ssl://127.0.0.1:9096/bootstrap: SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported mechanisms: SCRAM-SHA-512 (after 9ms in state AUTH_HANDSHAKE)",
        Some(Kind::Listener)
    )]
    #[case::plain_to_tls(Code::BrokerTransportFailure, PLAIN_TO_TLS, Some(Kind::Listener))]
    #[case::tls_to_plain(Code::BrokerTransportFailure, TLS_TO_PLAIN, Some(Kind::Listener))]
    #[case::not_there(
        Code::BrokerTransportFailure,
        "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)",
        None
    )]
    #[case::all_down(Code::AllBrokersDown, "1/1 brokers are down", None)]
    fn the_librarys_words_are_sorted_by_what_must_be_mended(
        #[case] code: Code,
        #[case] text: &str,
        #[case] kind: Option<Kind>,
    ) {
        let failure = Failure {
            code,
            text: text.to_owned(),
        };
        assert_eq!(failure.kind(false), kind);
    }

    #[test]
    fn a_broker_that_goes_down_after_an_answer_is_no_other_listener() {
        for text in [PLAIN_TO_TLS, TLS_TO_PLAIN] {
            let failure = Failure {
                code: Code::BrokerTransportFailure,
                text: text.to_owned(),
            };
            assert_eq!(failure.kind(true), None);
        }
    }

    #[test]
    fn what_the_library_only_logs_is_found_too() {
        let line = format!("[thrd:127.0.0.1:9094/bootstrap]: {PLAIN_TO_TLS}");
        let failure = Failure::logged("FAIL", &line).expect("a failure");
        assert_eq!(
            (failure.text.as_str(), failure.kind(false)),
            (PLAIN_TO_TLS, Some(Kind::Listener))
        );
        assert_eq!(failure.server(), Some("127.0.0.1:9094"));
        assert_eq!(
            failure.words(),
            "Disconnected: connection closed by peer: receive 0 after POLLIN"
        );
        let idle = line.replace("APIVERSION_QUERY", "UP");
        assert_eq!(Failure::logged("FAIL", &idle), None);
        assert_eq!(Failure::logged("CONNECT", &line), None);
    }

    #[test]
    fn the_broker_and_its_words_are_found() {
        let failure = Failure {
            code: Code::Authentication,
            text: "sasl_ssl://b-1.shop.example:9096/bootstrap: SASL authentication error: no (really) (after 318ms in state AUTH_REQ)".to_owned(),
        };
        assert_eq!(failure.server(), Some("b-1.shop.example:9096"));
        assert_eq!(failure.words(), "SASL authentication error: no (really)");
        let bare = Failure {
            code: Code::Authentication,
            text: "Failed to acquire a token".to_owned(),
        };
        assert_eq!((bare.server(), bare.words()), (None, "Failed to acquire a token"));
    }
}
