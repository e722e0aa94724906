//! The real parts of the stack, one per file: command line, preparation and the question that shows it ready. Touches only the stack's own network.

mod cluster_dns;
mod containerd;
mod dynamodb;
mod dynamodb_indexes;
mod etcd;
mod kafka;
mod kafka_certificates;
mod kube_apiserver;
mod kube_controller_manager;
mod kube_proxy;
mod kube_scheduler;
mod kubelet;
mod moto;
mod part;
mod postgres;
mod probe;
pub mod redshift;
mod s3;

pub use part::{Part, Run};
pub use probe::exchange;

use crate::stack::{Extent, Stack};

/// In the order in which people think of them.
pub fn all(stack: &Stack) -> Vec<Part> {
    let mut all = vec![
        etcd::part(stack),
        kube_apiserver::part(stack),
        kube_controller_manager::part(stack),
    ];
    if stack.extent == Extent::Whole {
        all.extend(node_and_stores(stack));
    }
    all
}

fn node_and_stores(stack: &Stack) -> [Part; 12] {
    [
        kube_scheduler::part(stack),
        containerd::part(stack),
        kubelet::part(stack),
        kube_proxy::part(stack),
        cluster_dns::part(stack),
        kafka::part(stack),
        dynamodb::part(stack),
        dynamodb_indexes::part(),
        s3::part(stack),
        postgres::part(stack),
        redshift::part(stack),
        moto::part(stack),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::tests::example;

    #[test]
    fn every_part_waits_only_for_parts_before_it() {
        let mut seen = Vec::new();
        for part in all(&example()) {
            for other in part.after {
                assert!(seen.contains(other), "{} waits for {other}", part.name);
            }
            seen.push(part.name);
        }
    }
}
