//! Each listener takes who is right for it: a record goes in and comes out.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kafka_client::{Brokers, KafkaContext, Operation, Resource, code_of};
use medallion_crds::launch::{KafkaAuthenticationSettings, KafkaTlsSettings};
use medallion_crds::pipeline::ScramMechanism;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::acl::allow;
use crate::stack::{Stack, knock, unique};

const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn tls_alone() -> Result<()> {
    let stack = Stack::read()?;
    let topic = unique("tls");
    stack.make_topic(&topic).await?;
    let settings = stack.settings("tls", &topic, Some("brokers-ca"), KafkaAuthenticationSettings::None)?;
    goes_through(Brokers::without_tokens(&settings)).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the test below starts it, with an environment of its own"]
async fn knocks_without_naming_an_authority() -> Result<()> {
    let stack = Stack::read()?;
    let mut settings = stack.settings("tls", "any", None, KafkaAuthenticationSettings::None)?;
    settings.tls = Some(KafkaTlsSettings { ca_path: None });
    match knock(Brokers::without_tokens(&settings)).await? {
        Ok(()) => println!("\nlet in"),
        Err(why) => println!("\n{}", why.reason),
    }
    Ok(())
}

/// Those of the image, or the bundle that an administrator has put in their place.
#[test]
fn tls_that_names_no_authority_trusts_those_of_the_environment() -> Result<()> {
    let stack = Stack::read()?;
    for (authority, said) in [("brokers-ca", "let in"), ("clients-ca", "BrokerNotTrusted")] {
        let output = Command::new(std::env::current_exe()?)
            .args(["--ignored", "--exact", "--nocapture"])
            .arg("listeners::knocks_without_naming_an_authority")
            .env("SSL_CERT_FILE", stack.authority(authority)?)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{text}");
        ensure!(text.lines().any(|line| line == said), "{said} is not in {text}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mutual_tls() -> Result<()> {
    let stack = Stack::read()?;
    let topic = unique("mutual");
    allowed(&stack, "User:shop", &topic).await?;
    stack.mount_certificate("shop")?;
    let settings = stack.settings("mutual", &topic, Some("brokers-ca"), stack.mutual_tls())?;
    goes_through(Brokers::without_tokens(&settings)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn scram_with_either_mechanism() -> Result<()> {
    let stack = Stack::read()?;
    stack.mount_user("shop", stack.password("shop")?)?;
    for (mechanism, name) in [
        (ScramMechanism::Sha256, "scram-256"),
        (ScramMechanism::Sha512, "scram-512"),
    ] {
        let topic = unique(name);
        allowed(&stack, "User:shop", &topic).await?;
        let settings = stack.settings("scram", &topic, Some("brokers-ca"), stack.scram(mechanism))?;
        goes_through(Brokers::without_tokens(&settings)).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn plain() -> Result<()> {
    let stack = Stack::read()?;
    let topic = unique("plain");
    allowed(&stack, "User:shop", &topic).await?;
    stack.mount_user("shop\n", stack.password("shop")?)?;
    let settings = stack.settings("plain", &topic, Some("brokers-ca"), stack.plain())?;
    goes_through(Brokers::without_tokens(&settings)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn amazons_iam() -> Result<()> {
    let stack = Stack::read()?;
    let topic = unique("iam");
    allowed(&stack, &format!("User:{}", stack.access_key()?), &topic).await?;
    let settings = stack.settings("iam", &topic, Some("brokers-ca"), stack.iam()?)?;
    goes_through(stack.with_iam(&settings, stack.secret_key()?, stack.region()?)?).await
}

/// A topic that the principal may write and read.
async fn allowed(stack: &Stack, principal: &str, topic: &str) -> Result<()> {
    stack.make_topic(topic).await?;
    for operation in [Operation::Read, Operation::Write] {
        allow(stack.open()?, principal, Resource::Topic(topic), operation)?;
    }
    Ok(())
}

async fn goes_through(brokers: Brokers) -> Result<()> {
    let snapshot = brokers.read()?;
    let topic = snapshot.settings().topic.clone();
    let producer: FutureProducer<KafkaContext> = snapshot.producer("test").create_with_context(snapshot.context())?;
    let begun = Instant::now();
    loop {
        let record = FutureRecord::<(), _>::to(&topic).payload("there");
        match producer.send(record, PATIENCE).await {
            Ok(_) => break,
            // The list is made, and the broker has not read it yet.
            Err((error, _)) if code_of(&error) == Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                ensure!(begun.elapsed() < PATIENCE, "{error}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer<KafkaContext> = snapshot
            .consumer("test", "test")
            .create_with_context(snapshot.context())?;
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(&topic, 0, Offset::Beginning)?;
        consumer.assign(&from)?;
        let begun = Instant::now();
        loop {
            ensure!(begun.elapsed() < PATIENCE, "a record in vain");
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                ensure!(message.payload().context("a value")? == b"there");
                return Ok(());
            }
        }
    })
    .await?
}
