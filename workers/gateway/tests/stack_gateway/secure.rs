//! The gateway at brokers with passwords and access lists: what is wrong is named, mended without a restart, and every success stands in the topic.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use kafka_client::{Operation, Resource};
use medallion_crds::Reason;
use medallion_crds::launch::{KafkaAuthenticationSettings, KafkaSettings, KafkaTlsSettings};
use medallion_crds::pipeline::ScramMechanism;
use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::Value;

use crate::acl::{allow, forbid};
use crate::living::{Life, live, post};
use crate::{SCHEMA, document, event};

/// Whatever is wrong must be named within this time, and its end be noticed.
const NAMED_WITHIN: Duration = Duration::from_secs(30);

impl Life {
    /// Whether one event was taken.
    async fn takes(&self, number: usize) -> Result<bool> {
        let answer = post(self.address, event(number)).await?;
        ensure!(
            !answer.contains("User:shop"),
            "who posts learns nothing of users: {answer}"
        );
        Ok(answer.starts_with("HTTP/1.1 200"))
    }

    async fn reports(&self, reason: &Reason) -> Result<String> {
        let begun = Instant::now();
        loop {
            let trouble = self.progress.snapshot().work.trouble;
            if let Some(trouble) = trouble.as_ref().filter(|trouble| trouble.reason == *reason) {
                println!("{}: {}", trouble.reason, trouble.message);
                return Ok(trouble.message.clone());
            }
            ensure!(begun.elapsed() < NAMED_WITHIN, "{reason} in vain, but {trouble:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Posts again and again until one is taken and nothing is in the way; the one that was taken.
    async fn heals(&self, numbers: &mut impl Iterator<Item = usize>) -> Result<usize> {
        let begun = Instant::now();
        loop {
            let number = numbers.next().context("a number")?;
            let taken = self.takes(number).await?;
            if taken && self.progress.snapshot().work.trouble.is_none() && *self.ready.borrow() {
                return Ok(number);
            }
            ensure!(
                begun.elapsed() < NAMED_WITHIN,
                "{:?}",
                self.progress.snapshot().work.trouble
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn text_of(document: &Value, pointer: &str) -> Result<String> {
    let found = document.pointer(pointer).and_then(Value::as_str);
    Ok(found.with_context(|| pointer.to_owned())?.to_owned())
}

/// Makes a topic; by whom it is to be deleted.
async fn make_topic(open: &str, topic: &str) -> Result<AdminClient<DefaultClientContext>> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", open).create()?;
    let new_topic = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
    admin.create_topics(&[new_topic], &AdminOptions::new()).await?;
    Ok(admin)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_a_wrong_authority_a_missing_right_and_a_new_user_need_no_new_process() -> Result<()> {
    let document = document()?;
    let text = |pointer: &str| text_of(&document, pointer);
    let open = text("/kafka/bootstrapServers")?;
    let topic = format!("gateway-secure-{}", std::process::id());
    let admin = make_topic(&open, &topic).await?;
    let mounted = tempfile::tempdir()?;
    let path = |file: &str| mounted.path().join(file).to_string_lossy().into_owned();
    let mount = |user: &str, password: &str| -> Result<()> {
        fs::write(path("username"), user)?;
        Ok(fs::write(path("password"), password)?)
    };
    let certificates = text("/kafka/certificates")?;
    let mount_authority = |name: &str| fs::copy(format!("{certificates}/{name}.crt"), path("ca.pem"));
    mount_authority("brokers-ca")?;
    let kafka = KafkaSettings {
        bootstrap_servers: vec![text("/kafka/listeners/scram")?],
        topic: topic.clone(),
        dead_letter_topic: format!("dlq.{topic}"),
        tls: Some(KafkaTlsSettings {
            ca_path: Some(path("ca.pem")),
        }),
        authentication: KafkaAuthenticationSettings::Scram {
            mechanism: ScramMechanism::Sha512,
            username_path: path("username"),
            password_path: path("password"),
        },
    };
    let (who, on) = ("User:shop", Resource::Topic(topic.as_str()));
    let mut numbers = 0..100_000;
    let mut accepted = BTreeSet::new();

    // Nothing is mounted yet.
    let life = live(SCHEMA, kafka, 0, 5).await;
    let message = life.reports(&Reason::KafkaCredentialsUnreadable).await?;
    ensure!(message.contains("scram.username"), "{message}");
    ensure!(!life.takes(0).await?, "without brokers nothing is taken");
    mount("shop", "wrong")?;
    life.reports(&Reason::KafkaCredentialsRefused).await?;
    mount("shop", &text("/kafka/users/shop")?)?;

    // Let in, and not allowed anything.
    let message = life.reports(&Reason::TopicAccessDenied).await?;
    ensure!(
        message.contains(&topic) && message.contains("--operation Write"),
        "{message}"
    );
    allow(&open, who, on, Operation::Describe)?;
    let message = life.reports(&Reason::TopicAccessDenied).await?;
    ensure!(message.contains("--operation Write"), "{message}");
    ensure!(!life.takes(1).await?, "what may not be written is not taken");
    allow(&open, who, on, Operation::Write)?;
    accepted.insert(life.heals(&mut numbers).await?);
    forbid(&open, who, on, Operation::Write)?;
    life.reports(&Reason::TopicAccessDenied).await?;

    // Another user takes over, while events come all the time.
    allow(&open, "User:shop-2", on, Operation::Write)?;
    mount("shop-2", &text("/kafka/users/shop-2")?)?;
    accepted.insert(life.heals(&mut numbers).await?);
    mount("shop", "a typing error")?;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        let number = numbers.next().context("a number")?;
        if life.takes(number).await? {
            accepted.insert(number);
        }
    }
    mount("shop-2", &text("/kafka/users/shop-2")?)?;
    accepted.insert(life.heals(&mut numbers).await?);

    // An authority that signs for others, and then the brokers' again.
    mount_authority("clients-ca")?;
    let message = life.reports(&Reason::BrokerNotTrusted).await?;
    ensure!(message.contains("spec.kafka.tls.ca"), "{message}");
    mount_authority("brokers-ca")?;
    accepted.insert(life.heals(&mut numbers).await?);
    println!("{} events were accepted", accepted.len());
    ensure!(!life.task.is_finished(), "one life all the time");
    life.shutdown.cancel();
    ensure!(life.task.await?.is_ok(), "and a good end");

    all_arrived(&open, &topic, accepted)?;
    admin.delete_topics(&[&topic], &AdminOptions::new()).await?;
    Ok(())
}

/// Certificates run out, the gateway's and the broker's: whose it is is told, and nobody ends of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_named_and_a_renewed_one_needs_no_new_process() -> Result<()> {
    let document = document()?;
    let text = |pointer: &str| text_of(&document, pointer);
    let open = text("/kafka/bootstrapServers")?;
    let topic = format!("gateway-certificates-{}", std::process::id());
    let admin = make_topic(&open, &topic).await?;
    let mounted = tempfile::tempdir()?;
    let path = |file: &str| mounted.path().join(file).to_string_lossy().into_owned();
    let certificates = text("/kafka/certificates")?;
    let mount = |name: &str| -> Result<()> {
        for ending in ["crt", "key"] {
            fs::copy(
                format!("{certificates}/{name}.{ending}"),
                path(&format!("tls.{ending}")),
            )?;
        }
        Ok(())
    };
    let kafka = |listener: &str, authentication: KafkaAuthenticationSettings| -> Result<KafkaSettings> {
        Ok(KafkaSettings {
            bootstrap_servers: vec![text(&format!("/kafka/listeners/{listener}"))?],
            topic: topic.clone(),
            dead_letter_topic: format!("dlq.{topic}"),
            tls: Some(KafkaTlsSettings {
                ca_path: Some(format!("{certificates}/brokers-ca.crt")),
            }),
            authentication,
        })
    };

    mount("expired-shop")?;
    let by_certificate = KafkaAuthenticationSettings::MutualTls {
        certificate_path: path("tls.crt"),
        key_path: path("tls.key"),
    };
    let life = live(SCHEMA, kafka("mutual", by_certificate)?, 0, 5).await;
    let message = life.reports(&Reason::ClientCertificateExpired).await?;
    ensure!(
        message.contains("expired at 2024-01-02") && message.contains("mutualTls.certificate"),
        "{message}"
    );
    ensure!(!life.takes(0).await?, "who is not let in takes nothing");
    mount("owner")?;
    let accepted = BTreeSet::from([life.heals(&mut (1..100_000)).await?]);

    // Nothing that is mounted mends the broker's own.
    let other = live(SCHEMA, kafka("expired", KafkaAuthenticationSettings::None)?, 0, 5).await;
    let message = other.reports(&Reason::BrokerCertificateExpired).await?;
    ensure!(message.contains("renew it at the broker"), "{message}");
    ensure!(!other.takes(0).await?, "what reaches no broker is not taken");
    for life in [life, other] {
        ensure!(!life.task.is_finished(), "one life all the time");
        life.shutdown.cancel();
        ensure!(life.task.await?.is_ok(), "and a good end");
    }

    all_arrived(&open, &topic, accepted)?;
    admin.delete_topics(&[&topic], &AdminOptions::new()).await?;
    Ok(())
}

/// Every event that was taken stands in the topic.
fn all_arrived(open: &str, topic: &str, mut accepted: BTreeSet<usize>) -> Result<()> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", open)
        .set("group.id", topic)
        .set("auto.offset.reset", "earliest")
        .create()?;
    reader.subscribe(&[topic])?;
    let begun = Instant::now();
    while !accepted.is_empty() {
        ensure!(begun.elapsed() < Duration::from_mins(1), "in vain: {accepted:?}");
        let Some(Ok(message)) = reader.poll(Duration::from_secs(1)) else {
            continue;
        };
        let value: Value = serde_json::from_slice(message.payload().context("a value")?)?;
        let id = value["id"]
            .as_str()
            .and_then(|id| id.strip_prefix('e'))
            .context("an id")?;
        accepted.remove(&id.parse()?);
    }
    Ok(())
}
