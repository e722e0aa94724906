//! What the provisioner finds.

use kube::ResourceExt;
use medallion_crds::labels;
use medallion_crds::launch::report::{ProvisionReport, Report};
use medallion_crds::pipeline::{ContractVersionStatus, Dependency, DependencyKind, DependencyState};

use super::super::World;
use super::pods::ended;

impl World {
    pub(super) fn provisioner(&mut self, unmet: &[(String, DependencyState)]) {
        let Some(job) = self
            .observed
            .jobs
            .iter()
            .rev()
            .find(|job| job.labels().get(labels::RUN).is_none())
            .cloned()
        else {
            return;
        };
        let found = |name: &str, state, message| Dependency {
            name: name.to_owned(),
            kind: kind_of(name),
            state,
            message,
        };
        let mut dependencies = vec![found("Table/purchase_orders", DependencyState::Exists, None)];
        dependencies.retain(|table| unmet.iter().all(|(name, _)| *name != table.name));
        for (name, state) in unmet {
            let message = format!("no {name}; create it, or set spec.management to Managed");
            dependencies.push(found(name, *state, Some(message)));
        }
        let report = Report::Provision(ProvisionReport {
            dependencies,
            contract_versions: vec![ContractVersionStatus {
                name: "v1".to_owned(),
                digest: "c0ffee".to_owned(),
            }],
        });
        let code = if unmet.is_empty() { 0 } else { 21 };
        let pod = self.pod_of_job(&job, ended(code, None, Some(&report)));
        self.observed.pods.push(pod.into());
        self.end_job(
            &job,
            if code == 0 { "Complete" } else { "Failed" },
            "BackoffLimitExceeded",
        );
    }
}

/// By the word that a name begins with; one that several kinds share stands for one of them, and a kind's own word for it.
pub(super) fn kind_of(name: &str) -> DependencyKind {
    match name.split('/').next().unwrap_or_default() {
        "Bucket" => DependencyKind::GoldBucket,
        "Schema" => DependencyKind::WarehouseSchema,
        word => serde_json::from_value(word.into()).expect("a kind, or another"),
    }
}
