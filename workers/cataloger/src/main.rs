//! The cataloger's process. Everything of interest is in the library.

use std::process::ExitCode;

use medallion_crds::Worker;

fn main() -> ExitCode {
    worker_kit::start(Worker::Cataloger, cataloger::run)
}
