//! kube-controller-manager: the cluster's own controllers. Touches only the stack's own network.

use super::part::{Part, Run, healthz, kubectl};
use super::probe::Probe;
use crate::stack::{Extent, Stack};

/// What workloads need. Endpoints are left out, since those of simulated pods are refused; so is what looks after nodes.
const OF_CONTROL_PLANE: &str = "--controllers=deployment-controller,replicaset-controller,job-controller,disruption-controller,\
    garbage-collector-controller,namespace-controller,serviceaccount-controller";

pub fn part(stack: &Stack) -> Part {
    let mut command = Run::new(stack.kubernetes("kube-controller-manager"))
        .path("--kubeconfig", stack.certificate("controller-manager.kubeconfig"))
        .path(
            "--service-account-private-key-file",
            stack.certificate("service-account.key"),
        )
        .path("--root-ca-file", stack.certificate("ca.crt"))
        .path("--cluster-signing-cert-file", stack.certificate("ca.crt"))
        .path("--cluster-signing-key-file", stack.certificate("ca.key"))
        .args(&[
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            "--use-service-account-credentials=true",
            "--profiling=false",
            "--v=1",
        ]);
    if stack.extent == Extent::ControlPlane {
        // Nor may its own modesty be what is measured.
        command = command.args(&[OF_CONTROL_PLANE, "--kube-api-qps=2000", "--kube-api-burst=4000"]);
    }
    // Pods are refused before the namespace has its service account.
    let service_account = kubectl(stack, &["get", "--namespace", "default", "serviceaccount", "default"]);
    let probe = Probe::All(vec![healthz(stack, 10257), service_account]);
    Part {
        after: &["kube-apiserver"],
        ..Part::new("kube-controller-manager", Some(command), probe)
    }
}
