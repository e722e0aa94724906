//! The configuration of clients: brokers, TLS, and what must hold for every producer and consumer. Opens no connection.

use medallion_crds::launch::KafkaSettings;
use rdkafka::ClientConfig;

/// Any client of the pipeline's brokers, under the name of its worker.
pub fn client(settings: &KafkaSettings, worker: &str) -> ClientConfig {
    let mut configuration = ClientConfig::new();
    configuration
        .set("bootstrap.servers", settings.bootstrap_servers.join(","))
        .set("client.id", format!("medallion-{worker}"))
        // A topic that is missing must be missed: brokers would make one with partitions and retention of their own.
        .set("allow.auto.create.topics", "false")
        .set("socket.keepalive.enable", "true");
    if let Some(tls) = &settings.tls {
        // A broker is who its certificate says, as an authority has it, and it says the name that was called.
        configuration
            .set("security.protocol", "ssl")
            .set("enable.ssl.certificate.verification", "true")
            .set("ssl.endpoint.identification.algorithm", "https");
        if let Some(path) = &tls.ca_path {
            configuration.set("ssl.ca.location", path);
        }
    }
    configuration
}

/// A producer: what it says is acknowledged is stored once, by all replicas that are in sync.
pub fn producer(settings: &KafkaSettings, worker: &str) -> ClientConfig {
    let mut configuration = client(settings, worker);
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
pub fn consumer(settings: &KafkaSettings, worker: &str, group: &str) -> ClientConfig {
    let mut configuration = client(settings, worker);
    configuration
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false");
    configuration
}

#[cfg(test)]
mod tests {
    use medallion_crds::launch::KafkaTlsSettings;
    use rdkafka::producer::BaseProducer;

    use super::*;

    fn settings(tls: Option<KafkaTlsSettings>) -> KafkaSettings {
        KafkaSettings {
            bootstrap_servers: vec!["one:9092".to_owned(), "two:9092".to_owned()],
            topic: "purchases".to_owned(),
            dead_letter_topic: "dlq.purchases".to_owned(),
            tls,
        }
    }

    fn with_authority(path: Option<&str>) -> KafkaSettings {
        settings(Some(KafkaTlsSettings {
            ca_path: path.map(str::to_owned),
        }))
    }

    #[test]
    fn all_clients_speak_to_the_brokers_alike() {
        for settings in [settings(None), with_authority(None), with_authority(Some("/ca.pem"))] {
            let clients = [
                client(&settings, "provisioner"),
                producer(&settings, "gateway"),
                consumer(&settings, "consumer", "group"),
            ];
            for configuration in clients {
                assert_eq!(configuration.get("bootstrap.servers"), Some("one:9092,two:9092"));
                assert_eq!(configuration.get("allow.auto.create.topics"), Some("false"));
                let path = settings.tls.as_ref().and_then(|tls| tls.ca_path.as_deref());
                assert_eq!(configuration.get("ssl.ca.location"), path);
                let protocol = settings.tls.as_ref().map(|_| "ssl");
                assert_eq!(configuration.get("security.protocol"), protocol);
            }
        }
    }

    #[test]
    fn librdkafka_takes_every_setting_and_wants_a_file_that_it_can_read() {
        producer(&with_authority(None), "gateway")
            .create::<BaseProducer>()
            .expect("a producer");
        consumer(&settings(None), "consumer", "group")
            .create::<rdkafka::consumer::BaseConsumer>()
            .expect("a consumer");
        let refused = producer(&with_authority(Some("/no/such/ca.pem")), "gateway").create::<BaseProducer>();
        let error = refused.err().expect("no such file").to_string();
        assert!(error.contains("ssl.ca.location"), "{error}");
    }
}
