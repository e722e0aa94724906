//! Everything that can be wrong with a connection has a word of its own, which comes in time with what to do.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};
use kafka_client::{Brokers, Diagnosis, Token, TokenSource};
use medallion_crds::Reason;
use medallion_crds::launch::KafkaAuthenticationSettings;
use medallion_crds::pipeline::ScramMechanism;

use crate::stack::{NAMED_WITHIN, Stack, knock};

const NONE: KafkaAuthenticationSettings = KafkaAuthenticationSettings::None;

/// The brokers refuse with this reason, and the words say so.
async fn refused(brokers: Brokers, reason: Reason, words: &[&str]) -> Result<()> {
    let begun = Instant::now();
    let Err(why) = knock(brokers).await? else {
        anyhow::bail!("they let us in, {reason} was expected");
    };
    println!("{why}");
    ensure!(why.reason == reason, "{why}");
    for word in words {
        ensure!(why.message.contains(word), "{word} is not in: {why}");
    }
    ensure!(begun.elapsed() < NAMED_WITHIN, "after {:?}", begun.elapsed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brokers_certificate_that_does_not_do() -> Result<()> {
    let stack = Stack::read()?;
    for (listener, authority, reason, words) in [
        ("tls", "clients-ca", Reason::BrokerNotTrusted, "spec.kafka.tls.ca"),
        (
            "expired",
            "brokers-ca",
            Reason::BrokerCertificateExpired,
            "expired at 2024-01-02",
        ),
        (
            "elsewhere",
            "brokers-ca",
            Reason::BrokerNameDiffers,
            "names elsewhere.example:",
        ),
    ] {
        let settings = stack.settings(listener, "any", Some(authority), NONE)?;
        refused(Brokers::without_tokens(&settings), reason, &[words]).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_certificate_that_does_not_do() -> Result<()> {
    let stack = Stack::read()?;
    for (name, reason, words) in [
        (
            "expired-shop",
            Reason::ClientCertificateExpired,
            "expired at 2024-01-02",
        ),
        // The library sees that it is of another authority and shows none.
        ("stranger", Reason::ClientCertificateRefused, "truststore"),
    ] {
        stack.mount_certificate(name)?;
        let settings = stack.settings("mutual", "any", Some("brokers-ca"), stack.mutual_tls())?;
        refused(Brokers::without_tokens(&settings), reason, &[words]).await?;
    }
    let settings = stack.settings("mutual", "any", Some("brokers-ca"), NONE)?;
    refused(
        Brokers::without_tokens(&settings),
        Reason::KafkaListenerDiffers,
        &["MutualTls"],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_or_a_user_that_is_wrong() -> Result<()> {
    let stack = Stack::read()?;
    for (listener, authentication) in [("scram", stack.scram(ScramMechanism::Sha512)), ("plain", stack.plain())] {
        for (user, password) in [("shop", "wrong"), ("nobody", stack.password("shop")?)] {
            stack.mount_user(user, password)?;
            let settings = stack.settings(listener, "any", Some("brokers-ca"), authentication.clone())?;
            let words = ["spec.kafka.authentication", user];
            refused(
                Brokers::without_tokens(&settings),
                Reason::KafkaCredentialsRefused,
                &words,
            )
            .await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_or_mechanism() -> Result<()> {
    let stack = Stack::read()?;
    stack.mount_user("shop", stack.password("shop")?)?;
    let reason = Reason::KafkaListenerDiffers;
    for (listener, authority, authentication) in [
        ("scram", Some("brokers-ca"), stack.plain()),
        ("plain", Some("brokers-ca"), stack.scram(ScramMechanism::Sha512)),
        ("tls", None, NONE),
        ("open", Some("brokers-ca"), NONE),
    ] {
        let settings = stack.settings(listener, "any", authority, authentication)?;
        refused(Brokers::without_tokens(&settings), reason.clone(), &["spec.kafka"]).await?;
    }
    Ok(())
}

/// Gives a token that was signed long ago, and says that it is good still.
struct Stale(Arc<dyn TokenSource>);

impl TokenSource for Stale {
    fn token(&self) -> Result<Token, Diagnosis> {
        let mut token = self.0.token()?;
        token.expires = SystemTime::now() + Duration::from_mins(1);
        Ok(token)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_signed_wrong() -> Result<()> {
    let stack = Stack::read()?;
    let settings = stack.settings("iam", "any", Some("brokers-ca"), stack.iam()?)?;
    let reason = Reason::KafkaCredentialsRefused;
    let words = ["kafka-cluster:Connect"];
    refused(
        stack.with_iam(&settings, "another secret", stack.region()?)?,
        reason.clone(),
        &words,
    )
    .await?;
    refused(
        stack.with_iam(&settings, stack.secret_key()?, "us-east-1")?,
        reason.clone(),
        &words,
    )
    .await?;
    let long_ago = || SystemTime::now() - Duration::from_hours(1);
    let stale = Stale(stack.tokens_at(stack.secret_key()?, stack.region()?, long_ago)?);
    refused(Brokers::with_tokens(&settings, Arc::new(stale)), reason, &words).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_mounted_does_not_fit_together() -> Result<()> {
    let stack = Stack::read()?;
    stack.mount_certificate("shop")?;
    let other = std::fs::read_to_string(stack.mounted("tls.key"))?;
    stack.mount_certificate("shop-2")?;
    stack.mount("tls.key", &other)?;
    let settings = stack.settings("mutual", "any", Some("brokers-ca"), stack.mutual_tls())?;
    let snapshot = Brokers::without_tokens(&settings).read()?;
    let created = snapshot
        .consumer("test", "test")
        .create_with_context::<_, rdkafka::consumer::BaseConsumer<_>>(snapshot.context());
    let why = snapshot.unusable(&created.err().expect("no client"));
    println!("{why}");
    ensure!(why.reason == Reason::KafkaCredentialsUnreadable, "{why}");
    Ok(())
}
