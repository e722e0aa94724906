//! The catalog that tables of the lake are registered in. No network.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the lake's tables are registered, for engines that find tables by name.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.type != 'Glue' || has(self.glue)").message("glue: is required when type is Glue"))]
pub struct Catalog {
    /// Kind of catalog.
    #[serde(rename = "type")]
    pub kind: CatalogType,
    /// The AWS Glue Data Catalog, which Athena, Redshift Spectrum and EMR look into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glue: Option<Glue>,
}

/// Kinds of catalog.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum CatalogType {
    /// AWS Glue Data Catalog.
    Glue,
}

/// Databases of the AWS Glue Data Catalog. With `management: Managed` the cataloger creates a database that is missing.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.silverDatabase) || self.silverDatabase != self.database").message("silverDatabase: must differ from database, because tables of both layers may have the same name"))]
pub struct Glue {
    /// Database of the Gold tables, each registered under its own name. Several Pipelines may have one database: each table names its owner, and one of another owner is refused.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[a-z][a-z0-9_]*$"))]
    pub database: String,
    /// Database of the Silver tables. Left out: Silver is not registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[a-z][a-z0-9_]*$"))]
    pub silver_database: Option<String>,
}
