//! The configuration that all Kafka clients of a pipeline share: brokers, TLS, authentication, and what must hold for every producer and consumer. No network.

use std::env;

use medallion_crds::launch::{KafkaAuthenticationSettings, KafkaSettings, environment};
use medallion_crds::pipeline::ScramMechanism;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::material::{Material, Proof};

/// Any client of the pipeline's brokers, under the name of its worker.
pub(crate) fn client(settings: &KafkaSettings, material: &Material, worker: &str) -> ClientConfig {
    let mut configuration = ClientConfig::new();
    configuration
        .set("bootstrap.servers", settings.bootstrap_servers.join(","))
        .set("client.id", format!("medallion-{worker}"))
        // A topic that is missing must be missed: brokers would make one with partitions and retention of their own.
        .set("allow.auto.create.topics", "false")
        .set("socket.keepalive.enable", "true");
    // Some of what keeps a client from its brokers is no error to the library and stands in its log alone.
    configuration.set_log_level(RDKafkaLogLevel::Info);
    let mechanism = mechanism(&settings.authentication);
    let protocol = match (&settings.tls, mechanism) {
        (None, None) => None,
        (Some(_), None) => Some("ssl"),
        (None, Some(_)) => Some("sasl_plaintext"),
        (Some(_), Some(_)) => Some("sasl_ssl"),
    };
    if let Some(protocol) = protocol {
        configuration.set("security.protocol", protocol);
    }
    if settings.tls.is_some() {
        // A broker is who its certificate says, as an authority has it, and it says the name that was called.
        configuration
            .set("enable.ssl.certificate.verification", "true")
            .set("ssl.endpoint.identification.algorithm", "https");
        let bundle = env::var(environment::TRUST_BUNDLE).ok();
        if let Some((name, value)) = trusted(material.authorities.as_deref(), bundle.as_deref()) {
            configuration.set(name, value);
        }
    }
    if let Some(mechanism) = mechanism {
        configuration.set("sasl.mechanism", mechanism);
    }
    match &material.proof {
        Proof::None => {}
        Proof::Certificate { certificate, key } => {
            configuration
                .set("ssl.certificate.pem", certificate)
                .set("ssl.key.pem", key);
        }
        Proof::User { name, password } => {
            configuration.set("sasl.username", name).set("sasl.password", password);
        }
    }
    configuration
}

/// Whom we trust, as a setting of the library; `None`: whom the system does.
fn trusted<'t>(authorities: Option<&'t str>, bundle: Option<&'t str>) -> Option<(&'static str, &'t str)> {
    // The texts and not the paths: what was read at once belongs together, whatever is mounted meanwhile.
    authorities.map(|texts| ("ssl.ca.pem", texts)).or_else(|| {
        // A library that is linked into the program looks at the usual places alone, whatever OpenSSL is told by the environment.
        bundle
            .filter(|path| !path.is_empty())
            .map(|path| ("ssl.ca.location", path))
    })
}

/// The SASL mechanism, if there is one. Amazon MSK takes its signed requests as tokens of OAUTHBEARER.
const fn mechanism(authentication: &KafkaAuthenticationSettings) -> Option<&'static str> {
    match authentication {
        KafkaAuthenticationSettings::None | KafkaAuthenticationSettings::MutualTls { .. } => None,
        KafkaAuthenticationSettings::Plain { .. } => Some("PLAIN"),
        KafkaAuthenticationSettings::Scram { mechanism, .. } => Some(match mechanism {
            ScramMechanism::Sha256 => "SCRAM-SHA-256",
            ScramMechanism::Sha512 => "SCRAM-SHA-512",
        }),
        KafkaAuthenticationSettings::MskIam { .. } => Some("OAUTHBEARER"),
    }
}

/// A producer: what it says is acknowledged is stored once, by all replicas that are in sync.
pub(crate) fn producer(settings: &KafkaSettings, material: &Material, worker: &str) -> ClientConfig {
    let mut configuration = client(settings, material, worker);
    configuration
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("compression.type", "zstd")
        .set("linger.ms", "5")
        // The same key goes to the same partition as from Java clients.
        .set("partitioner", "murmur2_random");
    configuration
}

/// A consumer of a group: offsets are committed by its owner alone, never by librdkafka.
pub(crate) fn consumer(settings: &KafkaSettings, material: &Material, worker: &str, group: &str) -> ClientConfig {
    let mut configuration = client(settings, material, worker);
    configuration
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false");
    configuration
}

#[cfg(test)]
mod tests {
    use medallion_crds::launch::KafkaTlsSettings;
    use rdkafka::consumer::BaseConsumer;
    use rdkafka::producer::BaseProducer;
    use rstest::rstest;

    use super::*;

    fn settings(tls: bool, authentication: KafkaAuthenticationSettings) -> KafkaSettings {
        KafkaSettings {
            bootstrap_servers: vec!["one:9092".to_owned(), "two:9092".to_owned()],
            topic: "purchases".to_owned(),
            dead_letter_topic: "dlq.purchases".to_owned(),
            tls: tls.then_some(KafkaTlsSettings { ca_path: None }),
            authentication,
        }
    }

    #[rstest]
    #[case::of_the_pipeline(Some("PEM"), Some("/bundle.pem"), Some(("ssl.ca.pem", "PEM")))]
    #[case::of_the_company(None, Some("/bundle.pem"), Some(("ssl.ca.location", "/bundle.pem")))]
    #[case::an_empty_name_is_none(None, Some(""), None)]
    #[case::of_the_image(None, None, None)]
    fn the_pipelines_own_authority_goes_before_the_companys_bundle(
        #[case] authorities: Option<&str>,
        #[case] bundle: Option<&str>,
        #[case] expected: Option<(&str, &str)>,
    ) {
        assert_eq!(trusted(authorities, bundle), expected);
    }

    fn scram(mechanism: ScramMechanism) -> KafkaAuthenticationSettings {
        KafkaAuthenticationSettings::Scram {
            mechanism,
            username_path: String::new(),
            password_path: String::new(),
        }
    }

    fn user() -> Material {
        Material {
            authorities: None,
            proof: Proof::User {
                name: "shop".to_owned(),
                password: "secret".to_owned(),
            },
        }
    }

    #[rstest]
    #[case::plain_text(false, KafkaAuthenticationSettings::None, None, None)]
    #[case::tls(true, KafkaAuthenticationSettings::None, Some("ssl"), None)]
    #[case::scram_256(true, scram(ScramMechanism::Sha256), Some("sasl_ssl"), Some("SCRAM-SHA-256"))]
    #[case::scram_512(true, scram(ScramMechanism::Sha512), Some("sasl_ssl"), Some("SCRAM-SHA-512"))]
    #[case::scram_without_tls(false, scram(ScramMechanism::Sha512), Some("sasl_plaintext"), Some("SCRAM-SHA-512"))]
    #[case::plain(
        true,
        KafkaAuthenticationSettings::Plain { username_path: String::new(), password_path: String::new() },
        Some("sasl_ssl"),
        Some("PLAIN")
    )]
    #[case::iam(
        true,
        KafkaAuthenticationSettings::MskIam { region: "eu-west-1".to_owned() },
        Some("sasl_ssl"),
        Some("OAUTHBEARER")
    )]
    fn all_clients_speak_to_the_brokers_alike(
        #[case] tls: bool,
        #[case] authentication: KafkaAuthenticationSettings,
        #[case] protocol: Option<&str>,
        #[case] mechanism: Option<&str>,
    ) {
        let settings = settings(tls, authentication);
        let material = if mechanism.is_some_and(|mechanism| mechanism != "OAUTHBEARER") {
            user()
        } else {
            Material::default()
        };
        for configuration in [
            client(&settings, &material, "provisioner"),
            producer(&settings, &material, "gateway"),
            consumer(&settings, &material, "consumer", "group"),
        ] {
            assert_eq!(configuration.get("bootstrap.servers"), Some("one:9092,two:9092"));
            assert_eq!(configuration.get("allow.auto.create.topics"), Some("false"));
            assert_eq!(configuration.get("security.protocol"), protocol);
            assert_eq!(configuration.get("sasl.mechanism"), mechanism);
            let verifies = tls.then_some("true");
            assert_eq!(configuration.get("enable.ssl.certificate.verification"), verifies);
        }
        producer(&settings, &material, "gateway")
            .create::<BaseProducer>()
            .expect("a producer");
        consumer(&settings, &material, "consumer", "group")
            .create::<BaseConsumer>()
            .expect("a consumer");
    }
}
