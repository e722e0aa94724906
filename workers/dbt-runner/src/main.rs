//! Starts the dbt-runner. Talks to object storage, serves the admin port.

use std::process::ExitCode;

use medallion_crds::Worker;

fn main() -> ExitCode {
    worker_kit::start(Worker::DbtRunner, dbt_runner::run)
}
