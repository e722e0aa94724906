//! A table with a stream, a bucket, a contract, and a way to read Bronze back. Talks to `DynamoDB` and S3, starts Python.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    StreamSpecification, StreamViewType,
};
use exporter::{BronzeSink, DynamoDbSource, Engine, EngineSettings, ExporterMetrics, FlushRule};
use jiff::{SignedDuration, Timestamp};
use medallion_contract::{Contract, Pointers};
use medallion_crds::launch::schema_digest;
use medallion_crds::pipeline::RunsOn;
use medallion_crds::progress::Identity;
use medallion_lake::{Claim, LakeStore, OwnedTable};
use serde::Deserialize;
use serde_json::{Value, json};
use stand_ins::mapping::Mapping;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use worker_kit::{ProgressHandle, WorkerError};

use crate::stack::Stack;

const SCHEMA: &str = r#"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["id", "order", "at"],
    "properties": {
        "id": {"type": "string"},
        "order": {"type": "string"},
        "at": {"type": "string", "format": "date-time"}
    }
}"#;

pub struct Shop {
    pub stack: Stack,
    pub table: String,
    pub bronze: String,
    pub folder: tempfile::TempDir,
    pub items: aws_sdk_dynamodb::Client,
}

/// A row of Bronze.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
pub struct Row {
    pub change: String,
    pub key: String,
    pub event: String,
    pub sequence: String,
}

impl Shop {
    pub async fn open() -> Result<Self> {
        let stack = Stack::from_environment()?;
        let name = format!("exporter-test-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let s3 = aws_sdk_s3::config::Builder::from(&stack.s3())
            .force_path_style(true)
            .build();
        aws_sdk_s3::Client::from_conf(s3)
            .create_bucket()
            .bucket(&name)
            .send()
            .await?;
        let items = aws_sdk_dynamodb::Client::new(&stack.dynamodb());
        let attribute = |name: &str| {
            AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S)
                .build()
        };
        let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
        items
            .create_table()
            .table_name(&name)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute("key")?)
            .attribute_definitions(attribute("event_id")?)
            .key_schema(key("key", KeyType::Hash)?)
            .key_schema(key("event_id", KeyType::Range)?)
            .stream_specification(stream(true)?)
            .send()
            .await?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("schema.json"), SCHEMA)?;
        Ok(Self {
            stack,
            bronze: format!("s3://{name}/orders"),
            table: name,
            folder,
            items,
        })
    }

    /// What invokes a function with the table's stream.
    pub async fn mapping(&self) -> Result<Mapping> {
        let streams = aws_sdk_dynamodbstreams::Client::new(&self.stack.dynamodb());
        let described = self.items.describe_table().table_name(&self.table).send().await?;
        let stream = described.table.and_then(|table| table.latest_stream_arn);
        Mapping::begin(streams, stream.context("a stream")?).await
    }

    pub async fn switch_stream(&self, on: bool) -> Result<()> {
        self.items
            .update_table()
            .table_name(&self.table)
            .stream_specification(stream(on)?)
            .send()
            .await?;
        Ok(())
    }

    pub async fn put(&self, number: u32, payload: &str) -> Result<()> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let put = self.items.put_item().table_name(&self.table);
        put.item("key", text(&format!("order-{}", number % 50)))
            .item("event_id", text(&format!("e-{number:06}")))
            .item("payload", text(payload))
            .item("contract_version", text("v1"))
            .item("source", text(&format!("orders/0/{number}")))
            .send()
            .await?;
        Ok(())
    }

    pub async fn put_event(&self, number: u32) -> Result<()> {
        let payload = format!(
            r#"{{"id": "e-{number:06}", "order": "order-{}", "at": "2026-03-01T00:00:00Z"}}"#,
            number % 50
        );
        self.put(number, &payload).await
    }

    pub async fn delete(&self, number: u32) -> Result<()> {
        let text = |text: String| AttributeValue::S(text);
        let delete = self.items.delete_item().table_name(&self.table);
        delete
            .key("key", text(format!("order-{}", number % 50)))
            .key("event_id", text(format!("e-{number:06}")))
            .send()
            .await?;
        Ok(())
    }

    pub fn bronze(&self) -> Result<OwnedTable> {
        let table = LakeStore::s3(&self.stack.s3())?.table(&self.bronze)?;
        Ok(table.claimed(&Claim::new("test/shop/orders", [])))
    }

    /// The exporter inside this process, until it ends by itself.
    pub async fn export(&self, shutdown: &CancellationToken) -> Result<(), WorkerError> {
        let pointers = Pointers {
            key: "/order",
            event_id: "/id",
            event_time: "/at",
            event_version: None,
        };
        let contract = Contract::compile(SCHEMA, &pointers).expect("contract");
        let settings = EngineSettings {
            flush: FlushRule {
                max_bytes: 50_000,
                max_age: SignedDuration::from_secs(1),
            },
            poll: Duration::from_millis(50),
        };
        let engine = Engine::new(
            DynamoDbSource::new(&self.stack.dynamodb(), &self.table),
            BronzeSink::new(self.bronze().expect("address"), contract),
            settings,
            Arc::new(Timestamp::now),
            ProgressHandle::new(Identity::default(), Timestamp::now),
            ExporterMetrics::default(),
            watch::channel(false).0,
        );
        engine.run(shutdown).await
    }

    /// The exporter's settings, as pod and function have them.
    pub fn settings(&self, runs_on: RunsOn) -> Value {
        json!({
            "pipeline": {"installation": "test", "namespace": "test", "name": "orders", "uid": "uid"},
            "stage": "bronze",
            "region": self.stack.aws.region,
            "worker": {
                "contract": {
                    "versions": [{
                        "name": "v1",
                        "schemaPath": self.folder.path().join("schema.json"),
                        "digest": schema_digest(SCHEMA),
                    }],
                    "key": "/order", "eventId": "/id", "eventTime": "/at",
                },
                "table": self.table,
                "lake": {"bronzeTable": self.bronze, "silver": "s3://silver", "gold": "s3://gold"},
                "runsOn": runs_on, "flushMaxBytes": 20_000, "flushMaxAgeSeconds": 1, "pollMilliseconds": 50,
            },
        })
    }

    /// The exporter as its own process, as it is shipped.
    pub fn start_exporter(&self) -> Result<Exporter> {
        self.start_exporter_as(RunsOn::Cluster)
    }

    /// The exporter's process, which writes or observes.
    pub fn start_exporter_as(&self, runs_on: RunsOn) -> Result<Exporter> {
        let path = self.folder.path().join(format!("settings-{runs_on}.json"));
        std::fs::write(&path, self.settings(runs_on).to_string())?;
        let child = Command::new(env!("CARGO_BIN_EXE_exporter"))
            .env("MEDALLION_SETTINGS", path)
            .env("MEDALLION_ADMIN_LISTEN", "127.0.0.1:0")
            .env("MEDALLION_S3_PATH_STYLE", "true")
            .env("AWS_ENDPOINT_URL_S3", &self.stack.s3.endpoint)
            .env("AWS_ENDPOINT_URL_DYNAMODB", &self.stack.dynamodb.endpoint)
            .env("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", &self.stack.dynamodb.endpoint)
            .env("AWS_ACCESS_KEY_ID", &self.stack.aws.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &self.stack.aws.secret_access_key)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the exporter")?;
        Ok(Exporter(child))
    }

    /// Waits until the log names this holder of the stream.
    pub async fn until_held_by(&self, holder: RunsOn) -> Result<()> {
        let bronze = self.bronze()?;
        let held = tokio::time::timeout(Duration::from_mins(1), async {
            loop {
                let snapshot = bronze.snapshot().await?;
                let stream = snapshot
                    .as_ref()
                    .and_then(|snapshot| snapshot.position("medallion.stream"));
                if stream.is_some_and(|stream| stream["holder"] == holder.as_str()) {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        held.await.with_context(|| format!("the log does not name {holder}"))?
    }

    /// All rows, read by `DuckDB` through the table's log.
    pub fn rows(&self) -> Result<Vec<Row>> {
        let output = Command::new(&self.stack.bin.python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stack_exporter/rows.py"))
            .args([
                &self.stack.s3.endpoint,
                &self.stack.aws.access_key_id,
                &self.stack.aws.secret_access_key,
            ])
            .args([&self.stack.aws.region, &self.bronze])
            .output()?;
        if !output.status.success() {
            bail!("cannot read Bronze: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Waits until Bronze has so many rows, by the log.
    pub async fn until_rows(&self, wanted: u64) -> Result<()> {
        let bronze = self.bronze()?;
        let reached = tokio::time::timeout(Duration::from_secs(90), async {
            loop {
                if let Some(snapshot) = bronze.snapshot().await? {
                    let rows: u64 = snapshot.files().await?.iter().filter_map(|file| file.rows).sum();
                    if rows >= wanted {
                        return anyhow::Ok(());
                    }
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        reached
            .await
            .with_context(|| format!("Bronze does not reach {wanted} rows"))?
    }
}

fn stream(on: bool) -> Result<StreamSpecification> {
    let specification = StreamSpecification::builder().stream_enabled(on);
    let specification = if on {
        specification.stream_view_type(StreamViewType::NewImage)
    } else {
        specification
    };
    Ok(specification.build()?)
}

/// A running exporter; it dies with its handle.
pub struct Exporter(Child);

impl Drop for Exporter {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
