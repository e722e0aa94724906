//! The provisioner: creates or verifies what a pipeline depends on, and reports each with the fix. Talks to Kafka, `DynamoDB`, S3 and the Redshift Data API.
//!
//! Every dependency is looked at, all at the same time, whatever becomes of the others, and each has its own time limit.
//! What differs is said and never changed; a time to live that a table lacks is turned on. Running it again changes nothing. The
//! report is the result: that something is missing is no error of the provisioner. It has no metrics of its own: it lives for
//! seconds, and no scrape would meet it.

mod bucket;
mod claimant;
mod contract;
mod expiry;
mod finding;
mod group;
mod kafka;
mod lake;
mod schema;
mod statements;
mod table;

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use futures::FutureExt;
use kafka_client::{Brokers, Diagnosis, KafkaContext, reach};
use medallion_contract::Contract;
use medallion_crds::Reason;
use medallion_crds::launch::report::{ProvisionReport, Report};
use medallion_crds::launch::{ProvisionerSettings, Settings};
use medallion_crds::pipeline::{Dependency, DependencyKind};
use medallion_lake::LakeStore;
use rdkafka::admin::AdminClient;
use rdkafka::consumer::BaseConsumer;
use worker_kit::{Context, WorkerError};

use crate::claimant::Claimant;
use crate::finding::{Finding, late, within};
use crate::lake::Bronze;

/// Looks at everything once.
pub async fn run(context: Context<ProvisionerSettings>) -> Result<Option<Report>, WorkerError> {
    let settings = &context.settings;
    let services = Services::alike(&worker_kit::aws::configuration(&settings.region).await);
    context.ready.send_replace(true);
    let report = tokio::select! {
        report = provision(settings, &services) => report,
        () = context.shutdown.cancelled() => {
            let message = "asked to stop before everything was looked at: it is tried again";
            return Err(WorkerError::environment(Reason::Interrupted, message));
        }
    };
    for dependency in &report.dependencies {
        let (name, state, message) = (&dependency.name, dependency.state, dependency.message.as_deref());
        if state.is_met() {
            tracing::info!(dependency = name, ?state, detail = message, "as it must be");
        } else {
            tracing::warn!(dependency = name, ?state, detail = message, "not as it must be");
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

/// Creates what is missing, if the settings want it, and says how everything is, and whose.
pub async fn provision(settings: &Settings<ProvisionerSettings>, services: &Services) -> ProvisionReport {
    let owner = settings.pipeline.owner();
    let look = Look {
        limit: Duration::from_secs(
            u64::try_from(settings.worker.timeout_seconds)
                .unwrap_or_default()
                .max(1),
        ),
        settings: &settings.worker,
        services,
        claimant: Claimant {
            owner: &owner,
            adopt: &settings.adopt,
        },
    };
    let (itself, contract) = contract::check(&settings.worker.contract);
    let (kafka, table, (bronze, bronze_contract), silver, gold, schema) = tokio::join!(
        // Boxed, because the calls of the AWS SDK are large and whoever waits for all of them would be as large as all.
        look.kafka().boxed(),
        look.table().boxed(),
        look.bronze(contract.as_ref()).boxed(),
        look.layer(DependencyKind::SilverBucket).boxed(),
        look.layer(DependencyKind::GoldBucket).boxed(),
        look.schema().boxed(),
    );
    // What is wrong with the contract by itself comes first.
    let finding = if itself == Finding::Exists {
        bronze_contract
    } else {
        itself
    };
    let mut dependencies = vec![finding.of(DependencyKind::Contract, contract::name(&settings.worker.contract))];
    dependencies.extend(kafka);
    dependencies.extend([table, bronze, silver, gold]);
    dependencies.extend(schema);
    ProvisionReport {
        dependencies,
        contract_versions: contract::versions(&settings.worker.contract, contract.as_ref()),
    }
}

/// One look at everything, each with its own time limit.
struct Look<'a> {
    settings: &'a ProvisionerSettings,
    services: &'a Services,
    claimant: Claimant<'a>,
    limit: Duration,
}

impl Look<'_> {
    /// Topic, dead-letter topic and consumer group.
    async fn kafka(&self) -> [Dependency; 3] {
        match self.kafka_clients().await {
            Ok((admin, consumer)) => self.kafka_by(admin, consumer).await,
            // One refusal is all there is to say of the three.
            Err(why) => self.kafka_found([(); 3].map(|()| Finding::Unknown(why.to_string()))),
        }
    }

    /// Clients of brokers that answer, or why there are none: as soon as that is known.
    async fn kafka_clients(&self) -> Result<(AdminClient<KafkaContext>, BaseConsumer<KafkaContext>), Diagnosis> {
        let ProvisionerSettings { kafka, group, .. } = self.settings;
        let brokers = Brokers::open(kafka).await;
        let (group, limit) = (group.clone(), self.limit);
        let reached = tokio::task::spawn_blocking(move || {
            let snapshot = brokers.read()?;
            let consumer = group::client(&snapshot, &group).map_err(|error| snapshot.unusable(&error))?;
            reach(&consumer, snapshot.settings(), limit)?;
            let mut configuration = snapshot.client("provisioner");
            configuration.set("socket.timeout.ms", limit.as_millis().to_string());
            Ok((snapshot.admin(&configuration)?, consumer))
        });
        reached
            .await
            .unwrap_or_else(|error| Err(Diagnosis::unavailable(format!("internal: {error}"))))
    }

    async fn kafka_by(
        &self,
        admin: AdminClient<KafkaContext>,
        consumer: BaseConsumer<KafkaContext>,
    ) -> [Dependency; 3] {
        let ProvisionerSettings { kafka, group, .. } = self.settings;
        let (partitions, copies) = (self.settings.partitions, self.settings.replication_factor);
        let [topic, dead_letters] =
            kafka::check(admin, kafka, partitions, copies, self.settings.management, self.limit).await;
        let (owner, adopt) = (self.claimant.owner.clone(), self.claimant.adopt.to_vec());
        let (asked, named, limit) = (kafka.clone(), group.clone(), self.limit);
        let looked = tokio::task::spawn_blocking(move || {
            let claimant = Claimant {
                owner: &owner,
                adopt: &adopt,
            };
            let finding = group::check(&consumer, &asked, &named, claimant, limit);
            let known = !matches!(finding, Finding::Unknown(_));
            let other = known.then(|| group::other_user_of_dead_letters(&consumer, &asked, &named, claimant, limit));
            (finding, other.flatten())
        });
        let (finding, other) = match looked.await {
            Ok(looked) => looked,
            Err(error) => (Finding::Unknown(format!("internal: {error}")), None),
        };
        let mut dead_letters = dead_letters;
        if let Some(other) = other
            && !matches!(dead_letters, Finding::Unknown(_))
        {
            dead_letters = group::shared_dead_letters(&kafka.dead_letter_topic, &other);
        }
        self.kafka_found([topic, dead_letters, finding])
    }

    fn kafka_found(&self, [topic, dead_letters, finding]: [Finding; 3]) -> [Dependency; 3] {
        let ProvisionerSettings { kafka, group, .. } = self.settings;
        [
            topic.of(DependencyKind::Topic, format!("Topic/{}", kafka.topic)),
            dead_letters.of(
                DependencyKind::DeadLetterTopic,
                format!("Topic/{}", kafka.dead_letter_topic),
            ),
            finding.of(DependencyKind::ConsumerGroup, format!("ConsumerGroup/{group}")),
        ]
    }

    async fn table(&self) -> Dependency {
        let table = &self.settings.table;
        let tables = table::Tables::new(&in_time(&self.services.table, self.limit), self.settings.management);
        let look = tables.check(table, self.settings.table_expires, self.claimant);
        within(self.limit, DependencyKind::Table, format!("Table/{table}"), look).await
    }

    async fn bucket(&self, bucket: &str) -> Finding {
        let buckets = bucket::Buckets::new(&in_time(&self.services.buckets, self.limit), self.settings.management);
        buckets.check(bucket).await
    }

    /// The lake as it is reached; nothing is asked yet.
    fn lake(&self) -> Result<LakeStore, Finding> {
        LakeStore::s3(&self.services.buckets).map_err(|error| Finding::Unknown(error.to_string()))
    }

    /// The Bronze bucket, and what its table says of the contract.
    async fn bronze(&self, contract: Option<&Contract>) -> (Dependency, Finding) {
        let bucket = &self.settings.buckets.bronze;
        let look = async {
            match self.bucket(bucket).await {
                Finding::Exists => match self.lake() {
                    Ok(store) => lake::bronze(&store, &self.settings.lake.bronze_table, contract, self.claimant).await,
                    Err(finding) => Bronze {
                        table: finding.clone(),
                        contract: finding,
                    },
                },
                // A bucket that is not there, or new, has no table.
                table => Bronze {
                    table,
                    contract: Finding::Exists,
                },
            }
        };
        let found = tokio::time::timeout(self.limit, look).await.unwrap_or_else(|_| Bronze {
            table: late(self.limit),
            contract: late(self.limit),
        });
        (
            found.table.of(DependencyKind::BronzeBucket, format!("Bucket/{bucket}")),
            found.contract,
        )
    }

    /// The bucket of Silver or Gold, and whose tables are in it.
    async fn layer(&self, kind: DependencyKind) -> Dependency {
        let ProvisionerSettings { buckets, lake, .. } = self.settings;
        let (bucket, address, named) = match kind {
            DependencyKind::SilverBucket => (&buckets.silver, &lake.silver, &[][..]),
            _ => (&buckets.gold, &lake.gold, self.settings.warehouse_tables.as_slice()),
        };
        let look = async {
            match self.bucket(bucket).await {
                Finding::Exists => match self.lake() {
                    Ok(store) => lake::layer(&store, address, named, self.claimant).await,
                    Err(finding) => finding,
                },
                other => other,
            }
        };
        within(self.limit, kind, format!("Bucket/{bucket}"), look).await
    }

    /// The warehouse's schema, if the pipeline has a warehouse.
    async fn schema(&self) -> Option<Dependency> {
        let warehouse = self.settings.warehouse.as_ref()?;
        let configuration = in_time(&self.services.warehouse, self.limit);
        let claimant = schema::Claimant {
            owner: self.claimant.owner.to_string(),
            adopt: self.claimant.adopt.to_vec(),
            tables: self.settings.warehouse_tables.clone(),
        };
        let schema = schema::Schemas::new(&configuration, warehouse, self.settings.management, claimant);
        let name = format!("Schema/{}.{}", warehouse.database, warehouse.schema);
        Some(within(self.limit, DependencyKind::WarehouseSchema, name, schema.check()).await)
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
