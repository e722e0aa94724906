//! What clients send; touches no network.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Submit {
    pub sql: Option<String>,
    pub sqls: Option<Vec<String>>,
    pub cluster_identifier: Option<String>,
    pub workgroup_name: Option<String>,
    pub secret_arn: Option<String>,
    pub db_user: Option<String>,
    pub database: Option<String>,
    pub statement_name: Option<String>,
    pub parameters: Option<Vec<SqlParameter>>,
    pub client_token: Option<String>,
    pub result_format: Option<String>,
    pub session_id: Option<String>,
    pub session_keep_alive_seconds: Option<i64>,
    pub execution_mode: Option<String>,
    pub wait_time_seconds: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlParameter {
    pub name: String,
    pub value: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct OfStatement {
    pub id: String,
    pub next_token: Option<String>,
    pub wait_time_seconds: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct List {
    pub next_token: Option<String>,
    pub max_results: Option<i64>,
    pub statement_name: Option<String>,
    pub status: Option<String>,
    pub database: Option<String>,
    pub cluster_identifier: Option<String>,
    pub workgroup_name: Option<String>,
}
