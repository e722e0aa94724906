//! Kafka: one `KRaft` node, broker and controller in one process, at the node's address. Touches only the stack's own network.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::part::{self, Part, Run};
use super::probe::Probe;
use crate::run;
use crate::stack::Stack;

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
        .arg(format!("{}/*", stack.fetched.kafka.display()))
}

fn setup(stack: &Stack) -> Result<()> {
    let data = stack.data("kafka");
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
    run::output_blocking(format.arg(stack.etc("kafka.properties"))).map(drop)
}

fn properties(stack: &Stack) -> String {
    let (address, data) = (stack.kafka(), stack.data("kafka"));
    let data = data.display();
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:9093
listeners=PLAINTEXT://{address},CONTROLLER://127.0.0.1:9093
advertised.listeners=PLAINTEXT://{address}
controller.listener.names=CONTROLLER
log.dirs={data}
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
"
    )
}
