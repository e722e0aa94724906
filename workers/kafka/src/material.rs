//! What proves to the brokers who we are, and whom we trust among them, as it is mounted at one moment. No network; reads files.

use std::fs;

use medallion_crds::Reason;
use medallion_crds::launch::{KafkaAuthenticationSettings, KafkaSettings};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::diagnosis::Diagnosis;

/// What the mounted files held when they were read. Its parts are secrets, so it has no form in which it could be logged.
#[derive(Clone, Default, Eq, PartialEq)]
pub(crate) struct Material {
    /// Certificates of the authorities, PEM; `None`: those that the image trusts.
    pub(crate) authorities: Option<String>,
    pub(crate) proof: Proof,
}

/// What proves who we are.
#[derive(Clone, Default, Eq, PartialEq)]
pub(crate) enum Proof {
    /// Nothing that is mounted.
    #[default]
    None,
    /// A client certificate and its private key, PEM.
    Certificate { certificate: String, key: String },
    /// A user and a password.
    User { name: String, password: String },
}

impl Material {
    /// Reads what the settings name, or says which part of the spec names something that cannot be used.
    pub(crate) fn read(settings: &KafkaSettings) -> Result<Self, Diagnosis> {
        let path = settings.tls.as_ref().and_then(|tls| tls.ca_path.as_deref());
        let authorities = path.map(|path| certificates(path, "spec.kafka.tls.ca"));
        Ok(Self {
            authorities: authorities.transpose()?,
            proof: proof(&settings.authentication)?,
        })
    }

    /// Whether anything of it comes from a file.
    pub(crate) fn is_mounted(&self) -> bool {
        self.authorities.is_some() || self.proof != Proof::None
    }
}

fn proof(authentication: &KafkaAuthenticationSettings) -> Result<Proof, Diagnosis> {
    match authentication {
        KafkaAuthenticationSettings::None | KafkaAuthenticationSettings::MskIam { .. } => Ok(Proof::None),
        KafkaAuthenticationSettings::MutualTls {
            certificate_path,
            key_path,
        } => Ok(Proof::Certificate {
            certificate: certificates(certificate_path, "spec.kafka.authentication.mutualTls.certificate")?,
            key: private_key(key_path, "spec.kafka.authentication.mutualTls.key")?,
        }),
        KafkaAuthenticationSettings::Plain {
            username_path,
            password_path,
        } => user(username_path, password_path, "plain"),
        KafkaAuthenticationSettings::Scram {
            username_path,
            password_path,
            ..
        } => user(username_path, password_path, "scram"),
    }
}

fn user(username_path: &str, password_path: &str, part: &str) -> Result<Proof, Diagnosis> {
    let line = |path: &str, field: &str| {
        let place = format!("spec.kafka.authentication.{part}.{field}");
        let text = text(path, &place)?;
        // Editors and `kubectl create secret --from-file` leave a line end, and no password has one.
        let line = text.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            return Err(unusable(&place, "is empty"));
        }
        if line.contains('\0') {
            return Err(unusable(&place, "holds the NUL character"));
        }
        Ok(line.to_owned())
    };
    Ok(Proof::User {
        name: line(username_path, "username")?,
        password: line(password_path, "password")?,
    })
}

fn certificates(path: &str, place: &str) -> Result<String, Diagnosis> {
    let text = text(path, place)?;
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        certificate.map_err(|error| unusable(place, &format!("is no PEM that can be read: {error}")))?;
        count += 1;
    }
    if count == 0 {
        return Err(unusable(
            place,
            "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)",
        ));
    }
    Ok(text)
}

fn private_key(path: &str, place: &str) -> Result<String, Diagnosis> {
    let text = text(path, place)?;
    if text.contains("ENCRYPTED") {
        return Err(unusable(
            place,
            "is encrypted; a Secret holds it as it is (openssl pkey)",
        ));
    }
    if !text.contains("PRIVATE KEY-----") {
        return Err(unusable(
            place,
            "holds no private key in PEM (-----BEGIN PRIVATE KEY-----)",
        ));
    }
    Ok(text)
}

fn text(path: &str, place: &str) -> Result<String, Diagnosis> {
    let text =
        fs::read_to_string(path).map_err(|error| unusable(place, &format!("cannot be read at {path}: {error}")))?;
    if text.trim().is_empty() {
        return Err(unusable(place, "is empty"));
    }
    Ok(text)
}

fn unusable(place: &str, problem: &str) -> Diagnosis {
    Diagnosis::new(
        Reason::KafkaCredentialsUnreadable,
        format!(
            "{place}: what is mounted {problem}; correct the Secret or ConfigMap that it names, and it takes effect by itself"
        ),
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use medallion_crds::launch::KafkaTlsSettings;
    use medallion_crds::pipeline::ScramMechanism;
    use rstest::rstest;

    use super::*;

    fn path(folder: &Path, file: &str) -> String {
        folder.join(file).to_string_lossy().into_owned()
    }

    pub(crate) fn scram(folder: &Path) -> KafkaAuthenticationSettings {
        KafkaAuthenticationSettings::Scram {
            mechanism: ScramMechanism::Sha512,
            username_path: path(folder, "username"),
            password_path: path(folder, "password"),
        }
    }

    pub(crate) fn mutual_tls(folder: &Path) -> KafkaAuthenticationSettings {
        KafkaAuthenticationSettings::MutualTls {
            certificate_path: path(folder, "tls.crt"),
            key_path: path(folder, "tls.key"),
        }
    }

    fn read(authentication: KafkaAuthenticationSettings) -> Result<Material, Diagnosis> {
        Material::read(&KafkaSettings {
            authentication,
            ..KafkaSettings::default()
        })
    }

    fn refusal(read: Result<Material, Diagnosis>) -> String {
        let Err(diagnosis) = read else {
            panic!("it cannot be used");
        };
        assert_eq!(diagnosis.reason, Reason::KafkaCredentialsUnreadable);
        diagnosis.message
    }

    #[test]
    fn line_ends_after_a_password_do_not_count_and_blanks_do() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("username"), "shop\n").expect("written");
        fs::write(folder.path().join("password"), " a b \r\n").expect("written");
        let read = read(scram(folder.path())).expect("a user");
        let expected = Proof::User {
            name: "shop".to_owned(),
            password: " a b ".to_owned(),
        };
        assert!(read.proof == expected && read.is_mounted());
    }

    #[rstest]
    #[case::missing(None, "cannot be read at")]
    #[case::empty(Some("\n"), "is empty")]
    #[case::nul(Some("a\0b"), "NUL")]
    fn a_password_that_cannot_be_used_is_named_by_its_field(#[case] password: Option<&str>, #[case] words: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("username"), "shop").expect("written");
        if let Some(password) = password {
            fs::write(folder.path().join("password"), password).expect("written");
        }
        let message = refusal(read(scram(folder.path())));
        assert!(
            message.contains("spec.kafka.authentication.scram.password"),
            "{message}"
        );
        assert!(message.contains(words), "{message}");
    }

    #[rstest]
    #[case::no_pem("shop", "x", "mutualTls.certificate", "holds no certificate")]
    #[case::broken(
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        "x",
        "mutualTls.certificate",
        "no PEM that can be read"
    )]
    #[case::no_key(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "x",
        "mutualTls.key",
        "holds no private key"
    )]
    #[case::encrypted(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "mutualTls.key",
        "is encrypted"
    )]
    fn a_certificate_that_cannot_be_used_is_named_by_its_field(
        #[case] certificate: &str,
        #[case] key: &str,
        #[case] field: &str,
        #[case] words: &str,
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("tls.crt"), certificate).expect("written");
        fs::write(folder.path().join("tls.key"), key).expect("written");
        let message = refusal(read(mutual_tls(folder.path())));
        assert!(message.contains(field) && message.contains(words), "{message}");
    }

    #[test]
    fn authorities_that_are_none_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let ca_path = path(folder.path(), "ca.pem");
        fs::write(&ca_path, "not a certificate").expect("written");
        let settings = KafkaSettings {
            tls: Some(KafkaTlsSettings { ca_path: Some(ca_path) }),
            ..KafkaSettings::default()
        };
        let message = refusal(Material::read(&settings));
        assert!(message.contains("spec.kafka.tls.ca"), "{message}");
    }
}
