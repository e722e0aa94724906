//! Access lists at the broker, by Kafka's own protocol, because `rdkafka` wraps neither request. Loopback only.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Result, ensure};
use kafka_client::{Operation, Resource};

const CREATE_ACLS: i16 = 30;
const DELETE_ACLS: i16 = 31;
/// The oldest version that brokers take, and the last whose lengths are plain numbers.
const VERSION: i16 = 1;
const LITERAL: u8 = 3;
const ALLOW: u8 = 3;

/// Allows a principal an operation.
pub fn allow(broker: &str, principal: &str, on: Resource<'_>, operation: Operation) -> Result<()> {
    let mut body = Vec::from(1_i32.to_be_bytes());
    push_entry(&mut body, on, principal, operation);
    let answer = ask(broker, CREATE_ACLS, &body)?;
    // Throttle time, number of results, code of the first.
    ensure!(answer.get(8..10) == Some(&[0, 0]), "{answer:?}");
    Ok(())
}

/// Takes that back.
pub fn forbid(broker: &str, principal: &str, on: Resource<'_>, operation: Operation) -> Result<()> {
    let mut body = Vec::from(1_i32.to_be_bytes());
    push_entry(&mut body, on, principal, operation);
    let answer = ask(broker, DELETE_ACLS, &body)?;
    ensure!(answer.get(8..10) == Some(&[0, 0]), "{answer:?}");
    Ok(())
}

/// An entry, and the filter that picks it, look alike.
fn push_entry(body: &mut Vec<u8>, on: Resource<'_>, principal: &str, operation: Operation) {
    let (kind, name) = match on {
        Resource::Topic(name) => (2, name),
        Resource::Group(name) => (3, name),
        Resource::Cluster => (4, "kafka-cluster"),
    };
    body.push(kind);
    push_text(body, name);
    body.push(LITERAL);
    push_text(body, principal);
    push_text(body, "*");
    body.push(match operation {
        Operation::Read => 3,
        Operation::Write => 4,
        Operation::Create => 5,
        Operation::Describe => 8,
        Operation::DescribeConfigs => 10,
        Operation::IdempotentWrite => 12,
        other => unreachable!("no test allows {other}"),
    });
    body.push(ALLOW);
}

fn push_text(body: &mut Vec<u8>, text: &str) {
    let length = i16::try_from(text.len()).expect("a short text");
    body.extend(length.to_be_bytes());
    body.extend(text.as_bytes());
}

fn ask(broker: &str, request: i16, body: &[u8]) -> Result<Vec<u8>> {
    let mut message = Vec::new();
    message.extend(request.to_be_bytes());
    message.extend(VERSION.to_be_bytes());
    message.extend(7_i32.to_be_bytes());
    push_text(&mut message, "test");
    message.extend(body);
    let mut stream = TcpStream::connect(broker)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(&i32::try_from(message.len())?.to_be_bytes())?;
    stream.write_all(&message)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length))?];
    stream.read_exact(&mut answer)?;
    // Behind the correlation id.
    Ok(answer.split_off(4))
}
