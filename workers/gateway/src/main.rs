//! The gateway's process. Listens for events and produces to Kafka.

use std::process::ExitCode;

use medallion_crds::Worker;

fn main() -> ExitCode {
    worker_kit::start(Worker::Gateway, gateway::run)
}
