//! The cluster's DNS: CoreDNS as a pod, from a hand-made image; it knows the cluster's names only. Touches only the stack's own network.

use anyhow::Result;

use super::kube_apiserver;
use super::part::{Part, kubectl};
use crate::images;
use crate::stack::{DNS_IP, Stack};

pub fn part(stack: &Stack) -> Part {
    let probe = kubectl(
        stack,
        &[
            "--namespace",
            "kube-system",
            "rollout",
            "status",
            "deployment/coredns",
            "--timeout=5s",
        ],
    );
    Part {
        after: &[
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubelet",
            "kube-proxy",
        ],
        setup: Some(setup),
        ..Part::new("cluster-dns", None, probe)
    }
}

fn setup(stack: &Stack) -> Result<()> {
    images::import_pinned(stack, &stack.coredns_archive, &stack.coredns_image())?;
    let manifest = include_str!("cluster_dns.yaml")
        .replace("@DNS_IP@", DNS_IP)
        .replace("@IMAGE@", &stack.coredns_image());
    kube_apiserver::apply(stack, "cluster-dns.yaml", &manifest)
}
