//! Kafka: one `KRaft` node, broker and controller in one process, at the node's address. Touches only the stack's own network.
//!
//! One listener takes everybody, in plain text; the others are what a company's Kafka has, each at a port of its own. Who
//! comes by one of those may do nothing until an access list says so, but for the owner.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::kafka_certificates::{self as certificates, BROKER, CLIENTS_AUTHORITY, ELSEWHERE, EXPIRED_BROKER};
use super::part::{self, Part, Run};
use super::probe::Probe;
use crate::run;
use crate::stack::{
    ACCESS_KEY, KAFKA_LISTENERS, KAFKA_NEXT_OWNER, KAFKA_OWNER, KAFKA_USERS, REGION, SECRET_KEY, Stack, WORKER_KEYS,
};

/// Any 16 bytes; the cluster is made anew with every stack.
const CLUSTER_ID: &str = "bWVkYWxsaW9uLWxvY2Fs";

pub fn part(stack: &Stack) -> Part {
    let command = java(stack)
        .arg("kafka.Kafka")
        .arg(stack.etc("kafka.properties").display().to_string());
    Part {
        setup: Some(setup),
        endpoint: Some(stack.kafka()),
        ..Part::new("kafka", Some(command), Probe::Kafka { address: stack.kafka() })
    }
}

fn java(stack: &Stack) -> Run {
    part::java()
        .args(&[
            "-Xms256m",
            "-Xmx512m",
            "-XX:+ExitOnOutOfMemoryError",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
        ])
        .args(&["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-classpath"])
        .arg(format!(
            "{}/*:{}",
            stack.fetched.kafka.display(),
            stack.fetched.kafka_handler.display()
        ))
}

fn setup(stack: &Stack) -> Result<()> {
    let data = stack.data("kafka");
    certificates::make(stack)?;
    run::write_if_changed(&stack.etc("kafka.properties"), properties(stack))?;
    if data.join("meta.properties").exists() {
        return Ok(());
    }
    fs::create_dir_all(&data)?;
    let java = java(stack);
    let mut format = Command::new(&java.program);
    format.args(&java.arguments).args([
        "kafka.tools.StorageTool",
        "format",
        "--cluster-id",
        CLUSTER_ID,
        "--config",
    ]);
    format.arg(stack.etc("kafka.properties"));
    for (name, password) in KAFKA_USERS {
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let user = format!("{mechanism}=[name={name},password={password}]");
            format.args(["--add-scram", &user]);
        }
    }
    run::output_blocking(&mut format).map(drop)
}

fn properties(stack: &Stack) -> String {
    let (address, data) = (stack.kafka(), stack.data("kafka"));
    let data = data.display();
    let secure = KAFKA_LISTENERS
        .iter()
        .map(|(name, port)| format!("{}://{}:{port}", name.to_uppercase(), stack.node_ip()))
        .collect::<Vec<_>>()
        .join(",");
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:9093
listeners=PLAINTEXT://{address},CONTROLLER://127.0.0.1:9093,{secure}
advertised.listeners=PLAINTEXT://{address},{secure}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
{security}log.dirs={data}
# A topic exists because somebody created it.
auto.create.topics.enable=false
num.partitions=1
message.max.bytes=2097152
replica.fetch.max.bytes=2097152
# One broker holds the only replica of everything.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Tests do not wait for members that will not come.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# A broker that was killed may register again at once.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
",
        security = security(stack)
    )
}

/// Certificates, users and rights. A name in capitals is a listener; its settings say it in small letters.
fn security(stack: &Stack) -> String {
    let folder = stack.kafka_certificates();
    let folder = folder.display();
    let users: Vec<_> = KAFKA_USERS
        .iter()
        .map(|(name, password)| format!(" user_{name}=\"{password}\""))
        .collect();
    let users = users.concat();
    // Whoever signs with one of these is an owner.
    let known = || [ACCESS_KEY].into_iter().chain(WORKER_KEYS.map(|(_, key)| key));
    let keys: Vec<_> = known().map(|key| format!(" key_{key}=\"{SECRET_KEY}\"")).collect();
    let owners: Vec<_> = known().map(|key| format!(";User:{key}")).collect();
    let (keys, owners) = (keys.concat(), owners.concat());
    let module = "org.apache.kafka.common.security";
    format!(
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,MUTUAL:SSL,SCRAM:SASL_SSL,PLAIN:SASL_SSL,IAM:SASL_SSL,EXPIRED:SSL,ELSEWHERE:SSL
ssl.keystore.type=PEM
ssl.keystore.location={folder}/{BROKER}.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/{CLIENTS_AUTHORITY}.crt
listener.name.mutual.ssl.client.auth=required
listener.name.mutual.ssl.principal.mapping.rules=RULE:^CN=(.*?)$/$1/
listener.name.expired.ssl.keystore.location={folder}/{EXPIRED_BROKER}.pem
listener.name.elsewhere.ssl.keystore.location={folder}/{ELSEWHERE}.pem
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512
listener.name.scram.scram-sha-256.sasl.jaas.config={module}.scram.ScramLoginModule required;
listener.name.scram.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;
listener.name.plain.sasl.enabled.mechanisms=PLAIN
listener.name.plain.plain.sasl.jaas.config={module}.plain.PlainLoginModule required{users};
# As Amazon MSK's IAM; sessions end soon, so that clients must show a new token.
listener.name.iam.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.iam.oauthbearer.sasl.jaas.config={module}.oauthbearer.OAuthBearerLoginModule required region=\"{REGION}\"{keys};
listener.name.iam.oauthbearer.sasl.server.callback.handler.class=MskIamHandler
listener.name.iam.oauthbearer.sasl.login.callback.handler.class=MskIamHandler
listener.name.iam.oauthbearer.connections.max.reauth.ms=20000
# Who comes in plain text is nobody and may do everything; so are the tools of the stack. The others are the stories'.
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:{KAFKA_OWNER};User:{KAFKA_NEXT_OWNER}{owners}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::tests::example;

    #[test]
    fn every_listener_has_its_protocol_and_its_port() {
        let text = properties(&example());
        let map = text
            .lines()
            .find_map(|line| line.strip_prefix("listener.security.protocol.map="))
            .unwrap();
        for (name, port) in KAFKA_LISTENERS {
            let name = name.to_uppercase();
            assert!(
                map.split(',').any(|entry| entry.split(':').next() == Some(&name)),
                "{map}"
            );
            assert!(text.contains(&format!("{name}://10.99.3.2:{port}")), "{text}");
        }
    }
}
