//! The gateway as a function of AWS Lambda. Takes events from the Lambda runtime and produces to Kafka.

use std::process::ExitCode;

fn main() -> ExitCode {
    gateway::function::start()
}
