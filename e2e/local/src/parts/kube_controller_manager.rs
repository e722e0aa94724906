//! kube-controller-manager: the cluster's own controllers. Touches only the stack's own network.

use super::part::{Part, Run, healthz, kubectl};
use super::probe::Probe;
use crate::stack::{Extent, Stack};

const NAME: &str = "kube-controller-manager";
/// A stack without a node simulates the others, and has this one only where it is asked for.
const COLLECTOR_ALONE: &str = "--controllers=garbage-collector-controller";

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
        command = command.args(&[COLLECTOR_ALONE, "--kube-api-qps=2000", "--kube-api-burst=4000"]);
        return Part {
            after: &["kube-apiserver"],
            only_if: Some(stack.garbage_collector()),
            ..Part::new(NAME, Some(command), healthz(stack, 10257))
        };
    }
    // Pods are refused before the namespace has its service account.
    let service_account = kubectl(stack, &["get", "--namespace", "default", "serviceaccount", "default"]);
    let probe = Probe::All(vec![healthz(stack, 10257), service_account]);
    Part {
        after: &["kube-apiserver"],
        ..Part::new(NAME, Some(command), probe)
    }
}
