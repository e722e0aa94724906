//! kubelet: the node's agent. Touches only the stack's own network.

use std::fs;

use anyhow::Result;
use serde_json::json;

use super::part::{Part, Run, kubectl};
use super::probe::Probe;
use crate::images;
use crate::run;
use crate::stack::{DNS_IP, NODE_NAME, Stack};

pub fn part(stack: &Stack) -> Part {
    let command = Run::new(stack.kubernetes("kubelet"))
        .path("--config", stack.etc("kubelet.json"))
        .path("--kubeconfig", stack.certificate("kubelet.kubeconfig"))
        .path("--root-dir", stack.data("kubelet"))
        .path("--cert-dir", stack.data("kubelet").join("pki"))
        .arg(format!("--hostname-override={NODE_NAME}"))
        .arg(format!("--node-ip={}", stack.node_ip()))
        .arg("--v=1");
    let ready = r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}=True"#;
    let node = format!("node/{NODE_NAME}");
    let probe = Probe::All(vec![
        Probe::Http {
            address: "127.0.0.1:10248".to_owned(),
            path: "/healthz",
        },
        kubectl(stack, &["wait", &format!("--for={ready}"), &node, "--timeout=1s"]),
    ]);
    Part {
        after: &["kube-apiserver", "containerd"],
        setup: Some(setup),
        ..Part::new("kubelet", Some(command), probe)
    }
}

fn setup(stack: &Stack) -> Result<()> {
    super::kube_apiserver::allow_kubelet_access(stack)?;
    images::import_pinned(stack, &stack.pause_archive, &stack.pause_image())?;
    let folder = stack.data("kubelet");
    fs::create_dir_all(&folder)?;
    let configuration = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": format!("unix://{}", stack.containerd_socket().display()),
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        "failSwapOn": false,
        "enforceNodeAllocatable": ["pods"],
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": stack.certificate("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": stack.certificate("kubelet.crt"),
        "tlsPrivateKeyFile": stack.certificate("kubelet.key"),
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS_IP],
        "resolvConf": "/etc/resolv.conf",
        "podLogsDir": stack.logs().join("pods"),
        "volumePluginDir": folder.join("volumeplugins"),
        "evictionHard": {
            "memory.available": "200Mi",
            "nodefs.available": "2%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "2%",
        },
        "imageGCHighThresholdPercent": 100,
        "maxPods": 100,
        "syncFrequency": "10s",
        "configMapAndSecretChangeDetectionStrategy": "Watch",
        "registerNode": true,
    });
    run::write_if_changed(&stack.etc("kubelet.json"), serde_json::to_vec_pretty(&configuration)?)
}
