//! The AWS Glue Data Catalog: databases and tables as we need them. Talks to Glue.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_glue::Client;
use aws_sdk_glue::config::Builder;
use aws_sdk_glue::error::ProvideErrorMetadata;
use aws_sdk_glue::types::{
    Column as GlueColumn, DatabaseInput, SerDeInfo, StorageDescriptor, Table as GlueTable, TableInput,
};
use worker_kit::aws::said;

use crate::error::CatalogError;
use crate::table::{Column, Description, Found, Step};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const CALL_TIMEOUT: Duration = Duration::from_mins(1);
/// Parameters that a description is made of; all others are somebody else's.
const OURS: [&str; 6] = [
    "EXTERNAL",
    "table_type",
    "spark.sql.sources.provider",
    "classification",
    crate::table::OWNER,
    crate::table::TABLE_ID,
];
/// What Hive's tables have to name; a reader of the Delta log asks neither.
const INPUT_FORMAT: &str = "org.apache.hadoop.mapred.SequenceFileInputFormat";
const OUTPUT_FORMAT: &str = "org.apache.hadoop.hive.ql.io.HiveSequenceFileOutputFormat";
const SERIALIZATION: &str = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe";

/// The catalog of the worker's account and region.
#[derive(Clone, Debug)]
pub struct Catalog {
    client: Client,
}

impl Catalog {
    pub fn new(configuration: &SdkConfig) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_timeout(CALL_TIMEOUT)
            .build();
        Self {
            client: Client::from_conf(Builder::from(configuration).timeout_config(timeouts).build()),
        }
    }

    /// Whether a database is there.
    pub async fn has_database(&self, database: &str) -> Result<bool, CatalogError> {
        match self.client.get_database().name(database).send().await {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(refused("GetDatabase", database, &error)),
        }
    }

    /// Creates a database, unless somebody was faster.
    pub async fn create_database(&self, database: &str) -> Result<(), CatalogError> {
        let input = DatabaseInput::builder()
            .name(database)
            .description("Tables of the lake, registered by medallion")
            .build();
        let input = input.map_err(|error| CatalogError::Catalog {
            action: "CreateDatabase",
            on: database.to_owned(),
            words: error.to_string(),
        })?;
        match self.client.create_database().database_input(input).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("AlreadyExistsException") => Ok(()),
            Err(error) => Err(refused("CreateDatabase", database, &error)),
        }
    }

    /// What stands under a name; `None`: nothing.
    pub async fn table(&self, database: &str, table: &str) -> Result<Option<Found>, CatalogError> {
        let asked = self.client.get_table().database_name(database).name(table);
        match asked.send().await {
            Ok(answer) => Ok(answer.table().map(found)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(refused("GetTable", &format!("{database}.{table}"), &error)),
        }
    }

    /// Does what was decided for a table.
    pub async fn apply(&self, database: &str, table: &str, step: Step) -> Result<(), CatalogError> {
        let name = format!("{database}.{table}");
        match step {
            Step::Leave => Ok(()),
            Step::Create(description) => {
                let input = input(table, description, "CreateTable")?;
                let call = self.client.create_table().database_name(database).table_input(input);
                match call.send().await {
                    Ok(_) => Ok(()),
                    Err(error) if error.code() == Some("AlreadyExistsException") => Err(changed(&name, &said(&error))),
                    Err(error) => Err(refused("CreateTable", &name, &error)),
                }
            }
            Step::Update(description, version) => {
                let input = input(table, description, "UpdateTable")?;
                let call = self.client.update_table().database_name(database).table_input(input);
                // Old versions are of no use: the Delta log has every schema.
                let call = call.set_version_id(version).skip_archive(true);
                match call.send().await {
                    Ok(_) => Ok(()),
                    Err(error) if is_overtaken(error.code()) => Err(changed(&name, &said(&error))),
                    Err(error) => Err(refused("UpdateTable", &name, &error)),
                }
            }
        }
    }
}

fn is_missing(error: &impl ProvideErrorMetadata) -> bool {
    error.code() == Some("EntityNotFoundException")
}

fn is_overtaken(code: Option<&str>) -> bool {
    matches!(
        code,
        Some("ConcurrentModificationException" | "VersionMismatchException")
    )
}

fn changed(table: &str, words: &str) -> CatalogError {
    CatalogError::Changed {
        table: table.to_owned(),
        words: words.to_owned(),
    }
}

fn refused<E>(action: &'static str, on: &str, error: &E) -> CatalogError
where
    E: std::error::Error + ProvideErrorMetadata,
{
    let (on, words) = (on.to_owned(), said(error));
    match error.code() {
        Some("AccessDeniedException" | "InsufficientLakeFormationPermissionsException") => {
            CatalogError::Denied { action, on, words }
        }
        _ => CatalogError::Catalog { action, on, words },
    }
}

fn found(table: &GlueTable) -> Found {
    let storage = table.storage_descriptor();
    let parameters = table.parameters().cloned().unwrap_or_default();
    let (ours, others): (BTreeMap<_, _>, BTreeMap<_, _>) = parameters
        .into_iter()
        .partition(|(name, _)| OURS.contains(&name.as_str()));
    let location = storage.and_then(StorageDescriptor::location).unwrap_or_default();
    let columns = storage.map(StorageDescriptor::columns).unwrap_or_default();
    Found {
        description: Description {
            location: location.trim_end_matches('/').to_owned(),
            columns: columns
                .iter()
                .map(|column| Column {
                    name: column.name().to_owned(),
                    type_name: column.r#type().unwrap_or_default().to_owned(),
                    comment: column.comment().filter(|text| !text.is_empty()).map(str::to_owned),
                })
                .collect(),
            parameters: ours,
        },
        version: table.version_id().map(str::to_owned),
        others,
    }
}

fn input(table: &str, description: Description, action: &'static str) -> Result<TableInput, CatalogError> {
    let failed = |error: aws_sdk_glue::error::BuildError| CatalogError::Catalog {
        action,
        on: table.to_owned(),
        words: error.to_string(),
    };
    let columns: Result<Vec<GlueColumn>, _> = description
        .columns
        .into_iter()
        .map(|column| {
            GlueColumn::builder()
                .name(column.name)
                .r#type(column.type_name)
                .set_comment(column.comment)
                .build()
        })
        .collect();
    let serialization = SerDeInfo::builder()
        .serialization_library(SERIALIZATION)
        .parameters("serialization.format", "1")
        .build();
    let storage = StorageDescriptor::builder()
        .location(description.location)
        .set_columns(Some(columns.map_err(failed)?))
        .input_format(INPUT_FORMAT)
        .output_format(OUTPUT_FORMAT)
        .serde_info(serialization)
        .build();
    TableInput::builder()
        .name(table)
        .table_type("EXTERNAL_TABLE")
        .storage_descriptor(storage)
        .set_parameters(Some(description.parameters.into_iter().collect()))
        .build()
        .map_err(failed)
}
