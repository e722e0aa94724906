//! The consumer at brokers with passwords and access lists: what is wrong is named, mended without a restart, and loses nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kafka_client::{Operation, Resource};
use serde_json::{Value, json};

use crate::acl::{allow, forbid};
use crate::process::Consumer;
use crate::stack::{Stack, event};
use crate::{PATIENCE, eventually};

/// Whatever is wrong must be named within this time.
const NAMED_WITHIN: Duration = Duration::from_secs(30);

/// Settings for the listener that wants passwords, and its authority mounted.
fn scram(stack: &Stack, mounted: &Path) -> Result<Value> {
    let authority = mounted.join("ca.pem");
    fs::copy(certificate(stack, "brokers-ca.crt")?, &authority)?;
    Ok(json!({
        "bootstrapServers": [stack.document["kafka"]["listeners"]["scram"]],
        "topic": stack.name,
        "deadLetterTopic": stack.dead_letter_topic(),
        "tls": {"caPath": authority},
        "authentication": {
            "type": "Scram",
            "mechanism": "Sha512",
            "usernamePath": mounted.join("username"),
            "passwordPath": mounted.join("password"),
        },
    }))
}

fn certificate(stack: &Stack, file: &str) -> Result<PathBuf> {
    let folder = stack.document["kafka"]["certificates"].as_str();
    Ok(Path::new(folder.context("certificates")?).join(file))
}

fn rights(stack: &Stack) -> Vec<(String, bool, Operation)> {
    let (topic, dead_letters) = (stack.name.clone(), stack.dead_letter_topic());
    vec![
        (topic.clone(), false, Operation::Read),
        (topic, true, Operation::Read),
        (dead_letters.clone(), false, Operation::Read),
        (dead_letters, false, Operation::Write),
        (format!("{}.dead-letters", stack.name), true, Operation::Describe),
    ]
}

fn allow_both(stack: &Stack) -> Result<()> {
    for (name, is_group, operation) in rights(stack) {
        for user in ["User:shop", "User:shop-2"] {
            allow(&stack.bootstrap_servers, user, on(&name, is_group), operation)?;
        }
    }
    Ok(())
}

fn names(consumer: &Consumer, reason: &str) -> Result<()> {
    eventually(reason, NAMED_WITHIN, || {
        Ok(consumer.progress()?["trouble"]["reason"] == reason)
    })?;
    println!("{}", consumer.progress()?["trouble"]);
    Ok(())
}

fn heals(stack: &Stack, consumer: &Consumer, count: usize) -> Result<()> {
    eventually("all are stored", PATIENCE, || Ok(stack.stored()?.len() >= count))?;
    eventually("no trouble is left", NAMED_WITHIN, || {
        Ok(consumer.progress()?["trouble"].is_null())
    })
}

fn on(name: &str, is_group: bool) -> Resource<'_> {
    if is_group {
        Resource::Group(name)
    } else {
        Resource::Topic(name)
    }
}

#[test]
fn a_wrong_password_a_wrong_authority_a_missing_right_and_a_new_user_need_no_new_process() -> Result<()> {
    let stack = Stack::new("secure")?;
    let mounted = tempfile::tempdir()?;
    let mount = |user: &str, password: &str| -> Result<()> {
        fs::write(mounted.path().join("username"), user)?;
        Ok(fs::write(mounted.path().join("password"), password)?)
    };
    let password = |user: &str| -> Result<String> {
        let found = stack.document["kafka"]["users"][user].as_str();
        Ok(found.context("a password")?.to_owned())
    };
    let open = stack.bootstrap_servers.as_str();
    let mut posted = BTreeSet::new();
    let mut post = |numbers: std::ops::Range<usize>| -> Result<()> {
        for number in numbers {
            stack.produce(&event(number))?;
            posted.insert((format!("{}", number % 97), format!("e{number}")));
        }
        stack.flush()?;
        Ok(())
    };
    allow_both(&stack)?;
    post(0..200)?;

    mount("shop", "wrong")?;
    let mut consumer = Consumer::start_with(&stack, "secure", &[], &scram(&stack, mounted.path())?)?;
    let heals = |consumer: &Consumer, count: usize| heals(&stack, consumer, count);
    names(&consumer, "KafkaCredentialsRefused")?;
    mount("shop", &password("shop")?)?;
    heals(&consumer, 200)?;

    // What no client can be made of is named, and the one of before goes on meanwhile.
    let mut count = 200;
    let authority = mounted.path().join("ca.pem");
    let whole = fs::read(&authority)?;
    fs::write(
        &authority,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )?;
    names(&consumer, "KafkaCredentialsUnreadable")?;
    post(count..count + 50)?;
    count += 50;
    eventually("they are stored all the same", PATIENCE, || {
        Ok(stack.stored()?.len() >= count)
    })?;
    names(&consumer, "KafkaCredentialsUnreadable")?;
    fs::write(&authority, &whole)?;
    heals(&consumer, count)?;

    // What can be read and is not who signs for the brokers lets nobody in, until it is.
    fs::copy(certificate(&stack, "clients-ca.crt")?, &authority)?;
    names(&consumer, "BrokerNotTrusted")?;
    post(count..count + 50)?;
    count += 50;
    fs::write(&authority, whole)?;
    heals(&consumer, count)?;

    // Each right is taken, named with what it is on, and given back.
    for (name, is_group, operation) in rights(&stack) {
        forbid(open, "User:shop", on(&name, is_group), operation)?;
        names(
            &consumer,
            if is_group {
                "GroupAccessDenied"
            } else {
                "TopicAccessDenied"
            },
        )?;
        let message = consumer.progress()?["trouble"]["message"].to_string();
        ensure!(
            message.contains(&name) && message.contains("kafka-acls.sh"),
            "{message}"
        );
        post(count..count + 50)?;
        count += 50;
        allow(open, "User:shop", on(&name, is_group), operation)?;
        heals(&consumer, count)?;
    }

    // Another user takes over while records come, and the one of before may do nothing any more.
    post(count..count + 1000)?;
    mount("shop-2", &password("shop-2")?)?;
    std::thread::sleep(Duration::from_secs(5));
    for (name, is_group, operation) in rights(&stack) {
        forbid(open, "User:shop", on(&name, is_group), operation)?;
    }
    count += 1000;
    post(count..count + 100)?;
    count += 100;
    heals(&consumer, count)?;
    eventually("nothing waits", PATIENCE, || Ok(consumer.lag()? == 0))?;
    ensure!(stack.stored()? == posted, "what is stored is what was sent");
    ensure!(stack.dead_letters()? == 0, "nothing was dead-lettered");
    ensure!(consumer.lives()?, "one process all the time");
    ensure!(consumer.stop()? == 0, "it ends well");
    ensure!(stack.committed()? == i64::try_from(count)?, "every offset is committed");
    Ok(())
}

/// Certificates run out, the consumer's and the broker's: whose it is is told, and nobody ends of it.
#[test]
fn an_expired_certificate_is_named_and_a_renewed_one_needs_no_new_process() -> Result<()> {
    let stack = Stack::new("certificates")?;
    let mounted = tempfile::tempdir()?;
    let mount = |name: &str| -> Result<()> {
        for ending in ["crt", "key"] {
            let file = certificate(&stack, &format!("{name}.{ending}"))?;
            fs::copy(file, mounted.path().join(format!("tls.{ending}")))?;
        }
        Ok(())
    };
    let kafka = |listener: &str, authentication: Value| -> Result<Value> {
        Ok(json!({
            "bootstrapServers": [stack.document["kafka"]["listeners"][listener]],
            "topic": stack.name,
            "deadLetterTopic": stack.dead_letter_topic(),
            "tls": {"caPath": certificate(&stack, "brokers-ca.crt")?},
            "authentication": authentication,
        }))
    };
    let mut posted = BTreeSet::new();
    for number in 0..100 {
        stack.produce(&event(number))?;
        posted.insert((format!("{}", number % 97), format!("e{number}")));
    }
    stack.flush()?;

    // Nothing that is mounted mends the broker's own.
    let mut other = Consumer::start_with(&stack, "other", &[], &kafka("expired", json!({"type": "None"}))?)?;
    names(&other, "BrokerCertificateExpired")?;

    mount("expired-shop")?;
    let by_certificate = json!({
        "type": "MutualTls",
        "certificatePath": mounted.path().join("tls.crt"),
        "keyPath": mounted.path().join("tls.key"),
    });
    let mut consumer = Consumer::start_with(&stack, "renewed", &[], &kafka("mutual", by_certificate)?)?;
    names(&consumer, "ClientCertificateExpired")?;
    ensure!(stack.stored()?.is_empty(), "nobody was let in");
    mount("owner")?;
    heals(&stack, &consumer, posted.len())?;
    ensure!(stack.stored()? == posted, "what is stored is what was sent");
    ensure!(stack.dead_letters()? == 0, "nothing was dead-lettered");
    ensure!(consumer.lives()? && other.lives()?, "nobody has ended");
    ensure!(consumer.stop()? == 0, "it ends well");
    Ok(())
}
