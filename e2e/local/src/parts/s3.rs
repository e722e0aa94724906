//! S3: versitygw over a plain folder. Touches only the stack's own network.

use std::fs;

use anyhow::Result;

use super::part::{Part, Run};
use super::probe::Probe;
use crate::stack::{ACCESS_KEY, REGION, SECRET_KEY, Stack};

const HEALTH: &str = "/_health";

pub fn part(stack: &Stack) -> Part {
    let address = stack.s3();
    let command = Run::new(stack.fetched.versitygw.join("versitygw"))
        .args(&[
            "--region",
            REGION,
            "--health",
            HEALTH,
            "--quiet",
            "--keep-alive",
            "--port",
        ])
        .arg(&address)
        .arg("posix")
        .arg(stack.data("s3").display().to_string())
        .env("ROOT_ACCESS_KEY", ACCESS_KEY)
        .env("ROOT_SECRET_KEY", SECRET_KEY);
    Part {
        setup: Some(setup),
        endpoint: Some(format!("http://{address}")),
        ..Part::new("s3", Some(command), Probe::Http { address, path: HEALTH })
    }
}

fn setup(stack: &Stack) -> Result<()> {
    Ok(fs::create_dir_all(stack.data("s3"))?)
}
