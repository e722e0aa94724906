//! The buckets of the layers. No network.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// The buckets of the three layers. Each table is a Delta Lake table, readable as it is by Athena, Spark, DuckDB and others.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.bronze.bucket != self.silver.bucket && self.silver.bucket != self.gold.bucket && self.gold.bucket != self.bronze.bucket").message("bronze, silver and gold: must be three buckets, or tables of the same name would be one table"))]
pub struct Lake {
    /// Bronze: every change of the DynamoDB table, as it came, one row each.
    pub bronze: Bucket,
    /// Silver: cleaned and typed.
    pub silver: Bucket,
    /// Gold: what people ask for.
    pub gold: Bucket,
}

/// One S3 bucket.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bucket {
    /// Name of the bucket. Immutable.
    #[schemars(length(min = 3, max = 63), regex(pattern = "^[a-z0-9][a-z0-9.-]*[a-z0-9]$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable: positions live in the bucket; make a new Pipeline for another"))]
    pub bucket: String,
}
