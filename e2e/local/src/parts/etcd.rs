//! etcd: the cluster's store, on loopback only. Touches only the stack's own network.

use super::part::{Part, Run};
use super::probe::Probe;
use crate::stack::Stack;

pub fn part(stack: &Stack) -> Part {
    let command = Run::new(stack.kubernetes("etcd"))
        .path("--data-dir", stack.data("etcd"))
        .args(&[
            "--name=local",
            "--unsafe-no-fsync",
            // A thousand pipelines with their past are more than the two gigabytes that it allows by itself.
            "--quota-backend-bytes=8589934592",
            "--log-level=warn",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=local=http://127.0.0.1:2380",
        ]);
    Part::new(
        "etcd",
        Some(command),
        Probe::Http {
            address: "127.0.0.1:2379".to_owned(),
            path: "/health",
        },
    )
}
