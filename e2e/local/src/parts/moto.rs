//! moto: AWS services that have no other part, over their real protocols; the Glue catalog among them. Touches only the stack's own network.

use super::part::{Part, Run};
use super::probe::Probe;
use crate::stack::{ACCESS_KEY, REGION, SECRET_KEY, Stack};

pub fn part(stack: &Stack) -> Part {
    let address = stack.moto();
    let (host, port) = address.split_once(':').unwrap_or((&address, "5000"));
    let command = Run::new(&stack.fetched.moto)
        .args(&["--host", host, "--port", port])
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("PYTHONUNBUFFERED", "1");
    Part {
        endpoint: Some(format!("http://{address}")),
        ..Part::new(
            "moto",
            Some(command),
            Probe::Http {
                address: address.clone(),
                path: "/moto-api/data.json",
            },
        )
    }
}
