//! The stand-in of the Redshift Data API from this workspace; absent while it is not built. Touches only the stack's own network.

use super::part::{Part, Run};
use super::probe::Probe;
use crate::stack::{ACCESS_KEY, REDSHIFT_PROGRAM, REGION, SECRET_KEY, Stack};

pub const NAME: &str = "redshift";

pub fn part(stack: &Stack) -> Part {
    let address = stack.redshift();
    let program = stack.own_program(REDSHIFT_PROGRAM);
    let command = Run::new(&program)
        .args(&["--listen", &address, "--postgres", &stack.postgres_url()])
        .arg("--s3-endpoint")
        .arg(format!("http://{}", stack.s3()))
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_REGION", REGION)
        .env("RUST_LOG", "info");
    Part {
        after: &["postgres", "s3"],
        only_if: Some(program),
        endpoint: Some(format!("http://{address}")),
        ..Part::new(
            NAME,
            Some(command),
            Probe::Http {
                address,
                path: "/healthz",
            },
        )
    }
}
