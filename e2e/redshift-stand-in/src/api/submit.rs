//! `ExecuteStatement` and `BatchExecuteStatement`: checks, client tokens, and the start of the work; touches no network itself.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::answers::Submitted;
use super::caller::Caller;
use super::error::ApiError;
use super::requests::Submit;
use super::service::{Service, parse, wait};
use crate::faults::Met;
use crate::registry::Admission;
use crate::sql::lexer::statements;
use crate::sql::parameters::bind;
use crate::statement::Submission;

const LONGEST_STATEMENT: usize = 100_000;
const LONGEST_NAME: usize = 500;
const LONGEST_TOKEN: usize = 64;
const LARGEST_BATCH: usize = 40;

pub async fn execute(
    service: &Service,
    caller: &Caller,
    request: &Value,
    fault: Option<Met>,
) -> Result<Value, ApiError> {
    let submit: Submit = parse(request)?;
    let sql = submit
        .sql
        .clone()
        .ok_or_else(|| ApiError::constraint("sql", "null", "Member must not be null"))?;
    let call = Call {
        request,
        submit,
        sqls: vec![sql],
        is_batch: false,
    };
    start(service, caller, call, fault).await
}

pub async fn batch_execute(
    service: &Service,
    caller: &Caller,
    request: &Value,
    fault: Option<Met>,
) -> Result<Value, ApiError> {
    let submit: Submit = parse(request)?;
    let sqls = submit.sqls.clone().unwrap_or_default();
    if sqls.is_empty() || sqls.len() > LARGEST_BATCH {
        let found = format!("{} statements", sqls.len());
        return Err(ApiError::constraint(
            "sqls",
            &found,
            &format!("Member must have length between 1 and {LARGEST_BATCH}"),
        ));
    }
    let call = Call {
        request,
        submit,
        sqls,
        is_batch: true,
    };
    start(service, caller, call, fault).await
}

struct Call<'r> {
    request: &'r Value,
    submit: Submit,
    sqls: Vec<String>,
    is_batch: bool,
}

async fn start(service: &Service, caller: &Caller, call: Call<'_>, fault: Option<Met>) -> Result<Value, ApiError> {
    let Call {
        request,
        submit,
        sqls,
        is_batch,
    } = call;
    check(&submit, &sqls)?;
    let wait_time = submit.wait_time_seconds;
    let parameters: Vec<_> = submit
        .parameters
        .iter()
        .flatten()
        .map(|parameter| (parameter.name.clone(), parameter.value.clone()))
        .collect();
    let bound = bind_all(&sqls, &parameters)?;
    let token = submit.client_token.clone();
    let submission = Submission {
        caller: caller.0.clone(),
        sqls,
        is_batch,
        auto_commit: submit.execution_mode.as_deref() == Some("AUTO_COMMIT"),
        name: submit.statement_name,
        parameters,
        database: submit.database.unwrap_or_default(),
        workgroup_name: submit.workgroup_name,
        cluster_identifier: submit.cluster_identifier,
        secret_arn: submit.secret_arn,
        db_user: submit.db_user,
    };
    let statement = match service
        .registry
        .admit(submission, token.as_deref(), same_call(request))?
    {
        Admission::Known(statement) => statement,
        Admission::New(statement) => {
            let (warehouse, running) = (service.warehouse.clone(), statement.clone());
            tokio::spawn(async move { warehouse.run(&running, &bound, fault).await });
            statement
        }
    };
    wait(&statement, wait_time).await?;
    Ok(json!(Submitted::new(&statement)))
}

/// What makes two calls with one token the same.
fn same_call(request: &Value) -> Value {
    let mut same = request.clone();
    if let Some(members) = same.as_object_mut() {
        members.remove("ClientToken");
        members.remove("WaitTimeSeconds");
    }
    same
}

fn check(submit: &Submit, sqls: &[String]) -> Result<(), ApiError> {
    for sql in sqls {
        check_sql(sql)?;
    }
    let length = |member: &str, value: &Option<String>, longest: usize| match value {
        Some(value) if value.len() > longest => Err(ApiError::constraint(
            member,
            value,
            &format!("Member must have length less than or equal to {longest}"),
        )),
        _ => Ok(()),
    };
    length("statementName", &submit.statement_name, LONGEST_NAME)?;
    length("clientToken", &submit.client_token, LONGEST_TOKEN)?;
    match submit.execution_mode.as_deref() {
        None | Some("TRANSACTION" | "AUTO_COMMIT") => {}
        Some(other) => {
            return Err(ApiError::constraint(
                "executionMode",
                other,
                "Member must satisfy enum value set: [TRANSACTION, AUTO_COMMIT]",
            ));
        }
    }
    if submit.result_format.as_deref().is_some_and(|format| format != "JSON") {
        return Err(ApiError::validation("the stand-in has no ResultFormat but JSON"));
    }
    if submit.session_id.is_some() || submit.session_keep_alive_seconds.is_some() {
        return Err(ApiError::validation(
            "the stand-in has no sessions: leave out SessionId and SessionKeepAliveSeconds",
        ));
    }
    check_target(submit)
}

fn check_sql(sql: &str) -> Result<(), ApiError> {
    if sql.is_empty() {
        return Err(ApiError::constraint(
            "sql",
            sql,
            "Member must have length greater than or equal to 1",
        ));
    }
    if sql.len() > LONGEST_STATEMENT {
        let found = format!("{} bytes", sql.len());
        return Err(ApiError::constraint(
            "sql",
            &found,
            &format!("Member must have length less than or equal to {LONGEST_STATEMENT}"),
        ));
    }
    // What cannot be cut into tokens fails when it runs, as a syntax error.
    if statements(sql).is_ok_and(|found| found.len() > 1) {
        return Err(ApiError::validation(
            "a statement must be a single SQL statement: use BatchExecuteStatement for several",
        ));
    }
    Ok(())
}

fn check_target(submit: &Submit) -> Result<(), ApiError> {
    if submit.database.as_deref().is_none_or(str::is_empty) {
        return Err(ApiError::validation("Database is required"));
    }
    match (&submit.workgroup_name, &submit.cluster_identifier) {
        (Some(_), Some(_)) => Err(ApiError::validation(
            "give WorkgroupName or ClusterIdentifier, not both",
        )),
        (None, None) => Err(ApiError::validation("WorkgroupName or ClusterIdentifier is required")),
        (Some(_), None) if submit.db_user.is_some() => {
            Err(ApiError::validation("DbUser cannot be given with WorkgroupName"))
        }
        _ if submit.db_user.is_some() && submit.secret_arn.is_some() => {
            Err(ApiError::validation("give SecretArn or DbUser, not both"))
        }
        _ => Ok(()),
    }
}

/// Every parameter must be used somewhere and every name must have a value.
fn bind_all(sqls: &[String], parameters: &[(String, String)]) -> Result<Vec<String>, ApiError> {
    if let Some((name, _)) = parameters.iter().find(|(_, value)| value.is_empty()) {
        return Err(ApiError::validation(format!(
            "the value of parameter {name} is empty, which the Data API cannot pass"
        )));
    }
    let mut bound = Vec::new();
    let mut used = BTreeSet::new();
    for sql in sqls {
        // An unterminated text is passed on as it is and fails when it runs.
        let Ok(one) = bind(sql, parameters) else {
            bound.push(sql.clone());
            continue;
        };
        if !parameters.is_empty() && !one.undefined.is_empty() {
            let names: Vec<_> = one.undefined.into_iter().collect();
            return Err(ApiError::validation(format!(
                "Parameters list lacks parameters of the statement. Missing parameters: [{}]",
                names.join(", ")
            )));
        }
        used.extend(one.used);
        bound.push(one.sql);
    }
    let unused: Vec<_> = parameters
        .iter()
        .map(|(name, _)| name.clone())
        .filter(|name| !used.contains(name))
        .collect();
    if unused.is_empty() {
        Ok(bound)
    } else {
        Err(ApiError::validation(format!(
            "Parameters list contains unused parameters. Unused parameters: [{}]",
            unused.join(", ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn checked(request: &Value) -> Result<(), ApiError> {
        let submit: Submit = parse(request)?;
        let sqls = submit.sql.clone().map_or_else(Vec::new, |sql| vec![sql]);
        check(&submit, &sqls)
    }

    fn request() -> Value {
        json!({"Sql": "select 1", "Database": "analytics", "WorkgroupName": "shop"})
    }

    fn with(name: &str, value: Value) -> Value {
        let mut changed = request();
        changed[name] = value;
        changed
    }

    #[test]
    fn an_ordinary_call_passes() {
        assert_eq!(checked(&request()), Ok(()));
    }

    #[rstest]
    #[case(with("Database", Value::Null), "Database is required")]
    #[case(with("WorkgroupName", Value::Null), "WorkgroupName or ClusterIdentifier is required")]
    #[case(with("ClusterIdentifier", json!("c")), "not both")]
    #[case(with("DbUser", json!("u")), "DbUser cannot be given with WorkgroupName")]
    #[case(with("Sql", json!("x".repeat(100_001))), "less than or equal to 100000")]
    #[case(with("Sql", json!("select 1; select 2")), "single SQL statement")]
    #[case(with("ClientToken", json!("x".repeat(65))), "less than or equal to 64")]
    #[case(with("StatementName", json!("x".repeat(501))), "less than or equal to 500")]
    #[case(with("SessionId", json!("s")), "no sessions")]
    #[case(with("ExecutionMode", json!("MAYBE")), "TRANSACTION, AUTO_COMMIT")]
    fn a_wrong_call_says_what_is_wrong(#[case] request: Value, #[case] part: &str) {
        let error = checked(&request).unwrap_err();
        assert_eq!(error.code, "ValidationException");
        assert!(error.message.contains(part), "{}", error.message);
    }

    #[test]
    fn a_batch_may_share_its_parameters() {
        let sqls = [
            "delete from t where day = :day".to_owned(),
            "insert into t values (:day, :id)".to_owned(),
        ];
        let parameters = [
            ("day".to_owned(), "2011-12-09".to_owned()),
            ("id".to_owned(), "7".to_owned()),
        ];
        let bound = bind_all(&sqls, &parameters).unwrap();
        assert_eq!(
            bound,
            [
                "delete from t where day = '2011-12-09'",
                "insert into t values ('2011-12-09', '7')"
            ]
        );
    }

    #[test]
    fn a_parameter_that_nobody_uses_is_a_mistake() {
        let error = bind_all(&["select ':id'".to_owned()], &[("id".to_owned(), "7".to_owned())]).unwrap_err();
        assert_eq!(
            error.message,
            "Parameters list contains unused parameters. Unused parameters: [id]"
        );
    }
}
