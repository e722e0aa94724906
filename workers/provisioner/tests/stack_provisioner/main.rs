//! The provisioner on real parts: what it makes can be used, what differs is said, and twice is the same as once. Talks to the stack.

mod schema;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamViewType, TableStatus,
};
use medallion_crds::launch::report::ProvisionReport;
use medallion_crds::launch::{
    ContractSettings, ContractVersionSettings, KafkaSettings, LakeSettings, LayerBuckets, PipelineIdentity,
    ProvisionerSettings, Settings, WarehouseSettings,
};
use medallion_crds::pipeline::{DependencyState, Management};
use provisioner::{Services, provision};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use serde_json::Value;

const SCHEMA: &str = r#"{"type": "object", "required": ["sku", "id", "at"], "properties": {
    "sku": {"type": "string"}, "id": {"type": "string"}, "at": {"type": "string", "format": "date-time"}}}"#;

/// Names of a story's own on the running stack.
struct Place {
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
                }],
                key: "/sku".to_owned(),
                event_id: "/id".to_owned(),
                event_time: "/at".to_owned(),
                version: None,
            },
            kafka: KafkaSettings {
                bootstrap_servers: text("/kafka/bootstrapServers")?.split(',').map(str::to_owned).collect(),
                topic: name.clone(),
                dead_letter_topic: format!("dlq.{name}"),
                tls: None,
            },
            partitions: 3,
            table: name.clone(),
            group: format!("medallion.test.shop.{}", name.replace('_', "-")),
            replication_factor: 1,
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
        [Exists, Missing, Missing, Missing, Missing, Missing, Missing],
        "{found:#?}"
    );
    for dependency in &found.dependencies[1..] {
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
        [Exists, Created, Created, Created, Created, Created, Created],
        "{made:#?}"
    );
    assert_eq!(made.contract_version.as_ref().map(String::len), Some(64));
    let again = place.provision().await;
    assert_eq!(states(&again), [Exists; 7], "{again:#?}");
    assert_eq!(states(&place.verify().await), [Exists; 7]);

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
    let (state, words) = message(&report, "Contract/schema.json");
    assert_eq!(state, DependencyState::Differs);
    assert!(words.contains("/article"), "{words}");
    assert_eq!(report.contract_version, None);
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
    assert_eq!(message(&report, "Contract/schema.json").0, DependencyState::Missing);
    for dependency in &report.dependencies[1..] {
        assert_eq!(dependency.state, DependencyState::Unknown, "{dependency:?}");
        assert!(dependency.message.is_some());
    }
    Ok(())
}
