//! What the provisioner finds.

use kube::ResourceExt;
use medallion_crds::labels;
use medallion_crds::launch::report::{ProvisionReport, Report};
use medallion_crds::pipeline::{Dependency, DependencyKind, DependencyState};

use super::super::World;
use super::pods::ended;

impl World {
    pub(super) fn provisioner(&mut self, missing: &[String]) {
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
        let topic = |name: &str, state, message| Dependency {
            name: name.to_owned(),
            kind: kind_of(name),
            state,
            message,
        };
        let mut dependencies = vec![topic("Table/purchase_orders", DependencyState::Exists, None)];
        for name in missing {
            let message = format!("no {name}; create it, or set spec.management to Managed");
            dependencies.push(topic(name, DependencyState::Missing, Some(message)));
        }
        let report = Report::Provision(ProvisionReport {
            dependencies,
            contract_version: Some("c0ffee".to_owned()),
        });
        let code = if missing.is_empty() { 0 } else { 21 };
        let pod = self.pod_of_job(&job, ended(code, None, Some(&report)));
        self.observed.pods.push(pod.into());
        self.end_job(
            &job,
            if code == 0 { "Complete" } else { "Failed" },
            "BackoffLimitExceeded",
        );
    }
}

pub(super) fn kind_of(name: &str) -> DependencyKind {
    match name.split('/').next() {
        Some("Topic") => DependencyKind::Topic,
        Some("Table") => DependencyKind::Table,
        Some("Bucket") => DependencyKind::GoldBucket,
        Some("Schema") => DependencyKind::WarehouseSchema,
        _ => DependencyKind::Other,
    }
}
