//! The warehouse that Gold is loaded to. No network.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where Gold is loaded to.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.type != 'Redshift' || has(self.redshift)").message("redshift: is required when type is Redshift"))]
pub struct Warehouse {
    /// Kind of warehouse.
    #[serde(rename = "type")]
    pub kind: WarehouseType,
    /// Amazon Redshift, by its Data API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redshift: Option<Redshift>,
}

/// Kinds of warehouse.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum WarehouseType {
    /// Amazon Redshift, serverless or provisioned.
    Redshift,
}

/// An Amazon Redshift database, spoken to through the Data API.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.workgroupName) != has(self.clusterIdentifier)").message("give either workgroupName (serverless) or clusterIdentifier (provisioned), not both"))]
pub struct Redshift {
    /// Workgroup of Redshift Serverless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 64), regex(pattern = "^[a-z0-9-]+$"))]
    pub workgroup_name: Option<String>,
    /// Identifier of a provisioned cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z][a-z0-9-]*$"))]
    pub cluster_identifier: Option<String>,
    /// Database. Immutable.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[a-z_][a-z0-9_]*$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable: the load ledger lives there; make a new Pipeline for another"))]
    pub database: String,
    /// Schema of the loaded tables and of the load ledger. Immutable.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[a-z_][a-z0-9_]*$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable: the load ledger lives there; make a new Pipeline for another"))]
    pub schema: String,
    /// Database user of the loader, as Redshift makes it for an IAM identity, for example IAMR:shop-loader. With `management: Managed` the provisioner grants it what it needs in the schema. Left out: the loader is the provisioner's own user, or somebody else grants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[a-zA-Z0-9_:@./+-]+$"))]
    pub loader_user: Option<String>,
    /// IAM role that the warehouse itself takes on to read the Gold bucket in COPY.
    #[schemars(
        length(min = 20, max = 2048),
        regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/[a-zA-Z0-9+=,.@_/-]+$")
    )]
    pub copy_role_arn: String,
}
