//! The consumer's process. Consumes from Kafka, writes to `DynamoDB`, produces dead letters.

use std::process::ExitCode;

use medallion_crds::Worker;

fn main() -> ExitCode {
    worker_kit::start(Worker::Consumer, consumer::run)
}
