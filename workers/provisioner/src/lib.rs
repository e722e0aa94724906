//! The provisioner: creates or verifies what a pipeline depends on, and reports each with the fix. Talks to Kafka, `DynamoDB`, S3 and the Redshift Data API.
//!
//! Every dependency is looked at, all at the same time, whatever becomes of the others, and each has its own time limit.
//! What differs is said and never changed. Running it again changes nothing. The report is the result: that something is
//! missing is no error of the provisioner. It has no metrics of its own: it lives for seconds, and no scrape would meet it.

mod bucket;
mod contract;
mod finding;
mod kafka;
mod schema;
mod statements;
mod table;

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use futures::FutureExt;
use futures::future::{BoxFuture, join, join_all};
use medallion_crds::launch::report::{ProvisionReport, Report};
use medallion_crds::launch::{ProvisionerSettings, Settings};
use medallion_crds::pipeline::{Dependency, DependencyKind};
use worker_kit::{Context, WorkerError};

use crate::finding::within;

/// Looks at everything once.
pub async fn run(context: Context<ProvisionerSettings>) -> Result<Option<Report>, WorkerError> {
    let settings = &context.settings;
    let services = Services::alike(&worker_kit::aws::configuration(&settings.region).await);
    context.ready.send_replace(true);
    let report = tokio::select! {
        report = provision(settings, &services) => report,
        () = context.shutdown.cancelled() => {
            let message = "asked to stop before everything was looked at: it is tried again";
            return Err(WorkerError::environment("Interrupted", message));
        }
    };
    for dependency in &report.dependencies {
        let (name, state, message) = (&dependency.name, dependency.state, dependency.message.as_deref());
        if state.is_met() {
            tracing::info!(name, ?state, message);
        } else {
            tracing::warn!(name, ?state, message);
        }
    }
    Ok(Some(Report::Provision(report)))
}

/// How each AWS service is reached.
#[derive(Clone, Debug)]
pub struct Services {
    /// `DynamoDB`.
    pub table: SdkConfig,
    /// S3.
    pub buckets: SdkConfig,
    /// The Redshift Data API.
    pub warehouse: SdkConfig,
}

impl Services {
    /// All by one configuration, as outside of tests.
    pub fn alike(configuration: &SdkConfig) -> Self {
        Self {
            table: configuration.clone(),
            buckets: configuration.clone(),
            warehouse: configuration.clone(),
        }
    }
}

/// Creates what is missing, if the settings want it, and tells how everything is.
pub async fn provision(settings: &Settings<ProvisionerSettings>, services: &Services) -> ProvisionReport {
    let (owner, adopt, settings) = (settings.pipeline.owner(), &settings.adopt, &settings.worker);
    let limit = Duration::from_secs(u64::try_from(settings.timeout_seconds).unwrap_or_default().max(1));
    let (contract, contract_version) = contract::check(&settings.contract);

    let mut checks: Vec<BoxFuture<'_, Dependency>> = Vec::new();
    let table = table::Tables::new(&in_time(&services.table, limit), settings.management);
    checks.push(
        within(
            limit,
            DependencyKind::Table,
            format!("Table/{}", settings.table),
            async move { table.check(&settings.table).await },
        )
        .boxed(),
    );
    for (kind, bucket) in [
        (DependencyKind::BronzeBucket, &settings.buckets.bronze),
        (DependencyKind::SilverBucket, &settings.buckets.silver),
        (DependencyKind::GoldBucket, &settings.buckets.gold),
    ] {
        let buckets = bucket::Buckets::new(&in_time(&services.buckets, limit), settings.management);
        checks.push(
            within(limit, kind, format!("Bucket/{bucket}"), async move {
                buckets.check(bucket).await
            })
            .boxed(),
        );
    }
    if let Some(warehouse) = &settings.warehouse {
        let claimant = schema::Claimant {
            owner: owner.to_string(),
            adopt: adopt.clone(),
            tables: settings.warehouse_tables.clone(),
        };
        let configuration = in_time(&services.warehouse, limit);
        let schema = schema::Schemas::new(&configuration, warehouse, settings.management, claimant);
        let name = format!("Schema/{}.{}", warehouse.database, warehouse.schema);
        let look = within(limit, DependencyKind::WarehouseSchema, name, async move {
            schema.check().await
        });
        checks.push(look.boxed());
    }

    let topics = kafka::check(&settings.kafka, settings.partitions, settings.management, limit);
    let (topics, others) = join(topics, join_all(checks)).await;
    let dependencies = std::iter::once(contract).chain(topics).chain(others).collect();
    ProvisionReport {
        dependencies,
        contract_version,
    }
}

/// The same configuration, with calls that end, and say why, before the time for their dependency does.
fn in_time(configuration: &SdkConfig, limit: Duration) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(limit.min(Duration::from_secs(3)))
        .operation_attempt_timeout(limit / 3)
        .operation_timeout(limit * 9 / 10)
        .build();
    configuration.to_builder().timeout_config(timeouts).build()
}
