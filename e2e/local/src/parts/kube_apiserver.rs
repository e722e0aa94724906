//! kube-apiserver: the cluster's API, at the node's address for host and pods. Touches only the stack's own network.

use std::process::Command;

use anyhow::Result;

use super::part::{Part, Run, kubectl};
use crate::run;
use crate::stack::{Extent, SERVICE_CIDR, Stack};

/// Memory is there where the API server is measured, and its own garbage collection is not what is measured.
const SELDOM_COLLECTED: [(&str, &str); 2] = [("GOGC", "400"), ("GOMEMLIMIT", "12GiB")];

pub fn part(stack: &Stack) -> Part {
    let mut command = Run::new(stack.kubernetes("kube-apiserver"))
        .args(&[
            "--etcd-servers=http://127.0.0.1:2379",
            "--secure-port=6443",
            "--endpoint-reconciler-type=master-count",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--v=1",
        ])
        .arg(format!("--profiling={}", stack.extent == Extent::ControlPlane))
        .arg(format!("--advertise-address={}", stack.node_ip()))
        .arg(format!("--service-cluster-ip-range={SERVICE_CIDR}"))
        .path("--tls-cert-file", stack.certificate("api-server.crt"))
        .path("--tls-private-key-file", stack.certificate("api-server.key"))
        .path("--client-ca-file", stack.certificate("ca.crt"))
        .path("--kubelet-certificate-authority", stack.certificate("ca.crt"))
        .path("--kubelet-client-certificate", stack.certificate("kubelet-client.crt"))
        .path("--kubelet-client-key", stack.certificate("kubelet-client.key"))
        .path("--service-account-key-file", stack.certificate("service-account.pub"))
        .path(
            "--service-account-signing-key-file",
            stack.certificate("service-account.key"),
        );
    if stack.extent == Extent::ControlPlane {
        for (name, value) in SELDOM_COLLECTED {
            command = command.env(name, value);
        }
    }
    Part {
        after: &["etcd"],
        endpoint: Some(stack.api_server()),
        ..Part::new(
            "kube-apiserver",
            Some(command),
            kubectl(stack, &["get", "--raw", "/readyz"]),
        )
    }
}

/// Logs, exec and port-forward: the API server is a client of kubelet and needs a right like any other.
pub fn allow_kubelet_access(stack: &Stack) -> Result<()> {
    let binding = r#"{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "local:apiserver-kubelet"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:kubelet-api-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "kube-apiserver-kubelet-client"}]}"#;
    apply(stack, "apiserver-kubelet.json", binding)
}

/// Applies a manifest as the administrator.
pub fn apply(stack: &Stack, file: &str, manifest: &str) -> Result<()> {
    let path = stack.etc(file);
    run::write_if_changed(&path, manifest)?;
    let mut kubectl = Command::new(stack.kubernetes("kubectl"));
    kubectl
        .args(["apply", "--server-side", "--force-conflicts", "-f"])
        .arg(&path)
        .env("KUBECONFIG", stack.kubeconfig())
        .env("HOME", "/run/home");
    run::output_blocking(&mut kubectl).map(drop)
}
