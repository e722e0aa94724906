//! The exporter as a function of AWS Lambda. Takes batches from the Lambda runtime and writes to S3.

use std::process::ExitCode;

fn main() -> ExitCode {
    exporter::start_function()
}
