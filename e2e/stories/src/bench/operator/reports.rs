//! What the simulated workers of Jobs leave when they end. Touches no network.

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use medallion_crds::labels;
use medallion_crds::launch::report::{ProvisionReport, Report, RunReport};
use medallion_crds::pipeline::{ContractVersionStatus, Dependency, DependencyKind, DependencyState};
use medallion_crds::stage_run::OutputTable;

/// Tables that a stage leaves, always at the same version, so that the next stage has nothing to do.
pub const TABLES: [&str; 3] = ["orders", "daily_sales", "customer_value"];

/// What the worker of a Job leaves: one of a run names the run, which owns the Job.
pub fn of(job: &Job) -> Report {
    let label = |name: &str| job.labels().get(name);
    if label(labels::STAGE).is_none() {
        return provisioned();
    }
    let run = job.owner_references().first();
    Report::Run(RunReport {
        run_uid: run.map(|run| run.uid.clone()).unwrap_or_default(),
        attempt: label(labels::ATTEMPT).and_then(|text| text.parse().ok()).unwrap_or(1),
        already_committed: false,
        inputs: Vec::new(),
        outputs: outputs(),
        rows: 1000,
    })
}

pub fn outputs() -> Vec<OutputTable> {
    TABLES.map(|table| OutputTable::new(table.to_owned(), 1)).into()
}

/// Everything is there.
fn provisioned() -> Report {
    let kinds = [
        (DependencyKind::Topic, "Topic"),
        (DependencyKind::DeadLetterTopic, "DeadLetterTopic"),
        (DependencyKind::ConsumerGroup, "ConsumerGroup"),
        (DependencyKind::Table, "Table"),
        (DependencyKind::BronzeBucket, "BronzeBucket"),
        (DependencyKind::SilverBucket, "SilverBucket"),
        (DependencyKind::GoldBucket, "GoldBucket"),
        (DependencyKind::WarehouseSchema, "WarehouseSchema"),
    ];
    let dependencies = kinds.map(|(kind, word)| Dependency {
        kind,
        name: format!("{word}/simulated"),
        state: DependencyState::Exists,
        message: None,
    });
    Report::Provision(ProvisionReport {
        dependencies: dependencies.into(),
        contract_versions: vec![ContractVersionStatus {
            name: "v1".to_owned(),
            digest: "0".repeat(64),
        }],
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_is_named_by_the_owner_of_its_job_and_the_provisioner_finds_everything() {
        let job: Job = serde_json::from_value(json!({"metadata": {
            "labels": {labels::STAGE: "silver", labels::ATTEMPT: "2"},
            "ownerReferences": [{"apiVersion": "medallion.dev/v1alpha1", "kind": "StageRun", "name": "r", "uid": "run"}],
        }}))
        .unwrap();
        let Report::Run(report) = of(&job) else {
            panic!("a report of a run")
        };
        assert_eq!((report.run_uid.as_str(), report.attempt), ("run", 2));
        assert!(matches!(of(&Job::default()), Report::Provision(_)));
    }
}
