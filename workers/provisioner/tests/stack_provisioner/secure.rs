//! The provisioner at brokers with certificates, passwords, access lists and IAM: it does its work, or says what is in the way.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kafka_client::{Operation, Resource};
use medallion_crds::launch::{KafkaAuthenticationSettings, KafkaTlsSettings};
use medallion_crds::pipeline::{DependencyState, ScramMechanism};
use serde_json::Value;

use crate::acl::{allow, forbid};
use crate::{Place, message};

/// What brokers refuse is named within this time; the provisioner's own limit is longer.
const NAMED_WITHIN: Duration = Duration::from_secs(30);

impl Place {
    fn text(&self, pointer: &str) -> Result<String> {
        let found = self.stack.pointer(pointer).and_then(Value::as_str);
        Ok(found.with_context(|| pointer.to_owned())?.to_owned())
    }

    /// The same at another listener, whose authority is this one.
    fn moved(&mut self, listener: &str, authority: &str, authentication: KafkaAuthenticationSettings) -> Result<()> {
        let authority = PathBuf::from(self.text("/kafka/certificates")?).join(format!("{authority}.crt"));
        let kafka = &mut self.settings.kafka;
        kafka.tls = Some(KafkaTlsSettings {
            ca_path: Some(authority.to_string_lossy().into_owned()),
        });
        kafka.authentication = authentication;
        self.settings.kafka.bootstrap_servers = vec![self.text(&format!("/kafka/listeners/{listener}"))?];
        self.settings.timeout_seconds = 60;
        Ok(())
    }

    fn names(&self) -> [String; 3] {
        let kafka = &self.settings.kafka;
        [
            format!("Topic/{}", kafka.topic),
            format!("Topic/{}", kafka.dead_letter_topic),
            format!("ConsumerGroup/{}", self.settings.group),
        ]
    }

    /// Nothing at the brokers can be looked at: in time, for this reason and with these words.
    async fn is_refused(&self, reason: &str, words: &str) -> Result<()> {
        let begun = Instant::now();
        let report = self.provision().await;
        for name in self.names() {
            let (state, message) = message(&report, &name);
            ensure!(state == DependencyState::Unknown, "{name}: {state:?} {message}");
            ensure!(
                message.starts_with(&format!("{reason}: ")) && message.contains(words),
                "{name}: {message}"
            );
        }
        ensure!(begun.elapsed() < NAMED_WITHIN, "after {:?}", begun.elapsed());
        Ok(())
    }

    /// The next look finds both topics so.
    async fn is_let_in(&self, topics: DependencyState) -> Result<()> {
        let report = self.provision().await;
        let [topic, dead_letters, group] = self.names();
        for (name, expected) in [
            (topic, topics),
            (dead_letters, topics),
            (group, DependencyState::Exists),
        ] {
            let (state, message) = message(&report, &name);
            ensure!(state == expected, "{name}: {state:?} {message}");
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_authority_is_named_for_everything_at_the_brokers_and_at_once() -> Result<()> {
    let mut place = Place::new("foreign").await?;
    place.moved("tls", "clients-ca", KafkaAuthenticationSettings::None)?;
    place.is_refused("BrokerNotTrusted", "spec.kafka.tls.ca").await?;
    place.moved("tls", "brokers-ca", KafkaAuthenticationSettings::None)?;
    place.is_let_in(DependencyState::Created).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_or_a_wrong_password_is_named_and_the_next_look_takes_the_right_one() -> Result<()> {
    let mut place = Place::new("proofs").await?;
    let folder = place.folder.path().to_owned();
    let path = |file: &str| folder.join(file).to_string_lossy().into_owned();
    let certificates = PathBuf::from(place.text("/kafka/certificates")?);
    let mount_certificate = |name: &str| -> Result<()> {
        for ending in ["crt", "key"] {
            let file = certificates.join(format!("{name}.{ending}"));
            std::fs::copy(file, path(&format!("tls.{ending}")))?;
        }
        Ok(())
    };

    // The broker's own, which nothing that is mounted mends.
    place.moved("expired", "brokers-ca", KafkaAuthenticationSettings::None)?;
    place
        .is_refused("BrokerCertificateExpired", "renew it at the broker")
        .await?;

    let by_certificate = KafkaAuthenticationSettings::MutualTls {
        certificate_path: path("tls.crt"),
        key_path: path("tls.key"),
    };
    mount_certificate("expired-shop")?;
    place.moved("mutual", "brokers-ca", by_certificate)?;
    place
        .is_refused("ClientCertificateExpired", "mutualTls.certificate")
        .await?;
    mount_certificate("owner")?;
    place.is_let_in(DependencyState::Created).await?;

    let by_password = KafkaAuthenticationSettings::Scram {
        mechanism: ScramMechanism::Sha512,
        username_path: path("username"),
        password_path: path("password"),
    };
    std::fs::write(path("username"), "owner")?;
    std::fs::write(path("password"), "wrong")?;
    place.moved("scram", "brokers-ca", by_password)?;
    place.is_refused("KafkaCredentialsRefused", "user owner").await?;
    std::fs::write(path("password"), place.text("/kafka/users/owner")?)?;
    place.is_let_in(DependencyState::Exists).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_access_lists_lack_is_named_and_with_it_the_topics_are_made() -> Result<()> {
    let mut place = Place::new("lists").await?;
    let open = place.settings.kafka.bootstrap_servers.join(",");
    let path = |file: &str| place.folder.path().join(file);
    std::fs::write(path("username"), "shop")?;
    std::fs::write(path("password"), place.text("/kafka/users/shop")?)?;
    let authentication = KafkaAuthenticationSettings::Scram {
        mechanism: ScramMechanism::Sha512,
        username_path: path("username").to_string_lossy().into_owned(),
        password_path: path("password").to_string_lossy().into_owned(),
    };
    place.moved("scram", "brokers-ca", authentication)?;
    let [topic, dead_letters, group] = place.names();
    let report = place.provision().await;
    for (name, reason) in [
        (&topic, "TopicAccessDenied"),
        (&dead_letters, "TopicAccessDenied"),
        (&group, "GroupAccessDenied"),
    ] {
        let (state, message) = message(&report, name);
        ensure!(state == DependencyState::Unknown, "{name}: {state:?} {message}");
        ensure!(
            message.starts_with(reason) && message.contains("--operation Describe"),
            "{name}: {message}"
        );
    }

    let kafka = place.settings.kafka.clone();
    for name in [&kafka.topic, &kafka.dead_letter_topic] {
        allow(&open, "User:shop", Resource::Topic(name), Operation::Describe)?;
        allow(&open, "User:shop", Resource::Topic(name), Operation::DescribeConfigs)?;
    }
    allow(
        &open,
        "User:shop",
        Resource::Group(&place.settings.group),
        Operation::Describe,
    )?;
    let report = place.provision().await;
    let (state, why) = message(&report, &topic);
    ensure!(state == DependencyState::Missing, "{state:?} {why}");
    ensure!(
        why.contains("TopicAccessDenied") && why.contains("--operation Create"),
        "{why}"
    );
    ensure!(message(&report, &group).0 == DependencyState::Exists, "{report:?}");

    for name in [&kafka.topic, &kafka.dead_letter_topic] {
        allow(&open, "User:shop", Resource::Topic(name), Operation::Create)?;
    }
    let report = place.provision().await;
    for name in [&topic, &dead_letters] {
        ensure!(message(&report, name).0 == DependencyState::Created, "{report:?}");
    }

    // That its settings may not be read is told, and stops nothing.
    forbid(
        &open,
        "User:shop",
        Resource::Topic(&kafka.topic),
        Operation::DescribeConfigs,
    )?;
    let report = place.provision().await;
    let (state, why) = message(&report, &topic);
    ensure!(
        state == DependencyState::Exists
            && why.contains("TopicAccessDenied")
            && why.contains("--operation DescribeConfigs"),
        "{state:?} {why}"
    );

    // One that is there and may not be described is not taken for one that is missing.
    forbid(&open, "User:shop", Resource::Topic(&kafka.topic), Operation::Describe)?;
    let report = place.provision().await;
    let (state, why) = message(&report, &topic);
    ensure!(
        state == DependencyState::Unknown && why.starts_with("TopicAccessDenied"),
        "{state:?} {why}"
    );
    Ok(())
}

/// Its own process, because its credentials come by the environment, as in a pod.
#[tokio::test(flavor = "multi_thread")]
async fn by_iam_it_does_its_work_with_the_pods_own_identity() -> Result<()> {
    let mut place = Place::new("iam").await?;
    let open = place.settings.kafka.bootstrap_servers.join(",");
    let who = format!("User:{}", place.text("/aws/accessKeyId")?);
    let region = place.text("/aws/region")?;
    place.moved("iam", "brokers-ca", KafkaAuthenticationSettings::MskIam { region })?;
    let kafka = place.settings.kafka.clone();
    for name in [&kafka.topic, &kafka.dead_letter_topic] {
        for operation in [Operation::Describe, Operation::DescribeConfigs, Operation::Create] {
            allow(&open, &who, Resource::Topic(name), operation)?;
        }
    }
    allow(&open, &who, Resource::Group(&place.settings.group), Operation::Describe)?;
    let path = place.folder.path().join("settings.json");
    let settings = place.of("orders", &[], place.settings.clone());
    std::fs::write(&path, serde_json::to_string(&settings)?)?;
    let output = Command::new(env!("CARGO_BIN_EXE_provisioner"))
        .env("MEDALLION_SETTINGS", &path)
        .env("MEDALLION_ADMIN_LISTEN", "127.0.0.1:0")
        .env("AWS_ENDPOINT_URL_DYNAMODB", place.text("/dynamodb/endpoint")?)
        .env("AWS_ENDPOINT_URL_S3", place.text("/s3/endpoint")?)
        .env("AWS_ENDPOINT_URL_REDSHIFT_DATA", place.text("/redshift/endpoint")?)
        .env("AWS_ACCESS_KEY_ID", place.text("/aws/accessKeyId")?)
        .env("AWS_SECRET_ACCESS_KEY", place.text("/aws/secretAccessKey")?)
        .output()?;
    let log = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let [topic, dead_letters, group] = place.names();
    for (name, state) in [(topic, "Created"), (dead_letters, "Created"), (group, "Exists")] {
        let line = log.lines().find(|line| line.contains(&format!("\"{name}\"")));
        let line = line.with_context(|| format!("no word of {name} in {log}"))?;
        ensure!(line.contains(&format!("\"{state}\"")), "{line}");
    }
    Ok(())
}
