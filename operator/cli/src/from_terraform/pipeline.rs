//! The Pipeline of an environment: what its team says of it in every environment, and what Terraform made for it in this one. No network.

use anyhow::{Context as _, bail, ensure};
use medallion_crds::{GROUP, VERSION, Worker};
use medallion_plan::names;
use serde_json::{Value, json};

use super::outputs::{Outputs, Warehouse};

/// What a team says of its Pipeline; what differs from one environment to the other may be left out.
#[derive(Debug)]
pub(super) struct Base {
    object: Value,
    origin: String,
}

impl Base {
    /// Reads the manifest; `origin` names the text in errors.
    pub(super) fn read(text: &str, origin: &str) -> anyhow::Result<Self> {
        let objects: Vec<Value> = serde_saphyr::from_multiple(text).with_context(|| format!("{origin} is not YAML"))?;
        let Ok([object]) = <[Value; 1]>::try_from(objects) else {
            bail!(
                "{origin} is to hold one object, the Pipeline; apply what it names, such as its contract, by files of their own"
            );
        };
        let group = format!("{GROUP}/{VERSION}");
        ensure!(
            object["kind"] == "Pipeline" && object["apiVersion"] == group.as_str(),
            "{origin} holds a {} of {}; it is to hold a Pipeline of {group}",
            object["kind"],
            object["apiVersion"]
        );
        Ok(Self {
            object,
            origin: origin.to_owned(),
        })
    }

    /// The Pipeline with all that the environment decides. What the manifest says otherwise is refused, all of it at once: it would lead
    /// this Pipeline to the topic, the buckets or the roles of another.
    pub(super) fn filled(self, outputs: &Outputs) -> anyhow::Result<Value> {
        let origin = self.origin;
        let mut filling = Filling {
            object: self.object,
            problems: Vec::new(),
        };
        fill(&mut filling, outputs);
        ensure!(
            filling.problems.is_empty(),
            "{origin} does not fit the environment {}: {}; leave out of it what differs from one environment to the other",
            outputs.name,
            filling.problems.join("; ")
        );
        Ok(filling.object)
    }
}

/// An object that is being filled in, and what stands against it.
struct Filling {
    object: Value,
    problems: Vec<String>,
}

impl Filling {
    /// Gives a field its value, unless it says something else already. Fields of fields are separated by dots.
    fn set(&mut self, path: &str, value: impl Into<Value>) {
        let value = value.into();
        let mut place = &mut self.object;
        for name in path.split('.') {
            if place.is_null() {
                *place = json!({});
            }
            let Some(fields) = place.as_object_mut() else {
                self.problems
                    .push(format!("{path} cannot be set, for what it is in holds no fields"));
                return;
            };
            place = fields.entry(name).or_insert(Value::Null);
        }
        if place.is_null() {
            *place = value;
        } else if *place != value {
            self.problems
                .push(format!("{path} is {place} there and {value} in the environment"));
        }
    }

    fn get(&self, path: &str) -> Option<&Value> {
        let pointer = format!("/{}", path.replace('.', "/"));
        self.object.pointer(&pointer).filter(|value| !value.is_null())
    }

    fn leave_out(&mut self, path: &str, name: &str) {
        let pointer = format!("/{}", path.replace('.', "/"));
        if let Some(fields) = self.object.pointer_mut(&pointer).and_then(Value::as_object_mut) {
            fields.remove(name);
        }
    }

    fn is_on_lambda(&self, stage: &str) -> bool {
        self.get(&format!("{stage}.runsOn"))
            .is_some_and(|word| word == "Lambda")
    }
}

fn fill(filling: &mut Filling, outputs: &Outputs) {
    filling.set("metadata.name", outputs.pipeline.name.as_str());
    filling.set("metadata.namespace", outputs.pipeline.namespace.as_str());
    filling.set("spec.aws.region", outputs.region.as_str());
    kafka(filling, outputs);
    filling.set("spec.table.name", outputs.table.name.as_str());
    if let Some(days) = outputs.table.expire_days {
        filling.set("spec.table.expireAfterDays", days);
    }
    filling.set("spec.lake.bronze.bucket", outputs.lake.bronze.as_str());
    filling.set("spec.lake.silver.bucket", outputs.lake.silver.as_str());
    filling.set("spec.lake.gold.bucket", outputs.lake.gold.as_str());
    filling.set("spec.dbt.project", outputs.images.dbt_project.as_str());
    let is_loaded = filling.get("spec.stages.warehouse").is_some();
    match &outputs.warehouse {
        Some(found) if is_loaded => warehouse(filling, found),
        None if is_loaded => filling.problems.push(
            "spec.stages.warehouse loads into a warehouse, and the environment has none: give the root one, or leave out the stage".to_owned(),
        ),
        // The Pipeline ends at Gold.
        _ => {}
    }
    let is_registered = filling
        .get("spec.catalog")
        .or(filling.get("spec.stages.catalog"))
        .is_some();
    match &outputs.catalog {
        Some(found) if is_registered => {
            filling.set("spec.catalog.type", "Glue");
            filling.set("spec.catalog.glue.database", found.database.as_str());
        }
        None if is_registered => filling.problems.push(
            "spec.catalog registers tables in a catalog, and the environment has none: give the root one, or leave it out".to_owned(),
        ),
        _ => {}
    }
    for (stage, worker) in [
        ("spec.stages.ingest", Worker::Gateway),
        ("spec.stages.bronze", Worker::Exporter),
    ] {
        if filling.is_on_lambda(stage) && !outputs.has_function(worker) {
            filling.problems.push(format!(
                "{stage}.runsOn is Lambda, and the environment has no function {worker}: give the root one, or leave out runsOn"
            ));
        }
    }
    accounts(filling, outputs);
}

fn kafka(filling: &mut Filling, outputs: &Outputs) {
    let kafka = &outputs.kafka;
    filling.set("spec.kafka.bootstrapServers", json!(kafka.bootstrap_servers));
    filling.set("spec.kafka.topic", kafka.topic.as_str());
    filling.set("spec.kafka.deadLetterTopic", kafka.dead_letter_topic.as_str());
    filling.set("spec.kafka.partitions", kafka.partitions);
    if let Some(copies) = kafka.replication_factor {
        filling.set("spec.kafka.replicationPolicy", "Specified");
        filling.set("spec.kafka.replicationFactor", copies);
    } else {
        filling.set("spec.kafka.replicationPolicy", "ClusterDecides");
        filling.leave_out("spec.kafka", "replicationFactor");
    }
    // An authority of one's own is the team's matter.
    if kafka.tls && filling.get("spec.kafka.tls").is_none() {
        filling.set("spec.kafka.tls", json!({}));
    }
    filling.set("spec.kafka.authentication.type", kafka.authentication.as_str());
}

fn warehouse(filling: &mut Filling, found: &Warehouse) {
    filling.set("spec.warehouse.type", "Redshift");
    let fields = [
        ("workgroupName", found.workgroup_name.as_deref()),
        ("clusterIdentifier", found.cluster_identifier.as_deref()),
        ("database", Some(found.database.as_str())),
        ("schema", Some(found.schema.as_str())),
        ("loaderUser", found.loader_user.as_deref()),
        ("copyRoleArn", Some(found.copy_role_arn.as_str())),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            filling.set(&format!("spec.warehouse.redshift.{name}"), value);
        }
    }
}

/// Roles are bound to accounts by name. Those that the operator makes of itself need not be named.
fn accounts(filling: &mut Filling, outputs: &Outputs) {
    for worker in Worker::ALL {
        for place in places(worker) {
            if !has_pods(filling, place) {
                continue;
            }
            let Some(identity) = outputs.identities.get(worker.as_str()) else {
                filling.problems.push(no_identity(place, worker, outputs));
                continue;
            };
            let field = format!("{place}.serviceAccountName");
            let is_made = identity.service_account == names::child(&outputs.pipeline.name, worker);
            if !is_made || filling.get(&field).is_some() {
                filling.set(&field, identity.service_account.as_str());
            }
        }
    }
}

fn no_identity(place: &str, worker: Worker, outputs: &Outputs) -> String {
    let or = if outputs.has_function(worker) {
        ", or say runsOn: Lambda there, for it has a function"
    } else {
        ""
    };
    format!("{place} has pods of the {worker}, and the environment has no role for it: give the root one{or}")
}

/// What of a Pipeline a worker's pods are for.
const fn places(worker: Worker) -> &'static [&'static str] {
    match worker {
        Worker::Provisioner => &["spec.provisioner"],
        Worker::Gateway => &["spec.stages.ingest"],
        Worker::Consumer => &["spec.stages.persist"],
        Worker::Exporter => &["spec.stages.bronze"],
        Worker::DbtRunner => &["spec.stages.silver", "spec.stages.gold"],
        Worker::Loader => &["spec.stages.warehouse"],
        Worker::Cataloger => &["spec.stages.catalog"],
    }
}

/// The ends of a Pipeline may be left out, and a function needs no account; the exporter's pod observes even so.
fn has_pods(filling: &Filling, place: &str) -> bool {
    match place {
        "spec.stages.ingest" => filling.get(place).is_some() && !filling.is_on_lambda(place),
        "spec.stages.warehouse" => filling.get(place).is_some(),
        "spec.stages.catalog" => filling.get("spec.catalog").is_some(),
        _ => true,
    }
}
