//! The Helm values of an environment: where images are, who workers are to AWS, and what the Pipeline there may name. No network.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use medallion_crds::Worker;
use medallion_plan::Limits;
use serde::Serialize;

use super::outputs::{IdentityMode, Outputs};

/// What EKS reads on a service account.
const ROLE_ANNOTATION: &str = "eks.amazonaws.com/role-arn";
/// The image of operator and workers, as the root calls its repository.
const IMAGE: &str = "medallion";

/// Values of the chart medallion-operator.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Values {
    image: Image,
    /// The allow-list of dbt projects.
    pub(super) dbt_projects: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    workers: BTreeMap<Worker, WorkerValues>,
    /// What Pipelines may name.
    pub(super) limits: Vec<Limits>,
}

/// Where the image of operator and workers is; its tag is the chart's matter.
#[derive(Debug, Serialize)]
struct Image {
    registry: String,
    repository: String,
}

/// What a worker has of its own.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WorkerValues {
    service_account_annotations: BTreeMap<&'static str, String>,
}

impl Values {
    /// The values of an environment, with the image of its dbt project.
    pub(super) fn new(outputs: &Outputs, dbt_image: &str) -> anyhow::Result<Self> {
        let images = &outputs.images;
        let repository = repository(outputs, IMAGE)?;
        let name = repository.strip_prefix(&images.registry);
        let name = name.map(|name| name.trim_start_matches('/'));
        let name =
            name.with_context(|| format!("the outputs: the repository {repository} is not in {}", images.registry))?;
        Ok(Self {
            image: Image {
                registry: images.registry.clone(),
                repository: name.to_owned(),
            },
            dbt_projects: BTreeMap::from([(images.dbt_project.clone(), reference(outputs, dbt_image)?)]),
            workers: annotations(outputs),
            limits: vec![limits(outputs)],
        })
    }
}

fn repository<'a>(outputs: &'a Outputs, image: &str) -> anyhow::Result<&'a str> {
    let known = &outputs.images.repositories;
    let found = known.get(image).map(String::as_str);
    found.with_context(|| {
        let names: Vec<_> = known.keys().map(String::as_str).collect();
        format!(
            "the outputs: images.repositories has {} and no {image}; add it to the root and apply, or push the image there that is wanted",
            names.join(", ")
        )
    })
}

/// The dbt project's image: a tag or a digest is of the environment's own repository, anything longer a whole reference.
fn reference(outputs: &Outputs, given: &str) -> anyhow::Result<String> {
    if let Some((_, name)) = given.rsplit_once('/') {
        ensure!(
            name.contains([':', '@']),
            "--dbt-image: {given} has neither tag nor digest, so nobody knows which one runs; add @sha256:<digest>"
        );
        return Ok(given.to_owned());
    }
    let repository = repository(outputs, &format!("dbt-{}", outputs.images.dbt_project))?;
    let is_digest = given
        .strip_prefix("sha256:")
        .is_some_and(|digest| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_digest {
        return Ok(format!("{repository}@{given}"));
    }
    let is_tag = given
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    ensure!(
        is_tag && (1..=128).contains(&given.len()) && !given.starts_with(['.', '-']),
        "--dbt-image: {given} is no tag, no digest (sha256: and 64 digits) and no reference with a registry; name one in {repository}"
    );
    Ok(format!("{repository}:{given}"))
}

/// Pod Identity needs none.
fn annotations(outputs: &Outputs) -> BTreeMap<Worker, WorkerValues> {
    let of_worker = |worker: Worker| {
        let identity = outputs.identities.get(worker.as_str())?;
        let annotated = WorkerValues {
            service_account_annotations: BTreeMap::from([(ROLE_ANNOTATION, identity.role_arn.clone())]),
        };
        (identity.mode == IdentityMode::Irsa).then_some((worker, annotated))
    };
    Worker::ALL.into_iter().filter_map(of_worker).collect()
}

/// What was made for the environment's Pipeline, and nothing else.
fn limits(outputs: &Outputs) -> Limits {
    let (kafka, lake, warehouse) = (&outputs.kafka, &outputs.lake, outputs.warehouse.as_ref());
    Limits {
        namespaces: vec![outputs.pipeline.namespace.clone()],
        topics: Some(vec![kafka.topic.clone(), kafka.dead_letter_topic.clone()]),
        buckets: Some(vec![lake.bronze.clone(), lake.silver.clone(), lake.gold.clone()]),
        schemas: warehouse.map(|warehouse| vec![warehouse.schema.clone()]),
        roles: warehouse.map(|warehouse| vec![warehouse.copy_role_arn.clone()]),
        brokers: Some(kafka.bootstrap_servers.clone()),
        dbt_projects: Some(vec![outputs.images.dbt_project.clone()]),
    }
}
