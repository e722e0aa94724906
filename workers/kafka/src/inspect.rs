//! Looks at certificates, because librdkafka says of them only that they do not do: whose a broker's is and until when, and until when our own is. Shakes hands with a broker once and ends the connection.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// Why a broker's certificate does not do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Distrust {
    /// It was good until then.
    Expired(Timestamp),
    /// Nobody whom we trust has signed it.
    Signer,
    /// An authority that we trust has signed it, whose own certificate, as we have it, was good until then.
    Authority(Timestamp),
    /// It does not name the host; what it names.
    Name(Vec<String>),
    /// In the words of the TLS library.
    Other(String),
}

/// Why the certificate of a broker does not do, if it can be reached and something is wrong with it. Blocks for a few times
/// `patience` at most. `authorities`: PEM; `None`: those that the image trusts, which are not looked up here, so a good
/// signer is then no more than not known.
pub(crate) fn distrust(server: &str, authorities: Option<&str>, patience: Duration) -> Option<Distrust> {
    let look = Arc::new(Look {
        authorities: authorities.map(roots),
        expired_authority: authorities.and_then(|authorities| expired_authority(authorities, Timestamp::now())),
        provider: aws_lc_rs::default_provider(),
        verdict: Mutex::default(),
    });
    let (host, _) = server.rsplit_once(':')?;
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).ok()?;
    let configuration = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(look.clone())
        .with_no_client_auth();
    let address = server.to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, patience).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    stream.set_write_timeout(Some(patience)).ok()?;
    let mut connection = ClientConnection::new(Arc::new(configuration), name).ok()?;
    // It always ends with an error, ours or another.
    let _ = connection.complete_io(&mut stream);
    look.verdict.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// When our own certificate expired, if it has. `certificate`: PEM.
pub(crate) fn expired(certificate: &str, now: Timestamp) -> Option<Timestamp> {
    ended(&CertificateDer::from_pem_slice(certificate.as_bytes()).ok()?, now)
}

/// When a certificate expired, if it has.
fn ended(certificate: &CertificateDer<'_>, now: Timestamp) -> Option<Timestamp> {
    let mut roots = RootCertStore::empty();
    // Whoever has signed it: its time is looked at before its signer, and nobody but the broker can judge that.
    roots.add(certificate.clone()).ok()?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .ok()?;
    let seconds = u64::try_from(now.as_second()).ok()?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    match verifier.verify_client_cert(certificate, &[], now) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => timestamp(not_after),
        _ => None,
    }
}

/// When the first of these authorities expired that has. Rustls asks no authority for that, and librdkafka does.
fn expired_authority(authorities: &str, now: Timestamp) -> Option<Timestamp> {
    let mut all = CertificateDer::pem_slice_iter(authorities.as_bytes()).flatten();
    all.find_map(|authority| ended(&authority, now))
}

fn roots(authorities: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(authorities.as_bytes()).flatten());
    roots
}

fn timestamp(time: UnixTime) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(time.as_secs()).ok()?).ok()
}

/// Remembers what is wrong with the certificate that it is shown, and ends the handshake.
#[derive(Debug)]
struct Look {
    authorities: Option<RootCertStore>,
    expired_authority: Option<Timestamp>,
    provider: CryptoProvider,
    verdict: Mutex<Option<Distrust>>,
}

impl Look {
    fn judge(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let certificate = ParsedCertificate::try_from(certificate)?;
        let none = RootCertStore::empty();
        let roots = self.authorities.as_ref().unwrap_or(&none);
        let algorithms = self.provider.signature_verification_algorithms.all;
        let signed = verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms);
        match (signed, &self.authorities) {
            // The signer is not known to us; the name may still be what is wrong.
            (Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)), None) => {
                verify_server_name(&certificate, name)?;
                Err(CertificateError::UnknownIssuer.into())
            }
            (Err(error), _) => Err(error),
            (Ok(()), _) => verify_server_name(&certificate, name),
        }
    }
}

fn distrust_of(error: Error) -> Distrust {
    match error {
        Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) => {
            timestamp(not_after).map_or_else(|| Distrust::Other("it has expired".to_owned()), Distrust::Expired)
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => Distrust::Signer,
        Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) => {
            // They come as `DnsName("kafka.shop.example")`.
            let plain = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
            Distrust::Name(presented.iter().map(plain).collect())
        }
        Error::InvalidCertificate(CertificateError::NotValidForName) => Distrust::Name(Vec::new()),
        other => Distrust::Other(other.to_string()),
    }
}

impl ServerCertVerifier for Look {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = match self.judge(certificate, intermediates, name, now) {
            Ok(()) => self.expired_authority.map(Distrust::Authority),
            Err(error) => Some(distrust_of(error)),
        };
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = verdict;
        Err(Error::General("looked at".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("the handshake has ended".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("the handshake has ended".to_owned()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Good from 2026-11-30 until 2026-12-30.
    const AUTHORITY: &str = "-----BEGIN CERTIFICATE-----
MIIBfTCCASOgAwIBAgIUAasy9MidV8TbEK/9USjjZEFESEMwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJYXV0aG9yaXR5MB4XDTI2MTEzMDE4MjkxMVoXDTI2MTIzMDE4
MjkxMVowFDESMBAGA1UEAwwJYXV0aG9yaXR5MFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEMA2QmSzBVt0fQ814dAzfqQMgX/8DSlTONxvY11jP3L3Df+5ng+3r3+U8
X6a4BJbrkOVQDWdRxZNl2tqrWIyy26NTMFEwHQYDVR0OBBYEFCHjxo5DxgvB5D8Q
6rVYtGvPesJPMB8GA1UdIwQYMBaAFCHjxo5DxgvB5D8Q6rVYtGvPesJPMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAJRMrwe8fEjp84UsNvdKal7Q
Lrurqvh4lF/eBvR5RbHLAiBlTmnXzA5LW4lfL0ViSPQG28KKMsgFtq7S/DvF3Ir9
iQ==
-----END CERTIFICATE-----
";

    #[test]
    fn an_authority_that_has_expired_is_found_wherever_it_stands() {
        let at = |time: &str| time.parse::<Timestamp>().expect("a time");
        assert_eq!(expired_authority(AUTHORITY, at("2026-12-15T00:00:00Z")), None);
        let later = at("2027-01-15T00:00:00Z");
        let end = expired_authority(AUTHORITY, later).expect("it has ended");
        assert!(end.to_string().starts_with("2026-12-30T"), "{end}");
        let beside_nonsense =
            format!("# ours\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{AUTHORITY}");
        assert_eq!(expired_authority(&beside_nonsense, later), Some(end));
        assert_eq!(expired(AUTHORITY, later), Some(end));
    }
}
