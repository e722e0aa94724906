//! What clients are sent; touches no network.

use jiff::Timestamp;
use serde::Serialize;

use super::requests::SqlParameter;
use crate::statement::{Part, State, Statement, Submission};
use crate::warehouse::result::{Column, Field};

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Submitted {
    id: String,
    created_at: f64,
    database: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    workgroup_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    db_user: Option<String>,
    status: &'static str,
    redshift_pid: i64,
    has_result_set: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Described {
    id: String,
    database: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    workgroup_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    db_user: Option<String>,
    status: &'static str,
    created_at: f64,
    updated_at: f64,
    duration: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    redshift_pid: i64,
    redshift_query_id: i64,
    has_result_set: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_string: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    query_parameters: Vec<SqlParameter>,
    result_rows: i64,
    result_size: i64,
    result_format: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sub_statements: Vec<SubStatement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_mode: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SubStatement {
    id: String,
    status: &'static str,
    created_at: f64,
    updated_at: f64,
    duration: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    query_string: String,
    redshift_query_id: i64,
    result_rows: i64,
    result_size: i64,
    has_result_set: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Listed {
    id: String,
    status: &'static str,
    created_at: f64,
    updated_at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_string: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    query_strings: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    query_parameters: Vec<SqlParameter>,
    is_batch_statement: bool,
    result_format: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ResultPage {
    pub records: Vec<Vec<FieldValue>>,
    pub column_metadata: Vec<ColumnMetadata>,
    pub total_num_rows: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum FieldValue {
    IsNull(bool),
    BooleanValue(bool),
    LongValue(i64),
    DoubleValue(Number),
    StringValue(String),
}

/// JSON has no infinities; AWS sends them as texts.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Number {
    Finite(f64),
    Named(&'static str),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ColumnMetadata {
    name: String,
    label: String,
    type_name: String,
    precision: i32,
    scale: i32,
    length: i32,
    /// 2 is JDBC's "unknown".
    nullable: i32,
    is_signed: bool,
    is_case_sensitive: bool,
    is_currency: bool,
    schema_name: String,
    table_name: String,
}

impl Submitted {
    pub fn new(statement: &Statement) -> Self {
        let state = statement.state.borrow();
        let submission = &statement.submission;
        Self {
            id: statement.id.clone(),
            created_at: epoch_seconds(statement.created_at),
            database: submission.database.clone(),
            workgroup_name: submission.workgroup_name.clone(),
            cluster_identifier: submission.cluster_identifier.clone(),
            secret_arn: submission.secret_arn.clone(),
            db_user: submission.db_user.clone(),
            status: state.status.name(),
            redshift_pid: state.process_id,
            has_result_set: has_result_set(&state),
        }
    }
}

impl Described {
    pub fn new(statement: &Statement, part: Option<usize>) -> Self {
        let state = statement.state.borrow();
        match (part, &state.parts[..]) {
            (Some(index), parts) => Self::of_part(statement, &state, index, &parts[index]),
            (None, [only]) if !statement.submission.is_batch => Self {
                query_string: Some(statement.submission.sqls[0].clone()),
                ..Self::of_whole(statement, &state, Some(only))
            },
            (None, parts) => {
                let sub_statements = parts
                    .iter()
                    .enumerate()
                    .map(|(index, part)| SubStatement::new(statement, index, part))
                    .collect();
                let execution_mode = Some(if statement.submission.auto_commit {
                    "AUTO_COMMIT"
                } else {
                    "TRANSACTION"
                });
                Self {
                    sub_statements,
                    execution_mode,
                    ..Self::of_whole(statement, &state, None)
                }
            }
        }
    }

    fn of_whole(statement: &Statement, state: &State, only: Option<&Part>) -> Self {
        let submission = &statement.submission;
        Self {
            id: statement.id.clone(),
            database: submission.database.clone(),
            workgroup_name: submission.workgroup_name.clone(),
            cluster_identifier: submission.cluster_identifier.clone(),
            secret_arn: submission.secret_arn.clone(),
            db_user: submission.db_user.clone(),
            status: state.status.name(),
            created_at: epoch_seconds(statement.created_at),
            updated_at: epoch_seconds(state.updated_at),
            duration: state.duration_nanoseconds,
            error: state.error.clone(),
            redshift_pid: state.process_id,
            redshift_query_id: only.map_or(0, |part| part.query_id),
            has_result_set: has_result_set(state),
            query_string: None,
            query_parameters: parameters(submission),
            result_rows: only.map_or(-1, |part| part.result_rows),
            result_size: only.map_or(-1, |part| part.result_size),
            result_format: "JSON",
            sub_statements: Vec::new(),
            execution_mode: None,
        }
    }

    fn of_part(statement: &Statement, state: &State, index: usize, part: &Part) -> Self {
        Self {
            id: part_id(statement, index),
            status: part.status.name(),
            created_at: epoch_seconds(part.created_at),
            updated_at: epoch_seconds(part.updated_at),
            duration: part.duration_nanoseconds,
            error: part.error.clone(),
            has_result_set: part.result.is_some(),
            query_string: Some(statement.submission.sqls[index].clone()),
            ..Self::of_whole(statement, state, Some(part))
        }
    }
}

impl SubStatement {
    fn new(statement: &Statement, index: usize, part: &Part) -> Self {
        Self {
            id: part_id(statement, index),
            status: part.status.name(),
            created_at: epoch_seconds(part.created_at),
            updated_at: epoch_seconds(part.updated_at),
            duration: part.duration_nanoseconds,
            error: part.error.clone(),
            query_string: statement.submission.sqls[index].clone(),
            redshift_query_id: part.query_id,
            result_rows: part.result_rows,
            result_size: part.result_size,
            has_result_set: part.result.is_some(),
        }
    }
}

impl Listed {
    pub fn new(statement: &Statement) -> Self {
        let state = statement.state.borrow();
        let submission = &statement.submission;
        let (query_string, query_strings) = if submission.is_batch {
            (None, submission.sqls.clone())
        } else {
            (submission.sqls.first().cloned(), Vec::new())
        };
        Self {
            id: statement.id.clone(),
            status: state.status.name(),
            created_at: epoch_seconds(statement.created_at),
            updated_at: epoch_seconds(state.updated_at),
            statement_name: submission.name.clone(),
            secret_arn: submission.secret_arn.clone(),
            query_string,
            query_strings,
            query_parameters: parameters(submission),
            is_batch_statement: submission.is_batch,
            result_format: "JSON",
        }
    }
}

impl From<&Field> for FieldValue {
    fn from(field: &Field) -> Self {
        match field {
            Field::Null => Self::IsNull(true),
            Field::Boolean(value) => Self::BooleanValue(*value),
            Field::Long(value) => Self::LongValue(*value),
            Field::Double(value) if value.is_nan() => Self::DoubleValue(Number::Named("NaN")),
            Field::Double(value) if value.is_infinite() => {
                Self::DoubleValue(Number::Named(if *value > 0.0 { "Infinity" } else { "-Infinity" }))
            }
            Field::Double(value) => Self::DoubleValue(Number::Finite(*value)),
            Field::Text(value) => Self::StringValue(value.clone()),
        }
    }
}

impl From<&Column> for ColumnMetadata {
    fn from(column: &Column) -> Self {
        Self {
            name: column.name.clone(),
            label: column.name.clone(),
            type_name: column.type_name.clone(),
            precision: column.precision,
            scale: column.scale,
            length: column.length,
            nullable: 2,
            is_signed: column.is_signed,
            is_case_sensitive: matches!(column.type_name.as_str(), "varchar" | "bpchar"),
            is_currency: false,
            schema_name: String::new(),
            table_name: String::new(),
        }
    }
}

fn part_id(statement: &Statement, index: usize) -> String {
    format!("{}:{}", statement.id, index + 1)
}

fn has_result_set(state: &State) -> bool {
    state.parts.iter().any(|part| part.result.is_some())
}

fn parameters(submission: &Submission) -> Vec<SqlParameter> {
    submission
        .parameters
        .iter()
        .map(|(name, value)| SqlParameter {
            name: name.clone(),
            value: value.clone(),
        })
        .collect()
}

/// The protocol's timestamps: seconds with milliseconds behind the point.
fn epoch_seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}
