//! A right that is missing is named before it is needed, with what it is on, and its coming is noticed.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kafka_client::{Brokers, KafkaContext, Need, Operation, Resource, Rights, reach, rights};
use medallion_crds::Reason;
use medallion_crds::pipeline::ScramMechanism;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};

use crate::acl::{allow, forbid};
use crate::stack::{NAMED_WITHIN, Stack, client, unique};

const ASK: Duration = Duration::from_secs(20);

fn asked(client: &BaseConsumer<KafkaContext>, on: Resource<'_>, operations: &[Operation]) -> Result<Rights> {
    let needs = [Need { on, operations }];
    Ok(rights(client.client(), client.context(), &needs, ASK)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn on_topic_and_group() -> Result<()> {
    let stack = Stack::read()?;
    let (topic, group) = (unique("rights"), unique("readers"));
    stack.make_topic(&topic).await?;
    stack.mount_user("shop", stack.password("shop")?)?;
    let settings = stack.settings("scram", &topic, Some("brokers-ca"), stack.scram(ScramMechanism::Sha512))?;
    tokio::task::spawn_blocking(move || {
        let snapshot = Brokers::without_tokens(&settings).read()?;
        let client = client(&snapshot)?;
        reach(&client, &settings, NAMED_WITHIN)?;
        let (open, who) = (stack.open()?, "User:shop");
        for (on, reason, operations) in [
            (
                Resource::Topic(topic.as_str()),
                Reason::TopicAccessDenied,
                [Operation::Read, Operation::Write].as_slice(),
            ),
            (
                Resource::Group(group.as_str()),
                Reason::GroupAccessDenied,
                &[Operation::Read],
            ),
        ] {
            let Rights::Missing(why) = asked(&client, on, operations)? else {
                anyhow::bail!("nothing is allowed on {on:?}");
            };
            println!("{why}");
            ensure!(why.reason == reason && why.message.contains("kafka-acls.sh"), "{why}");
            for operation in operations {
                ensure!(why.message.contains(&format!("--operation {operation}")), "{why}");
                allow(open, who, on, *operation)?;
            }
            let begun = Instant::now();
            while asked(&client, on, operations)? != Rights::Enough {
                ensure!(begun.elapsed() < NAMED_WITHIN, "it is allowed, and nobody sees it");
                std::thread::sleep(Duration::from_millis(200));
            }
            forbid(open, who, on, operations[0])?;
            let begun = Instant::now();
            while asked(&client, on, operations)? == Rights::Enough {
                ensure!(begun.elapsed() < NAMED_WITHIN, "it is taken back, and nobody sees it");
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        Ok(())
    })
    .await?
}

/// Who may write nowhere may not be an idempotent producer; librdkafka takes that for the end of the producer.
#[tokio::test(flavor = "multi_thread")]
async fn on_the_cluster() -> Result<()> {
    let stack = Stack::read()?;
    let topic = unique("nowhere");
    stack.make_topic(&topic).await?;
    stack.mount_certificate("shop-3")?;
    let settings = stack.settings("mutual", &topic, Some("brokers-ca"), stack.mutual_tls())?;
    allow(
        stack.open()?,
        "User:shop-3",
        Resource::Topic(&topic),
        Operation::Describe,
    )?;
    let snapshot = Brokers::without_tokens(&settings).read()?;
    let context = snapshot.context();
    let producer: FutureProducer<KafkaContext> = snapshot
        .producer("test")
        .set("message.timeout.ms", "10000")
        .create_with_context(context.clone())?;
    let record = FutureRecord::<(), _>::to(&topic).payload("nowhere");
    producer.send(record, ASK).await.expect_err("nothing may be written");
    let (code, _) = producer.client().fatal_error().expect("the producer has ended");
    ensure!(code == RDKafkaErrorCode::ClusterAuthorizationFailed, "{code}");
    let why = context.denial(&rdkafka::error::KafkaError::Global(code), &[]);
    let why = why.expect("a denial");
    println!("{why}");
    ensure!(why.reason == Reason::ClusterAccessDenied, "{why}");
    Ok(())
}
