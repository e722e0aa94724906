//! One local stack: its name, its addresses, its folders, and the `stack.json` that tests and people read. Touches no network.

pub mod cgroups;
pub mod document;
pub mod namespaces;
pub mod processes;
pub mod status;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::fetch::Fetched;
use crate::layout::Layout;
use crate::run;

/// Pods, services and the cluster's own addresses; every stack has a network of its own, so all use the same.
pub const POD_CIDR: &str = "10.244.0.0/24";
pub const POD_GATEWAY: &str = "10.244.0.1";
pub const SERVICE_CIDR: &str = "10.96.0.0/16";
pub const API_SERVICE_IP: &str = "10.96.0.1";
pub const DNS_IP: &str = "10.96.0.10";
pub const NODE_NAME: &str = "node1";

/// The range that the stacks' links to the host come from, four addresses each.
pub const LINKS: &str = "10.99";

/// The Redshift stand-in in the workspace and in a stack's own folder.
pub const REDSHIFT_PROGRAM: &str = "redshift-stand-in";

/// Test-only credentials of every part that wants some.
pub const REGION: &str = "eu-west-1";
pub const ACCESS_KEY: &str = "localaccesskey";
pub const SECRET_KEY: &str = "localsecretkey";
/// Access keys by which the stories tell workers apart, and functions in their place; the secret is the same. Kafka takes those
/// of pods, whose tokens are signed with them; to everybody else they are shown as the administrator.
pub const WORKER_KEYS: [(&str, &str); 9] = [
    ("provisioner", "localprovisioner"),
    ("gateway", "localgateway"),
    ("consumer", "localconsumer"),
    ("exporter", "localexporter"),
    ("dbt-runner", "localdbtrunner"),
    ("loader", "localloader"),
    ("cataloger", "localcataloger"),
    ("gateway-function", "localgatewayfunction"),
    ("exporter-function", "localexporterfunction"),
];
pub const POSTGRES_USER: &str = "medallion";
pub const POSTGRES_PASSWORD: &str = "localpassword";
pub const DATABASE: &str = "analytics";
/// Users at Kafka's listeners with a password, each with its own.
pub const KAFKA_USERS: [(&str, &str); 4] = [
    ("shop", "shop-password"),
    ("shop-2", "shop-2-password"),
    (KAFKA_OWNER, "owner-password"),
    (KAFKA_NEXT_OWNER, "owner-2-password"),
];
/// Who may do everything, whichever way it comes; the others what an access list says.
pub const KAFKA_OWNER: &str = "owner";
/// Takes turns with it, as users do whose passwords are rotated; by password alone.
pub const KAFKA_NEXT_OWNER: &str = "owner-2";
/// Kafka's secure listeners, at the ports that Amazon MSK gives them where it has one of the kind. The last two show a
/// certificate that does not do.
pub const KAFKA_LISTENERS: [(&str, u16); 7] = [
    ("tls", 9094),
    ("mutual", 9095),
    ("scram", 9096),
    ("plain", 9097),
    ("iam", 9098),
    ("expired", 9194),
    ("elsewhere", 9195),
];

/// Which parts run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Extent {
    #[default]
    Whole,
    /// The API server with its store, without a node: workloads and their pods are simulated.
    ControlPlane,
}

/// What a stack is made of, written once before it starts; its own processes read it inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stack {
    pub name: String,
    #[serde(default)]
    pub extent: Extent,
    /// Which four addresses of `LINKS` are its own.
    pub index: u8,
    pub home: PathBuf,
    pub fetched: Fetched,
    pub kubernetes_version: String,
    pub coredns_version: String,
    pub pause_tag: String,
    /// Hand-made images that the cluster itself needs.
    pub pause_archive: PathBuf,
    pub coredns_archive: PathBuf,
}

impl Stack {
    pub fn read(home: &Path) -> Result<Self> {
        let path = home.join("config.json");
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is not right", path.display()))
    }

    pub fn write(&self) -> Result<()> {
        run::write_if_changed(&self.home.join("config.json"), serde_json::to_vec_pretty(self)?)
    }

    pub fn node_ip(&self) -> String {
        format!("{LINKS}.{}.2", self.index)
    }

    /// The host's end of the link.
    pub fn host_ip(&self) -> String {
        format!("{LINKS}.{}.1", self.index)
    }

    /// The host's network interface, at most 15 characters.
    pub fn veth(&self) -> String {
        format!("medallion{}", self.index)
    }

    /// The folder in every cgroup hierarchy.
    pub fn cgroup(&self) -> String {
        cgroup_of(&self.name)
    }

    pub fn logs(&self) -> PathBuf {
        self.home.join("logs")
    }

    pub fn log(&self, part: &str) -> PathBuf {
        self.logs().join(format!("{part}.log"))
    }

    /// What the parts remember; kept or wiped as one.
    pub fn data(&self, part: &str) -> PathBuf {
        self.home.join("data").join(part)
    }

    pub fn etc(&self, file: &str) -> PathBuf {
        self.home.join("etc").join(file)
    }

    pub fn certificate(&self, file: &str) -> PathBuf {
        self.home.join("certificates").join(file)
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.home.join("kubeconfig")
    }

    /// Copies of programs from the tree, so that a rebuild does not pull them away under the stack.
    pub fn own_program(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }

    /// Whoever makes this file has the garbage collector of a stack without a node started.
    pub fn garbage_collector(&self) -> PathBuf {
        self.home.join("garbage-collector")
    }

    pub fn containerd_socket(&self) -> PathBuf {
        self.home.join("run/containerd.sock")
    }

    pub fn kubernetes(&self, program: &str) -> PathBuf {
        self.fetched.kubernetes.join(program)
    }

    pub fn pause_image(&self) -> String {
        pause_image(&self.pause_tag)
    }

    pub fn coredns_image(&self) -> String {
        coredns_image(&self.coredns_version)
    }

    pub fn kafka(&self) -> String {
        format!("{}:9092", self.node_ip())
    }

    /// Certificates and keys for Kafka's secure listeners, good ones and bad ones.
    pub fn kafka_certificates(&self) -> PathBuf {
        self.certificate("kafka")
    }

    pub fn dynamodb(&self) -> String {
        format!("{}:8000", self.node_ip())
    }

    pub fn s3(&self) -> String {
        format!("{}:7070", self.node_ip())
    }

    pub fn redshift(&self) -> String {
        format!("{}:8010", self.node_ip())
    }

    pub fn moto(&self) -> String {
        format!("{}:5000", self.node_ip())
    }

    pub fn postgres(&self) -> String {
        format!("{}:5432", self.node_ip())
    }

    pub fn postgres_url(&self) -> String {
        format!(
            "postgres://{POSTGRES_USER}:{POSTGRES_PASSWORD}@{}/{DATABASE}",
            self.postgres()
        )
    }

    pub fn api_server(&self) -> String {
        format!("https://{}:6443", self.node_ip())
    }

    /// Where the file lies that `MEDALLION_STACK` names.
    pub fn json(&self) -> PathBuf {
        self.home.join("stack.json")
    }
}

pub fn pause_image(tag: &str) -> String {
    format!("localhost/medallion/pause:{tag}")
}

pub fn coredns_image(version: &str) -> String {
    format!("localhost/medallion/coredns:{}", version.trim_start_matches('v'))
}

pub fn cgroup_of(name: &str) -> String {
    format!("medallion-{name}")
}

/// A stack's name becomes a folder and a cgroup.
pub fn check_name(name: &str) -> Result<()> {
    let fits = !name.is_empty()
        && name.len() <= 20
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !fits || name.starts_with('-') {
        bail!("a stack's name is 1 to 20 lower-case letters, digits and dashes, not `{name}`");
    }
    Ok(())
}

/// The first four addresses that neither another stack nor the host uses.
pub fn free_index(layout: &Layout, name: &str) -> Result<u8> {
    let mut taken = Vec::new();
    if let Ok(stacks) = fs::read_dir(&layout.state) {
        for other in stacks.flatten().filter(|other| *other.file_name() != *name) {
            taken.extend(Stack::read(&other.path()).map(|stack| stack.index));
        }
    }
    let mut ip = std::process::Command::new("ip");
    let addresses = run::output_blocking(ip.args(["-4", "-oneline", "address"]))?;
    (0..64)
        .find(|index| !taken.contains(index) && !addresses.contains(&format!(" {LINKS}.{index}.")))
        .context("64 stacks are enough; `cargo local down` ends one")
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A stack that is never started.
    pub fn example() -> Stack {
        let part = |name: &str| PathBuf::from("/cache").join(name);
        Stack {
            name: "example".to_owned(),
            extent: Extent::Whole,
            index: 3,
            home: "/state/example".into(),
            fetched: Fetched {
                kubernetes: part("kubernetes"),
                containerd: part("containerd"),
                coredns: part("coredns"),
                helm: part("helm"),
                versitygw: part("versitygw"),
                kafka: part("kafka"),
                kafka_handler: part("kafka-handler"),
                lambda_emulator: part("lambda-emulator"),
                dynamodb: part("dynamodb"),
                postgres: part("postgres"),
                wheels: part("wheels"),
                python: part("python"),
                moto: part("moto"),
            },
            kubernetes_version: "v1.2.3".to_owned(),
            coredns_version: "v4.5.6".to_owned(),
            pause_tag: "7".to_owned(),
            pause_archive: part("pause.tar"),
            coredns_archive: part("coredns.tar"),
        }
    }

    #[test]
    fn names_that_cannot_be_folders_are_refused() {
        for good in ["demo", "test-2"] {
            check_name(good).unwrap();
        }
        for bad in ["", "-x", "a/b", "..", "Demo", "a-very-long-name-indeed"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
