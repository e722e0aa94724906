//! The cluster's own certificate authority, certificates and kubeconfig files, by the `openssl` program. Touches no network.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use serde_json::json;

use crate::openssl::{self, Certificate, Validity};
use crate::run;
use crate::stack::{API_SERVICE_IP, NODE_NAME, Stack};

pub fn make(stack: &Stack) -> Result<()> {
    let folder = stack.home.join("certificates");
    openssl::folder(&folder)?;
    if stack.kubeconfig().exists() {
        return Ok(());
    }
    openssl::authority(&folder, "ca", "/CN=local-stack")?;
    for wanted in certificates(stack) {
        openssl::issue(&folder, "ca", &wanted)?;
    }
    openssl::run(&folder, &["genrsa", "-out", "service-account.key", "2048"])?;
    openssl::run(
        &folder,
        &[
            "rsa",
            "-in",
            "service-account.key",
            "-pubout",
            "-out",
            "service-account.pub",
        ],
    )?;
    for client in ["controller-manager", "scheduler", "kube-proxy", "kubelet"] {
        let path = folder.join(format!("{client}.kubeconfig"));
        kubeconfig(&folder, "https://127.0.0.1:6443", client, &path)?;
    }
    kubeconfig(&folder, &stack.api_server(), "admin", &stack.kubeconfig())
}

fn certificates(stack: &Stack) -> Vec<Certificate> {
    let node = stack.node_ip();
    let wanted = |name, subject: String, names: String| Certificate {
        name,
        subject,
        names,
        validity: Validity::Year,
    };
    let client = |name, subject: &str| wanted(name, subject.to_owned(), String::new());
    let api_server = format!(
        "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,\
         DNS:kubernetes.default.svc.cluster.local,DNS:{NODE_NAME},IP:127.0.0.1,IP:{node},IP:{API_SERVICE_IP}"
    );
    vec![
        wanted("api-server", "/CN=kube-apiserver".to_owned(), api_server),
        wanted(
            "kubelet",
            format!("/O=system:nodes/CN=system:node:{NODE_NAME}"),
            format!("DNS:{NODE_NAME},IP:127.0.0.1,IP:{node}"),
        ),
        client("kubelet-client", "/CN=kube-apiserver-kubelet-client"),
        client("admin", "/O=system:masters/CN=admin"),
        client("controller-manager", "/CN=system:kube-controller-manager"),
        client("scheduler", "/CN=system:kube-scheduler"),
        client("kube-proxy", "/CN=system:kube-proxy"),
    ]
}

/// A kubeconfig that needs no other file.
fn kubeconfig(folder: &Path, server: &str, client: &str, to: &Path) -> Result<()> {
    let document = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": {
            "server": server,
            "certificate-authority-data": base64(&folder.join("ca.crt"))?,
        }}],
        "users": [{"name": client, "user": {
            "client-certificate-data": base64(&folder.join(format!("{client}.crt")))?,
            "client-key-data": base64(&folder.join(format!("{client}.key")))?,
        }}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": client}}],
        "current-context": "local",
    });
    run::write_if_changed(to, serde_json::to_vec_pretty(&document)?)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o600))?;
    Ok(())
}

fn base64(file: &PathBuf) -> Result<String> {
    let text = run::output_blocking(Command::new("openssl").args(["base64", "-A", "-in"]).arg(file))?;
    Ok(text.trim().to_owned())
}
