//! The provisioner on real parts: what it makes can be used, what differs is said, and twice is the same as once. Talks to the stack.

#[path = "../../../kafka/tests/stack_kafka/acl.rs"]
mod acl;
mod expiry;
mod schema;
mod secure;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamViewType, TableStatus,
};
use kafka_admin::Stamp;
use medallion_contract::{Contract, PARTITION_COLUMN, Pointers};
use medallion_crds::launch::report::ProvisionReport;
use medallion_crds::launch::{
    ContractSettings, ContractVersionSettings, KafkaSettings, LakeSettings, LayerBuckets, PipelineIdentity,
    ProvisionerSettings, Settings, WarehouseSettings, schema_digest,
};
use medallion_crds::pipeline::{DependencyState, Management};
use medallion_lake::{Claim, LakeStore};
use provisioner::{Services, provision};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;

const SCHEMA: &str = r#"{"type": "object", "required": ["sku", "id", "at"], "properties": {
    "sku": {"type": "string"}, "id": {"type": "string"}, "at": {"type": "string", "format": "date-time"}}}"#;

/// Names of a story's own on the running stack.
struct Place {
    /// The stack's file.
    stack: Value,
    settings: ProvisionerSettings,
    services: Services,
    folder: tempfile::TempDir,
}

impl Place {
    async fn new(story: &str) -> Result<Self> {
        let path =
            std::env::var("MEDALLION_STACK").context("MEDALLION_STACK must name the stack.json of a running stack")?;
        let stack: Value = serde_json::from_str(&std::fs::read_to_string(&path).with_context(|| path.clone())?)?;
        let text = |pointer: &str| -> Result<String> {
            Ok(stack
                .pointer(pointer)
                .and_then(Value::as_str)
                .with_context(|| format!("{path} has no {pointer}"))?
                .to_owned())
        };
        let name = format!("{story}_{}", SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos());
        let credentials = Credentials::new(
            text("/aws/accessKeyId")?,
            text("/aws/secretAccessKey")?,
            None,
            None,
            "stack",
        );
        let base = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(text("/aws/region")?))
            .credentials_provider(credentials)
            .load()
            .await;
        let at = |pointer: &str| -> Result<SdkConfig> { Ok(base.to_builder().endpoint_url(text(pointer)?).build()) };
        let services = Services {
            table: at("/dynamodb/endpoint")?,
            buckets: at("/s3/endpoint")?,
            warehouse: at("/redshift/endpoint")?,
        };

        let folder = tempfile::tempdir()?;
        let schema_path = folder.path().join("schema.json");
        std::fs::write(&schema_path, SCHEMA)?;
        let bucket = |layer: &str| format!("{}-{layer}", name.replace('_', "-"));
        let settings = ProvisionerSettings {
            management: Management::Managed,
            contract: ContractSettings {
                versions: vec![ContractVersionSettings {
                    name: "v1".to_owned(),
                    schema_path: schema_path.to_string_lossy().into_owned(),
                    digest: schema_digest(SCHEMA),
                }],
                key: "/sku".to_owned(),
                event_id: "/id".to_owned(),
                event_time: "/at".to_owned(),
                event_version: None,
            },
            kafka: KafkaSettings {
                bootstrap_servers: text("/kafka/bootstrapServers")?.split(',').map(str::to_owned).collect(),
                topic: name.clone(),
                dead_letter_topic: format!("dlq.{name}"),
                ..KafkaSettings::default()
            },
            partitions: 3,
            table: name.clone(),
            table_expires: false,
            group: format!("medallion.test.shop.{}", name.replace('_', "-")),
            replication_factor: Some(1),
            buckets: LayerBuckets {
                bronze: bucket("bronze"),
                silver: bucket("silver"),
                gold: bucket("gold"),
            },
            lake: LakeSettings {
                bronze_table: format!("s3://{}/{name}", bucket("bronze")),
                silver: format!("s3://{}", bucket("silver")),
                gold: format!("s3://{}", bucket("gold")),
            },
            warehouse: Some(WarehouseSettings {
                workgroup_name: Some(text("/redshift/workgroupName")?),
                cluster_identifier: None,
                database: text("/redshift/database")?,
                schema: name,
                loader_user: None,
                copy_role_arn: "arn:aws:iam::123456789012:role/copy".to_owned(),
            }),
            warehouse_tables: vec!["orders".to_owned()],
            timeout_seconds: 20,
        };
        Ok(Self {
            stack,
            settings,
            services,
            folder,
        })
    }

    async fn provision(&self) -> ProvisionReport {
        provision(&self.of("orders", &[], self.settings.clone()), &self.services).await
    }

    async fn verify(&self) -> ProvisionReport {
        let settings = ProvisionerSettings {
            management: Management::External,
            ..self.settings.clone()
        };
        provision(&self.of("orders", &[], settings), &self.services).await
    }

    /// The settings file of a Pipeline.
    fn of(&self, name: &str, adopt: &[&str], worker: ProvisionerSettings) -> Settings<ProvisionerSettings> {
        Settings {
            pipeline: PipelineIdentity {
                installation: "here".to_owned(),
                namespace: "shop".to_owned(),
                name: name.to_owned(),
                uid: format!("{}-{name}", self.settings.table),
            },
            stage: None,
            adopt: adopt.iter().map(|owner| (*owner).to_owned()).collect(),
            region: "eu-west-1".to_owned(),
            worker,
        }
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        Ok(ClientConfig::new()
            .set("bootstrap.servers", self.settings.kafka.bootstrap_servers.join(","))
            .create()?)
    }
}

fn states(report: &ProvisionReport) -> Vec<DependencyState> {
    report.dependencies.iter().map(|dependency| dependency.state).collect()
}

fn message<'r>(report: &'r ProvisionReport, name: &str) -> (DependencyState, &'r str) {
    let found = report
        .dependencies
        .iter()
        .find(|dependency| dependency.name == name)
        .expect("a dependency");
    (found.state, found.message.as_deref().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_made_once_and_then_exists() -> Result<()> {
    use DependencyState::{Created, Exists, Missing};
    let place = Place::new("made").await?;

    let found = place.verify().await;
    assert_eq!(
        states(&found),
        [
            Exists, Missing, Missing, Exists, Missing, Missing, Missing, Missing, Missing
        ],
        "{found:#?}"
    );
    let missing = found
        .dependencies
        .iter()
        .filter(|dependency| dependency.state == Missing);
    for dependency in missing {
        let message = dependency.message.as_deref().unwrap_or_default();
        assert!(
            message.contains("or set spec.management: Managed"),
            "{}: {message}",
            dependency.name
        );
    }
    assert_eq!(
        states(&place.verify().await),
        states(&found),
        "verifying creates nothing"
    );

    let made = place.provision().await;
    assert_eq!(
        states(&made),
        [
            Exists, Created, Created, Exists, Created, Created, Created, Created, Created
        ],
        "{made:#?}"
    );
    let valid: Vec<_> = made
        .contract_versions
        .iter()
        .map(|valid| (valid.name.as_str(), valid.digest.len()))
        .collect();
    assert_eq!(valid, [("v1", 64)]);
    let again = place.provision().await;
    assert_eq!(states(&again), [Exists; 9], "{again:#?}");
    assert_eq!(states(&place.verify().await), [Exists; 9]);

    let table = aws_sdk_dynamodb::Client::new(&place.services.table);
    let table = table
        .describe_table()
        .table_name(&place.settings.table)
        .send()
        .await?
        .table
        .context("a table")?;
    assert_eq!(table.table_status(), Some(&TableStatus::Active));
    let view = table
        .stream_specification()
        .and_then(|stream| stream.stream_view_type());
    assert_eq!(view, Some(&StreamViewType::NewImage));

    let names = [&place.settings.kafka.topic, &place.settings.kafka.dead_letter_topic];
    let resources = names.map(|name| ResourceSpecifier::Topic(name));
    let mut longest = Vec::new();
    for found in place
        .admin()?
        .describe_configs(&resources, &AdminOptions::new())
        .await?
    {
        let found = found.map_err(|code| anyhow::anyhow!("{code}"))?;
        let value = found
            .get("max.message.bytes")
            .and_then(|entry| entry.value.clone())
            .context("a value")?;
        longest.push(value.parse::<i64>()?);
    }
    assert!(
        longest[1] > longest[0],
        "a dead letter carries more headers than its record: {longest:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_said_and_not_changed_and_the_rest_is_still_made() -> Result<()> {
    let mut place = Place::new("differs").await?;
    let topic = place.settings.kafka.topic.clone();
    let new = NewTopic::new(&topic, 2, TopicReplication::Fixed(1));
    place.admin()?.create_topics([&new], &AdminOptions::new()).await?;
    let tables = aws_sdk_dynamodb::Client::new(&place.services.table);
    tables
        .create_table()
        .table_name(&place.settings.table)
        .attribute_definitions(
            AttributeDefinition::builder()
                .attribute_name("key")
                .attribute_type(ScalarAttributeType::S)
                .build()?,
        )
        .attribute_definitions(
            AttributeDefinition::builder()
                .attribute_name("event_id")
                .attribute_type(ScalarAttributeType::S)
                .build()?,
        )
        .key_schema(
            KeySchemaElement::builder()
                .attribute_name("key")
                .key_type(KeyType::Hash)
                .build()?,
        )
        .key_schema(
            KeySchemaElement::builder()
                .attribute_name("event_id")
                .key_type(KeyType::Range)
                .build()?,
        )
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await?;
    place.settings.contract.key = "/article".to_owned();

    let report = place.provision().await;
    let (state, words) = message(&report, "Contract/v1");
    assert_eq!(state, DependencyState::Differs);
    assert!(words.contains("/article"), "{words}");
    assert_eq!(report.contract_versions, []);
    let (state, words) = message(&report, &format!("Topic/{topic}"));
    assert_eq!(state, DependencyState::Differs);
    assert!(words.contains("2 partitions") && words.contains("says 3"), "{words}");
    let (state, words) = message(&report, &format!("Table/{}", place.settings.table));
    assert_eq!(state, DependencyState::Differs);
    assert!(words.contains("aws dynamodb update-table"), "{words}");
    let made = states(&report)
        .into_iter()
        .filter(|state| *state == DependencyState::Created)
        .count();
    assert_eq!(made, 5, "dead-letter topic, three buckets, schema: {report:#?}");

    let found = tables.describe_table().table_name(&place.settings.table).send().await?;
    assert_eq!(found.table.and_then(|table| table.stream_specification), None);
    Ok(())
}

/// Commits an offset of the topic as the consumer of another pipeline does.
fn commit_as(place: &Place, group: &str, topic: &str, owner: &str) -> Result<()> {
    let stamp = Stamp {
        owner: owner.to_owned(),
        topic_id: None,
    };
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(topic, 0, Offset::Offset(0))?;
    for mut element in offsets.elements() {
        element.set_metadata(stamp.to_metadata());
    }
    let consumer: BaseConsumer = kafka_client::Brokers::without_tokens(&place.settings.kafka)
        .read()?
        .consumer("consumer", group)
        .create()?;
    Ok(consumer.commit(&offsets, CommitMode::Sync)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_and_a_dead_letter_topic_of_another_are_refused_and_a_longer_topic_is_reported() -> Result<()> {
    use DependencyState::{Differs, Exists};
    let place = Place::new("owned").await?;
    place.provision().await;
    let settings = &place.settings;
    let (topic, dead_letters) = (&settings.kafka.topic, &settings.kafka.dead_letter_topic);
    let more = NewPartitions::new(topic, 5);
    place.admin()?.create_partitions([&more], &AdminOptions::new()).await?;
    let (group, other) = (settings.group.clone(), "here/shop/other");
    commit_as(&place, &group, topic, other)?;
    commit_as(&place, &format!("{group}-other"), dead_letters, other)?;

    let report = place.provision().await;
    let (state, words) = message(&report, &format!("Topic/{topic}"));
    assert!(state == Exists && words.contains("5 partitions"), "{state:?} {words}");
    for name in [format!("ConsumerGroup/{group}"), format!("Topic/{dead_letters}")] {
        let (state, words) = message(&report, &name);
        assert!(state == Differs && words.contains(other), "{name}: {state:?} {words}");
    }
    let adopted = place.of("orders", &[other], settings.clone());
    let report = provision(&adopted, &place.services).await;
    for name in [format!("ConsumerGroup/{group}"), format!("Topic/{dead_letters}")] {
        assert_eq!(message(&report, &name).0, Exists, "{name}");
    }
    Ok(())
}

/// What the unit tests say on a file system, once on S3: Bronze by another, and a contract that does not go on from it.
#[tokio::test(flavor = "multi_thread")]
async fn bronze_of_another_and_a_changed_contract_are_refused() -> Result<()> {
    use DependencyState::Differs;
    let place = Place::new("bronze").await?;
    place.provision().await;
    let schema = SCHEMA.replace(
        r#""id": {"type": "string"}"#,
        r#""id": {"type": "string"}, "count": {"type": "integer"}"#,
    );
    let pointers = Pointers {
        key: "/sku",
        event_id: "/id",
        event_time: "/at",
        event_version: None,
    };
    let contract = Contract::compile(&schema, &pointers)?;
    let store = LakeStore::s3(&place.services.buckets)?;
    let claim = Claim::new("here/shop/other", []);
    let table = store.table(&place.settings.lake.bronze_table)?.claimed(&claim);
    table
        .open_or_create(&contract.bronze_table_schema(), &[PARTITION_COLUMN])
        .await?;

    let report = place.provision().await;
    let (state, words) = message(&report, &format!("Bucket/{}", place.settings.buckets.bronze));
    assert!(
        state == Differs && words.contains("here/shop/other"),
        "{state:?} {words}"
    );
    let (state, words) = message(&report, "Contract/v1");
    assert!(state == Differs && words.contains("count"), "{state:?} {words}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_answer_is_unknown_and_keeps_nobody_waiting() -> Result<()> {
    let mut place = Place::new("unknown").await?;
    let nobody = place
        .services
        .warehouse
        .to_builder()
        .endpoint_url("http://127.0.0.1:9")
        .build();
    place.services = Services {
        table: nobody.clone(),
        buckets: nobody.clone(),
        warehouse: nobody,
    };
    place.settings.kafka.bootstrap_servers = vec!["127.0.0.1:9".to_owned()];
    place.settings.timeout_seconds = 3;
    std::fs::remove_file(place.folder.path().join("schema.json"))?;

    let report = place.provision().await;
    assert_eq!(message(&report, "Contract/v1").0, DependencyState::Missing);
    for dependency in &report.dependencies[1..] {
        assert_eq!(dependency.state, DependencyState::Unknown, "{dependency:?}");
        assert!(dependency.message.is_some());
    }
    Ok(())
}
