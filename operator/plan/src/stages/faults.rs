//! What a user has to change: references that lead nowhere, and names that the administrator does not allow. No network.

use medallion_crds::pipeline::PipelineSpec;
use medallion_crds::{Owner, Reason, Stage, Worker};

use super::entry::StageEntry;
use crate::model::config::{Limits, OperatorConfig, fits};
use crate::model::pipeline::Fault;
use crate::model::wish::StageWish;

/// The longest list of what may be taken over.
const ADOPTIONS: usize = 16;

/// What keeps the whole pipeline from being worked on.
pub(super) fn of_pipeline(
    spec: &PipelineSpec,
    config: &OperatorConfig,
    namespace: &str,
    adopt: &[String],
) -> Vec<Fault> {
    let provisioner = &spec.provisioner;
    let account = provisioner.service_account_name.as_deref();
    let whole = |reason, message| Fault {
        stage: None,
        reason,
        message,
    };
    account_refused("spec.provisioner", account, config)
        .or_else(|| size_refused("spec.provisioner", provisioner.size.as_deref(), config))
        .into_iter()
        .chain(limits_refused(spec, config, namespace).map(|message| (Reason::NotAllowedInNamespace, message)))
        .chain(adoption_refused(adopt).map(|message| (Reason::AdoptionNotReadable, message)))
        .map(|(reason, message)| whole(reason, message))
        .collect()
}

/// What keeps single stages from working.
pub(super) fn of_stages(stages: &[StageWish], config: &OperatorConfig) -> Vec<Fault> {
    let of_stage = |wish: &StageWish| {
        let place = format!("spec.stages.{}", wish.stage);
        let (reason, message) = account_refused(&place, wish.service_account.as_deref(), config)
            .or_else(|| size_refused(&place, wish.size.as_deref(), config))?;
        Some(Fault {
            stage: Some(wish.stage),
            reason,
            message,
        })
    };
    stages.iter().filter_map(of_stage).collect()
}

/// The project's image is missed by each stage that dbt makes.
pub(super) fn of_dbt(
    table: &[StageEntry],
    stages: &[StageWish],
    spec: &PipelineSpec,
    config: &OperatorConfig,
) -> Vec<Fault> {
    let allowed: Vec<_> = config.images.dbt_projects.keys().map(String::as_str).collect();
    let message = format!(
        "spec.dbt.project: no dbt project {} on the operator's list; use one of [{}] or have it added to the Helm value dbtProjects",
        spec.dbt.project,
        allowed.join(", "),
    );
    let by_dbt = |stage: Stage| {
        let entry = table.iter().find(|entry| entry.stage == stage);
        entry.is_some_and(|entry| entry.worker() == Worker::DbtRunner)
    };
    stages
        .iter()
        .filter(|wish| by_dbt(wish.stage))
        .map(|wish| Fault {
            stage: Some(wish.stage),
            reason: Reason::DbtProjectNotAllowed,
            message: message.clone(),
        })
        .collect()
}

fn account_refused(place: &str, name: Option<&str>, config: &OperatorConfig) -> Option<(Reason, String)> {
    let prefix = &config.service_account_prefix;
    let name = name.filter(|name| !name.starts_with(prefix.as_str()))?;
    let message = format!(
        "{place}.serviceAccountName: {name} does not begin with {prefix}; name an account that does, or have the Helm value workers.serviceAccountPrefix changed"
    );
    Some((Reason::ServiceAccountNotAllowed, message))
}

fn size_refused(place: &str, size: Option<&str>, config: &OperatorConfig) -> Option<(Reason, String)> {
    let size = size.filter(|size| !config.sizes.contains_key(*size))?;
    let known: Vec<_> = config.sizes.keys().map(String::as_str).collect();
    let message = format!(
        "{place}.size: there is no size {size}; use one of [{}] or have it added to the Helm value sizes",
        known.join(", ")
    );
    Some((Reason::SizeNotAllowed, message))
}

/// Everything that the limits of the namespace do not allow, in one message.
fn limits_refused(spec: &PipelineSpec, config: &OperatorConfig, namespace: &str) -> Option<String> {
    let all = config.limits.as_ref()?;
    let Some(limits) = all
        .iter()
        .find(|limits| limits.namespaces.iter().any(|pattern| fits(pattern, namespace)))
    else {
        return Some(format!(
            "no entry of the Helm value limits names namespace {namespace}; have one added, or make the Pipeline in a namespace that has one"
        ));
    };
    let refused: Vec<_> = named(spec, limits)
        .into_iter()
        .filter_map(|(place, name, allowed)| {
            let allowed = allowed.as_ref()?;
            (!allowed.iter().any(|pattern| fits(pattern, name)))
                .then(|| format!("{place}: {name} is not one of [{}]", allowed.join(", ")))
        })
        .collect();
    (!refused.is_empty()).then(|| {
        format!(
            "{}; use other names, or have the Helm value limits changed for namespace {namespace}",
            refused.join("; ")
        )
    })
}

/// What a spec names that limits speak of: where, the name, and what is allowed.
fn named<'a>(spec: &'a PipelineSpec, limits: &'a Limits) -> Vec<(&'static str, &'a str, &'a Option<Vec<String>>)> {
    let mut all = vec![
        ("spec.kafka.topic", spec.kafka.topic.as_str(), &limits.topics),
        (
            "spec.kafka.deadLetterTopic",
            &spec.kafka.dead_letter_topic,
            &limits.topics,
        ),
        ("spec.lake.bronze.bucket", &spec.lake.bronze.bucket, &limits.buckets),
        ("spec.lake.silver.bucket", &spec.lake.silver.bucket, &limits.buckets),
        ("spec.lake.gold.bucket", &spec.lake.gold.bucket, &limits.buckets),
        ("spec.dbt.project", &spec.dbt.project, &limits.dbt_projects),
    ];
    let brokers = spec.kafka.bootstrap_servers.iter();
    all.extend(brokers.map(|broker| ("spec.kafka.bootstrapServers", broker.as_str(), &limits.brokers)));
    if let Some(redshift) = spec
        .warehouse
        .as_ref()
        .and_then(|warehouse| warehouse.redshift.as_ref())
    {
        all.push(("spec.warehouse.redshift.schema", &redshift.schema, &limits.schemas));
        all.push((
            "spec.warehouse.redshift.copyRoleArn",
            &redshift.copy_role_arn,
            &limits.roles,
        ));
    }
    all
}

/// The first value of the annotation that names neither an owner nor something that nobody owns.
fn adoption_refused(adopt: &[String]) -> Option<String> {
    let readable = |value: &str| {
        value.len() <= 512
            && (value.parse::<Owner>().is_ok()
                || value.strip_prefix("topic/").is_some_and(|id| !id.is_empty())
                || value.contains("://")
                || (!value.contains('/') && value.split('.').filter(|part| !part.is_empty()).count() == 2))
    };
    if adopt.len() > ADOPTIONS {
        return Some(format!(
            "metadata.annotations[medallion.dev/adopt]: names {} things; {ADOPTIONS} at most at a time",
            adopt.len()
        ));
    }
    let value = adopt.iter().find(|value| !readable(value))?;
    Some(format!(
        "metadata.annotations[medallion.dev/adopt]: {value:.100} is none of installation/namespace/name, schema.table, a table's URL, topic/<id>; write what the refusal names"
    ))
}
