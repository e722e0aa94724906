//! The configuration that all Kafka clients of a pipeline share: brokers, and what must hold for every producer and consumer. Opens no connection.

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
