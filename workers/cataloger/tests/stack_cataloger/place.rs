//! Buckets and databases of a test's own on the running stack, and hands to write tables, register them and look. Talks to the stack.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use arrow::datatypes::{Field, Schema};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_glue::error::ProvideErrorMetadata;
use aws_sdk_glue::types::TableInput;
use medallion_crds::launch::report::RunReport;
use medallion_lake::{Change, Claim, LakeStore, Outcome, OwnedTable, S3Addressing};
use serde_json::{Value, json};
use worker_kit::{ProgressHandle, WorkerError};

/// Who wrote the tables of the lake.
const OWNER: &str = "here/shop/orders";

pub struct Place {
    name: String,
    lake_configuration: SdkConfig,
    catalog_configuration: SdkConfig,
    lake: LakeStore,
    glue: aws_sdk_glue::Client,
}

/// Who registers, and how.
pub struct Registering<'r> {
    pub pipeline: &'r str,
    pub adopt: &'r [&'r str],
    pub management: &'r str,
}

impl Default for Registering<'_> {
    fn default() -> Self {
        Self {
            pipeline: "orders",
            adopt: &[],
            management: "Managed",
        }
    }
}

/// What the catalog says of a table.
pub struct Found {
    pub columns: Vec<(String, String, Option<String>)>,
    pub location: String,
    pub partition_keys: usize,
    pub parameters: Vec<(String, String)>,
}

impl Place {
    pub async fn new(what: &str) -> Result<Self> {
        let path =
            std::env::var("MEDALLION_STACK").context("MEDALLION_STACK must name the stack.json of a running stack")?;
        let stack: Value = serde_json::from_str(&std::fs::read_to_string(&path).with_context(|| path.clone())?)?;
        let text = |pointer: &str| -> Result<String> {
            let found = stack.pointer(pointer).and_then(Value::as_str);
            Ok(found.with_context(|| format!("{path} has no {pointer}"))?.to_owned())
        };
        let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let name = format!("catalog-{what}-{nanoseconds}");
        let (key, secret) = (text("/aws/accessKeyId")?, text("/aws/secretAccessKey")?);
        let base = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(text("/aws/region")?))
            .credentials_provider(Credentials::new(key, secret, None, None, "stack"))
            .load()
            .await;
        let lake_configuration = base.to_builder().endpoint_url(text("/s3/endpoint")?).build();
        let catalog_configuration = base.to_builder().endpoint_url(text("/moto/endpoint")?).build();
        let place = Self {
            lake: LakeStore::s3(&lake_configuration)?,
            glue: aws_sdk_glue::Client::new(&catalog_configuration),
            name,
            lake_configuration,
            catalog_configuration,
        };
        let objects = S3Addressing::client(&place.lake_configuration);
        for layer in ["silver", "gold"] {
            let region = aws_sdk_s3::types::BucketLocationConstraint::from(text("/aws/region")?.as_str());
            let location = aws_sdk_s3::types::CreateBucketConfiguration::builder()
                .location_constraint(region)
                .build();
            objects
                .create_bucket()
                .bucket(place.bucket(layer))
                .create_bucket_configuration(location)
                .send()
                .await?;
        }
        Ok(place)
    }

    fn bucket(&self, layer: &str) -> String {
        format!("{}-{layer}", self.name)
    }

    fn database(&self, layer: &str) -> String {
        self.bucket(layer).replace('-', "_")
    }

    pub fn address(&self, layer: &str, table: &str) -> String {
        format!("s3://{}/{table}", self.bucket(layer))
    }

    fn table(&self, layer: &str, table: &str) -> Result<OwnedTable> {
        let table = self.lake.table(&self.address(layer, table))?;
        Ok(table.claimed(&Claim::new(OWNER, [])))
    }

    /// Makes an empty table; its version.
    pub async fn create(&self, layer: &str, table: &str, schema: &Schema, partitions: &[&str]) -> Result<i64> {
        let snapshot = self.table(layer, table)?.open_or_create(schema, partitions).await?;
        Ok(i64::try_from(snapshot.version())?)
    }

    /// Adds a column; the new version.
    pub async fn widen(&self, layer: &str, table: &str, field: &Field) -> Result<i64> {
        let handle = self.table(layer, table)?;
        let snapshot = handle.existing().await?;
        let missing = snapshot.missing_columns(&Schema::new(vec![field.clone()]));
        let change = Change::append(Vec::new())
            .add_columns(missing)
            .position("medallion.run", json!({"runUid": "widen", "attempt": 1, "inputs": []}));
        match handle.commit(&snapshot, &change).await? {
            Outcome::Committed(snapshot) | Outcome::AlreadyCommitted(snapshot) => {
                Ok(i64::try_from(snapshot.version())?)
            }
            Outcome::Conflict(_) => bail!("nobody else writes here"),
        }
    }

    /// Runs one attempt with Gold tables at versions.
    pub async fn register(&self, by: &Registering<'_>, tables: &[(&str, i64)]) -> Result<RunReport, WorkerError> {
        let inputs: Vec<Value> = tables
            .iter()
            .map(|(name, version)| json!({"name": name, "version": version}))
            .collect();
        let settings = json!({
            "pipeline": {"installation": "here", "namespace": "shop", "name": by.pipeline, "uid": self.name},
            "adopt": by.adopt,
            "stage": "catalog",
            "region": "eu-west-1",
            "worker": {
                "run": {"name": "run", "uid": "run", "attempt": 1, "asOf": "2026-01-01T00:00:00Z", "inputs": inputs},
                "management": by.management,
                "lake": {"bronzeTable": "s3://none/b", "silver": format!("s3://{}", self.bucket("silver")),
                         "gold": format!("s3://{}", self.bucket("gold"))},
                "database": self.database("gold"),
                "silverDatabase": self.database("silver"),
            }
        });
        let settings = worker_kit::parse_settings(&settings.to_string())?;
        let progress = ProgressHandle::new(medallion_crds::progress::Identity::default(), jiff::Timestamp::now);
        cataloger::register(
            &settings,
            &self.lake_configuration,
            &self.catalog_configuration,
            progress,
        )
        .await
    }

    /// What stands in the catalog.
    pub async fn found(&self, layer: &str, table: &str) -> Result<Option<Found>> {
        let asked = self.glue.get_table().database_name(self.database(layer)).name(table);
        let answer = match asked.send().await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("EntityNotFoundException") => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let table = answer.table().context("a table")?;
        let storage = table.storage_descriptor().context("a place")?;
        let columns = storage.columns().iter().map(|column| {
            let comment = column.comment().filter(|text| !text.is_empty());
            let type_name = column.r#type().unwrap_or_default();
            (
                column.name().to_owned(),
                type_name.to_owned(),
                comment.map(str::to_owned),
            )
        });
        Ok(Some(Found {
            columns: columns.collect(),
            location: storage.location().unwrap_or_default().to_owned(),
            partition_keys: table.partition_keys().len(),
            parameters: table.parameters().cloned().unwrap_or_default().into_iter().collect(),
        }))
    }

    /// Sets a parameter of somebody else's.
    pub async fn tag(&self, layer: &str, table: &str, name: &str, value: &str) -> Result<()> {
        let database = self.database(layer);
        let answer = self
            .glue
            .get_table()
            .database_name(&database)
            .name(table)
            .send()
            .await?;
        let found = answer.table().context("a table")?;
        let mut parameters = found.parameters().cloned().unwrap_or_default();
        parameters.insert(name.to_owned(), value.to_owned());
        let input = TableInput::builder()
            .name(table)
            .set_storage_descriptor(found.storage_descriptor().cloned())
            .set_table_type(found.table_type().map(str::to_owned))
            .set_parameters(Some(parameters))
            .build()?;
        let update = self.glue.update_table().database_name(database).table_input(input);
        update.send().await?;
        Ok(())
    }
}
