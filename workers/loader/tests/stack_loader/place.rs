//! A bucket and a schema of a story's own on the running stack, and hands to write Gold, load it and look at the warehouse. Talks to the stack.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use arrow::array::RecordBatch;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use medallion_crds::launch::report::RunReport;
use medallion_lake::{Change, Claim, LakeStore, Outcome, OwnedTable, PartitionValues};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::NoTls;
use worker_kit::{Metrics, ProgressHandle, WorkerError};

/// Where one story takes place.
pub struct Place {
    pub name: String,
    lake_configuration: SdkConfig,
    warehouse_configuration: SdkConfig,
    redshift: Value,
    lake: LakeStore,
    postgres: tokio_postgres::Client,
}

/// Who loads, where it is not the story's own Pipeline as the stack's own identity.
#[derive(Clone, Copy, Default)]
pub struct Loading<'l> {
    /// Name of the Pipeline.
    pub pipeline: Option<&'l str>,
    /// Its UID.
    pub uid: Option<&'l str>,
    /// What it takes over.
    pub adopt: &'l [&'l str],
    /// The access key.
    pub identity: Option<&'l str>,
}

impl Place {
    pub async fn new(story: &str) -> Result<Self> {
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
        let lake_configuration = base.to_builder().endpoint_url(text("/s3/endpoint")?).build();
        let warehouse_configuration = base.to_builder().endpoint_url(text("/redshift/endpoint")?).build();

        let location = aws_sdk_s3::types::CreateBucketConfiguration::builder()
            .location_constraint(aws_sdk_s3::types::BucketLocationConstraint::from(
                text("/aws/region")?.as_str(),
            ))
            .build();
        objects(&lake_configuration)
            .create_bucket()
            .bucket(bucket(&name))
            .create_bucket_configuration(location)
            .send()
            .await?;

        let (postgres, connection) = tokio_postgres::connect(&text("/postgres/url")?, NoTls).await?;
        tokio::spawn(connection);
        postgres.batch_execute(&format!("CREATE SCHEMA {name}")).await?;

        let lake = LakeStore::s3(&lake_configuration)?;
        let redshift = stack["redshift"].clone();
        Ok(Self {
            name,
            lake_configuration,
            warehouse_configuration,
            redshift,
            lake,
            postgres,
        })
    }

    /// A table of Gold.
    pub fn table(&self, name: &str) -> Result<OwnedTable> {
        let table = self.lake.table(&format!("s3://{}/{name}", bucket(&self.name)))?;
        Ok(table.claimed(&Claim::new("test/shop/orders", [])))
    }

    /// Replaces partitions of a Gold table, as a Gold run does; gives the new version. No batch empties the partition.
    pub async fn replace(&self, table: &str, days: &[(&str, Option<RecordBatch>)]) -> Result<i64> {
        let handle = self.table(table)?;
        let mut snapshot = handle.snapshot().await?;
        if snapshot.is_none() {
            let (_, batch) = days.first().context("a day")?;
            let mut fields: Vec<_> = batch
                .as_ref()
                .context("rows")?
                .schema()
                .fields()
                .iter()
                .cloned()
                .collect();
            fields.push(arrow::datatypes::Field::new("part_date", arrow::datatypes::DataType::Utf8, true).into());
            let schema = arrow::datatypes::Schema::new(fields);
            snapshot = Some(handle.open_or_create(&schema, &["part_date"]).await?);
        }
        let snapshot = snapshot.context("a snapshot")?;
        let run = format!("{table}-{}", snapshot.version());
        let mut files = Vec::new();
        let mut columns = Vec::new();
        for (day, batch) in days {
            if let Some(batch) = batch {
                let file = format!("part_date={day}/{run}.parquet");
                columns.extend(snapshot.missing_columns(&batch.schema()));
                files.push(handle.write_file(&file, &partition(day), vec![batch.clone()]).await?);
            }
        }
        columns.dedup();
        let touched = days.iter().map(|(day, _)| partition(day)).collect();
        let change = Change::replace_partitions(&touched, files)
            .add_columns(columns)
            .position("medallion.run", json!({"runUid": run, "attempt": 1, "inputs": []}));
        match handle.commit(&snapshot, &change).await? {
            Outcome::Committed(snapshot) | Outcome::AlreadyCommitted(snapshot) => {
                Ok(i64::try_from(snapshot.version())?)
            }
            Outcome::Conflict(_) => bail!("nobody else writes here"),
        }
    }

    /// Runs one attempt of a load of tables at versions.
    pub async fn load(&self, run: &str, attempt: i32, tables: &[(&str, &str, i64)]) -> Result<RunReport, WorkerError> {
        self.load_by(&Loading::default(), run, attempt, tables).await
    }

    /// The same for another Pipeline, or as another identity.
    pub async fn load_by(
        &self,
        by: &Loading<'_>,
        run: &str,
        attempt: i32,
        tables: &[(&str, &str, i64)],
    ) -> Result<RunReport, WorkerError> {
        let inputs: Vec<Value> = tables
            .iter()
            .map(|(name, _, version)| json!({"name": name, "version": version}))
            .collect();
        let modes: Vec<Value> = tables
            .iter()
            .map(|(name, mode, _)| json!({"name": name, "mode": mode}))
            .collect();
        let bucket = bucket(&self.name);
        let pipeline = by.pipeline.unwrap_or("orders");
        let settings = json!({
            "pipeline": {"installation": "here", "namespace": "shop", "name": pipeline,
                         "uid": by.uid.map_or_else(|| format!("{}-{pipeline}", self.name), str::to_owned)},
            "adopt": by.adopt,
            "stage": "warehouse",
            "region": "eu-west-1",
            "worker": {
                "run": {"name": run, "uid": self.run_uid(run), "attempt": attempt, "asOf": "2026-01-01T00:00:00Z", "inputs": inputs},
                "lake": {"bronzeTable": format!("s3://{bucket}/b"), "silver": format!("s3://{bucket}"), "gold": format!("s3://{bucket}")},
                "warehouse": {"workgroupName": self.redshift["workgroupName"], "database": self.redshift["database"],
                              "schema": self.name, "copyRoleArn": "arn:aws:iam::123456789012:role/copy"},
                "tables": modes
            }
        });
        let settings = worker_kit::parse_settings(&settings.to_string())?;
        let progress = ProgressHandle::new(medallion_crds::progress::Identity::default(), jiff::Timestamp::now);
        let warehouse = match by.identity {
            None => self.warehouse_configuration.clone(),
            Some(identity) => {
                let credentials = Credentials::new(identity, "secret", None, None, "story");
                let configuration = self.warehouse_configuration.to_builder();
                configuration
                    .credentials_provider(SharedCredentialsProvider::new(credentials))
                    .build()
            }
        };
        loader::load(
            &settings,
            &self.lake_configuration,
            &warehouse,
            progress,
            &Metrics::default(),
        )
        .await
    }

    pub fn run_uid(&self, run: &str) -> String {
        format!("{}-{run}", self.name)
    }

    /// Removes a file of Gold behind the log's back.
    pub async fn lose(&self, table: &str) -> Result<()> {
        let snapshot = self.table(table)?.existing().await?;
        let file = snapshot.files().await?.into_iter().next().context("a file")?;
        let (bucket, key) = file
            .url
            .trim_start_matches("s3://")
            .split_once('/')
            .context("an address")?;
        self.objects().delete_object().bucket(bucket).key(key).send().await?;
        Ok(())
    }

    /// Removes a table of Gold with all that belongs to it.
    pub async fn remove(&self, table: &str) -> Result<()> {
        let bucket = bucket(&self.name);
        let found = self
            .objects()
            .list_objects_v2()
            .bucket(&bucket)
            .prefix(format!("{table}/"))
            .send()
            .await?;
        ensure!(found.is_truncated() != Some(true), "few objects");
        for object in found.contents() {
            let key = object.key().context("a key")?;
            self.objects().delete_object().bucket(&bucket).key(key).send().await?;
        }
        Ok(())
    }

    fn objects(&self) -> aws_sdk_s3::Client {
        objects(&self.lake_configuration)
    }

    /// The rows of a query, each as its columns' texts.
    pub async fn rows(&self, sql: &str) -> Result<Vec<String>> {
        self.postgres
            .batch_execute(&format!("SET search_path TO {}", self.name))
            .await?;
        let found = self.postgres.simple_query(sql).await.with_context(|| sql.to_owned())?;
        let rows = found.into_iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(rows
            .map(|row| {
                (0..row.len())
                    .map(|place| row.get(place).unwrap_or("null").to_owned())
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect())
    }

    /// Staging tables that are left.
    pub async fn staging_tables(&self) -> Result<Vec<String>> {
        let sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() \
                   AND table_name LIKE 'medallion_staging%'";
        self.rows(sql).await
    }

    /// Arms a fault of the warehouse's stand-in that meets only this story.
    pub async fn arm(&self, mut fault: Value) -> Result<()> {
        if fault.get("contains").is_none() {
            fault["contains"] = json!(self.name);
        }
        self.faults("POST", &fault.to_string()).await?;
        Ok(())
    }

    /// Ends all faults and lets go what they hold.
    pub async fn disarm(&self) -> Result<()> {
        self.faults("DELETE", "").await?;
        Ok(())
    }

    /// Returns when a fault has been met.
    pub async fn met(&self) -> Result<()> {
        for _ in 0..1000 {
            let faults: Value = serde_json::from_str(&self.faults("GET", "").await?)?;
            if faults
                .as_array()
                .is_some_and(|all| all.iter().any(|fault| fault["met"].as_i64() > Some(0)))
            {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        bail!("the fault was never met")
    }

    async fn faults(&self, method: &str, body: &str) -> Result<String> {
        let endpoint = self.redshift["endpoint"].as_str().context("an endpoint")?;
        let address = endpoint.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await?;
        let request = format!(
            "{method} /faults HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer")?;
        ensure!(head.starts_with("HTTP/1.1 2"), "{method} /faults: {answer}");
        Ok(body.to_owned())
    }
}

fn objects(configuration: &SdkConfig) -> aws_sdk_s3::Client {
    let s3 = aws_sdk_s3::config::Builder::from(configuration)
        .force_path_style(true)
        .build();
    aws_sdk_s3::Client::from_conf(s3)
}

fn bucket(name: &str) -> String {
    name.replace('_', "-")
}

fn partition(day: &str) -> PartitionValues {
    PartitionValues::from([("part_date".to_owned(), Some(day.to_owned()))])
}
