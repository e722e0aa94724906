//! DynamoDB Local with Streams, its tables outside its process so that they outlive it. Touches only the stack's own network.

use super::part::{self, Part};
use super::probe::Probe;
use crate::stack::Stack;

pub fn part(stack: &Stack) -> Part {
    let jars = stack.fetched.dynamodb.display();
    let command = part::java()
        .args(&["-Xms128m", "-Xmx512m", "-XX:+ExitOnOutOfMemoryError"])
        // Its SQLite is a native library among the jars.
        .arg(format!("-Djava.library.path={jars}"))
        .args(&["-classpath"])
        .arg(format!("{jars}/*"))
        .args(&[
            "com.amazonaws.services.dynamodbv2.local.main.ServerRunner",
            "-sharedDb",
            "-disableTelemetry",
            "-port",
            "8000",
            "-dbPath",
        ])
        .arg(stack.data("dynamodb").display().to_string());
    let address = stack.dynamodb();
    Part {
        endpoint: Some(format!("http://{address}")),
        ..Part::new("dynamodb", Some(command), Probe::DynamoDb { address })
    }
}
