//! What is mounted changes while a worker runs: its next client is another's, or is let in at last.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};
use kafka_client::{
    Brokers, Diagnosis, KafkaContext, Need, Operation, Renewed, Resource, Rights, Token, TokenSource, reach, rights,
};
use medallion_crds::Reason;
use medallion_crds::launch::KafkaSettings;
use medallion_crds::pipeline::ScramMechanism;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::acl::allow;
use crate::password::{self, FIRST, SECOND};
use crate::stack::{NAMED_WITHIN, Stack, client, unique};

const ASK: Duration = Duration::from_secs(20);

type Client = Renewed<BaseConsumer<KafkaContext>>;

fn renewed(settings: &KafkaSettings) -> Client {
    Renewed::new(Brokers::without_tokens(settings), |snapshot| {
        snapshot
            .consumer("test", "test")
            .create_with_context(snapshot.context())
    })
}

/// Whether the client of now may write to the topic, or why it is not even let in.
fn may_write(client: &Client, settings: &KafkaSettings) -> Result<Result<bool, Diagnosis>> {
    let client = client.get()?;
    if let Err(refusal) = reach(&client, settings, NAMED_WITHIN) {
        return Ok(Err(refusal));
    }
    let needs = [Need {
        on: Resource::Topic(&settings.topic),
        operations: &[Operation::Write],
    }];
    let asked = || Ok::<_, anyhow::Error>(rights(client.client(), client.context(), &needs, ASK)? == Rights::Enough);
    // A list that was made just now may not have been read by the broker yet.
    if !asked()? {
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(Ok(asked()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_corrected_and_then_another_users() -> Result<()> {
    let stack = Stack::read()?;
    let topic = unique("rotated");
    stack.make_topic(&topic).await?;
    allow(stack.open()?, "User:shop-2", Resource::Topic(&topic), Operation::Write)?;
    stack.mount_user("shop", "wrong")?;
    let settings = stack.settings("scram", &topic, Some("brokers-ca"), stack.scram(ScramMechanism::Sha512))?;
    tokio::task::spawn_blocking(move || {
        let client = renewed(&settings);
        let refusal = may_write(&client, &settings)?.expect_err("a wrong password");
        ensure!(refusal.reason == Reason::KafkaCredentialsRefused, "{refusal}");

        stack.mount_user("shop", stack.password("shop")?)?;
        ensure!(client.look().is_some(), "another client");
        ensure!(
            may_write(&client, &settings)? == Ok(false),
            "let in, and not allowed to write"
        );

        stack.mount_user("shop-2", stack.password("shop-2")?)?;
        ensure!(client.look().is_some(), "another client");
        ensure!(may_write(&client, &settings)? == Ok(true), "who may write");
        Ok(())
    })
    .await?
}

/// In the order in which it happens where nobody can change both at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_changed_at_the_broker_and_the_secret_follows() -> Result<()> {
    let stack = Stack::read()?;
    let (topic, user) = (unique("changed"), unique("user"));
    stack.make_topic(&topic).await?;
    password::set(stack.open()?, &user, &FIRST)?;
    let who = format!("User:{user}");
    allow(stack.open()?, &who, Resource::Topic(&topic), Operation::Write)?;
    stack.mount_user(&user, FIRST.text)?;
    let settings = stack.settings("scram", &topic, Some("brokers-ca"), stack.scram(ScramMechanism::Sha512))?;
    tokio::task::spawn_blocking(move || {
        let client = renewed(&settings);
        ensure!(may_write(&client, &settings)? == Ok(true), "the first password");

        password::set(stack.open()?, &user, &SECOND)?;
        // Who is connected stays so; the next connection is refused, as soon as the broker has read the change.
        let begun = Instant::now();
        let refusal = loop {
            ensure!(client.renew().is_some(), "another client");
            if let Err(refusal) = may_write(&client, &settings)? {
                break refusal;
            }
            ensure!(begun.elapsed() < NAMED_WITHIN, "the first password still does");
        };
        ensure!(
            refusal.reason == Reason::KafkaCredentialsRefused && refusal.message.contains(&user),
            "{refusal}"
        );

        stack.mount_user(&user, SECOND.text)?;
        ensure!(client.look().is_some(), "another client");
        ensure!(may_write(&client, &settings)? == Ok(true), "the second password");
        Ok(())
    })
    .await?
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_and_then_anothers() -> Result<()> {
    let stack = Stack::read()?;
    let topic = unique("renewed");
    stack.make_topic(&topic).await?;
    allow(stack.open()?, "User:shop-2", Resource::Topic(&topic), Operation::Write)?;
    stack.mount_certificate("expired-shop")?;
    let settings = stack.settings("mutual", &topic, Some("brokers-ca"), stack.mutual_tls())?;
    tokio::task::spawn_blocking(move || {
        let client = renewed(&settings);
        let refusal = may_write(&client, &settings)?.expect_err("an old certificate");
        ensure!(refusal.reason == Reason::ClientCertificateExpired, "{refusal}");
        for (name, may) in [("shop", false), ("shop-2", true)] {
            stack.mount_certificate(name)?;
            ensure!(client.look().is_some(), "another client");
            ensure!(may_write(&client, &settings)? == Ok(may), "{name}");
        }
        Ok(())
    })
    .await?
}

/// Gives tokens of which the client believes that they are good for a few seconds only, and counts them.
struct ShortLived {
    source: Arc<dyn TokenSource>,
    count: AtomicUsize,
}

const LIVES: Duration = Duration::from_secs(5);

impl TokenSource for ShortLived {
    fn token(&self) -> Result<Token, Diagnosis> {
        self.count.fetch_add(1, Ordering::SeqCst);
        let mut token = self.source.token()?;
        token.expires = SystemTime::now() + LIVES;
        Ok(token)
    }
}

/// Longer than the broker's own sessions, which end after twenty seconds if no other token is shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_made_anew_before_the_last_one_ends() -> Result<()> {
    let stack = Stack::read()?;
    let settings = stack.settings("iam", "any", Some("brokers-ca"), stack.iam()?)?;
    let tokens = Arc::new(ShortLived {
        source: stack.tokens(stack.secret_key()?, stack.region()?)?,
        count: AtomicUsize::new(0),
    });
    let brokers = Brokers::with_tokens(&settings, tokens.clone());
    tokio::task::spawn_blocking(move || {
        let client = client(&brokers.read()?)?;
        reach(&client, &settings, NAMED_WITHIN)?;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(25) {
            while client.poll(Duration::from_millis(100)).is_some() {}
            client.client().fetch_metadata(Some("any"), ASK)?;
            std::thread::sleep(Duration::from_millis(200));
        }
        let refusal = client.context().refusal();
        ensure!(refusal.is_none(), "{refusal:?}");
        let count = tokens.count.load(Ordering::SeqCst);
        ensure!(count >= 4, "{count} tokens in 25 s, of which each lives for 5 s");
        Ok(())
    })
    .await?
}
