//! kube-proxy: Services, by nftables rules in the stack's own network. Touches only that.

use anyhow::Result;
use serde_json::json;

use super::part::{Part, Run};
use super::probe::Probe;
use crate::run;
use crate::stack::{NODE_NAME, POD_CIDR, Stack};

pub fn part(stack: &Stack) -> Part {
    let command = Run::new(stack.kubernetes("kube-proxy"))
        .path("--config", stack.etc("kube-proxy.json"))
        .arg("--v=1");
    let probe = Probe::Http {
        address: "127.0.0.1:10256".to_owned(),
        path: "/healthz",
    };
    Part {
        after: &["kube-apiserver", "kubelet"],
        setup: Some(setup),
        ..Part::new("kube-proxy", Some(command), probe)
    }
}

fn setup(stack: &Stack) -> Result<()> {
    let configuration = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": NODE_NAME,
        "clientConnection": {"kubeconfig": stack.certificate("kube-proxy.kubeconfig")},
        "clusterCIDR": POD_CIDR,
        "bindAddress": "0.0.0.0",
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        // The machine's connection table belongs to the host.
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    });
    run::write_if_changed(
        &stack.etc("kube-proxy.json"),
        serde_json::to_vec_pretty(&configuration)?,
    )
}
