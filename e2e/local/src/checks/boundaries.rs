//! Who may use whom, as docs/architecture.md draws it, checked on what cargo resolves. Touches no network.

use anyhow::{Result, bail};

use crate::cargo::{self, Metadata, Package};
use crate::context::Context;

/// What must not be compiled for these packages; a trailing `*` stands for any ending.
const WITHOUT: [(&[&str], &[&str], &str); 4] = [
    (
        &["medallion-plan"],
        &["tokio", "kube-client", "kube-runtime", "hyper", "reqwest"],
        "the plan is pure: no async, no client",
    ),
    (
        &[
            "medallion-metrics",
            "worker-kit",
            "kafka-admin",
            "medallion-contract",
            "medallion-lake",
            "kafka-client",
            "provisioner",
            "gateway",
            "consumer",
            "exporter",
            "dbt-runner",
            "loader",
            "cataloger",
        ],
        &["kube-client", "kube-runtime"],
        "workers hold no Kubernetes client",
    ),
    (
        &["medallion-cli"],
        &["tokio", "kube-client", "kube-runtime", "hyper", "reqwest", "aws-config"],
        "the command line turns texts into texts: no client, no network",
    ),
    (
        &["medallion-operator"],
        &[
            "rdkafka",
            "rdkafka-sys",
            "aws-sdk-*",
            "aws-config",
            "delta_kernel",
            "parquet",
        ],
        "the operator holds no cloud identity and no Kafka client",
    ),
];

/// Which packages of the workspace a package may use.
const MAY_USE: [(&str, &[&str]); 22] = [
    ("medallion-crds", &[]),
    ("medallion-plan", &["medallion-crds"]),
    (
        "medallion-operator",
        &["medallion-crds", "medallion-plan", "medallion-metrics"],
    ),
    ("medallion-cli", &["medallion-crds", "medallion-plan"]),
    ("medallion-metrics", &[]),
    ("worker-kit", &["medallion-crds", "medallion-metrics"]),
    ("kafka-admin", &["medallion-crds"]),
    ("medallion-contract", &["medallion-crds"]),
    ("medallion-lake", &["medallion-crds", "medallion-contract"]),
    ("kafka-client", &["medallion-crds", "worker-kit", "kafka-admin"]),
    ("provisioner", WORKERS_USE),
    ("gateway", WORKERS_USE),
    ("consumer", WORKERS_USE),
    ("exporter", WORKERS_USE),
    ("dbt-runner", WORKERS_USE),
    ("loader", WORKERS_USE),
    ("cataloger", WORKERS_USE),
    ("local", &["medallion-policies"]),
    ("medallion-policies", &[]),
    ("redshift-stand-in", &[]),
    ("stand-ins", &[]),
    (
        "medallion-stories",
        &["medallion-crds", "medallion-policies", "stand-ins"],
    ),
];

const WORKERS_USE: &[&str] = &[
    "medallion-crds",
    "worker-kit",
    "kafka-admin",
    "kafka-client",
    "medallion-contract",
    "medallion-lake",
];

pub async fn check(context: &Context) -> Result<()> {
    let metadata = Metadata::read(context).await?;
    let mut wrong = used_wrongly(&metadata);
    for (packages, banned, why) in WITHOUT {
        for package in packages {
            let compiled = cargo::compiled_for(context, package).await?;
            let found = compiled
                .iter()
                .filter(|name| banned.iter().any(|banned| matches(name, banned)))
                .collect::<Vec<_>>();
            if !found.is_empty() {
                wrong.push(format!("{package} compiles {found:?}: {why}"));
            }
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    println!("{} packages keep to the boundaries", metadata.workspace_members.len());
    Ok(())
}

/// Uses within the workspace that `MAY_USE` does not list. What tests alone use is built into nothing.
fn used_wrongly(metadata: &Metadata) -> Vec<String> {
    let members = metadata
        .members()
        .map(|package| package.name.as_str())
        .collect::<Vec<_>>();
    metadata
        .members()
        .filter_map(|package| {
            let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == package.name) else {
                return Some(format!(
                    "{} is new: say in e2e/local/src/checks/boundaries.rs what it may use",
                    package.name
                ));
            };
            let found = used(package, &members)
                .filter(|name| !allowed.contains(name))
                .collect::<Vec<_>>();
            (!found.is_empty()).then(|| format!("{} uses {found:?}, allowed are {allowed:?}", package.name))
        })
        .collect()
}

fn used<'a>(package: &'a Package, members: &[&str]) -> impl Iterator<Item = &'a str> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind.is_none())
        .map(|dependency| dependency.name.as_str())
        .filter(|name| members.contains(name))
}

fn matches(name: &str, banned: &str) -> bool {
    match banned.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == banned,
    }
}
