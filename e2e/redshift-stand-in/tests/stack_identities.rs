//! What one identity may do and see beside another, through the real SDK client; needs PostgreSQL and S3.

mod common;

use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::operation::describe_statement::DescribeStatementOutput;
use aws_sdk_redshiftdata::types::StatusString;
use common::stand;

async fn submit(client: &Client, sql: &str) -> String {
    let answer = client
        .execute_statement()
        .workgroup_name("shop")
        .database("analytics")
        .statement_name("shared-name")
        .client_token("shared-token")
        .sql(sql)
        .send()
        .await
        .expect("the statement is taken");
    answer.id.expect("an id")
}

async fn ended(client: &Client, sql: &str) -> DescribeStatementOutput {
    let answer = client
        .execute_statement()
        .workgroup_name("shop")
        .database("analytics")
        .sql(sql)
        .send()
        .await
        .expect("the statement is taken");
    let described = client
        .describe_statement()
        .id(answer.id().expect("an id"))
        .wait_time_seconds(30);
    described.send().await.expect("it is described")
}

async fn refused(client: &Client, sql: &str) -> String {
    let described = ended(client, sql).await;
    assert_eq!(described.status, Some(StatusString::Failed), "{sql}");
    described.error.expect("words")
}

async fn done(client: &Client, sql: &str) {
    let described = ended(client, sql).await;
    assert_eq!(
        described.status,
        Some(StatusString::Finished),
        "{sql}: {:?}",
        described.error
    );
}

#[tokio::test]
async fn a_statement_is_seen_by_its_own_identity_only() {
    let stand = stand().await;
    let ((ada, _), (ben, _)) = (stand.caller("ada"), stand.caller("ben"));
    let id = submit(&ada, "SELECT 1").await;
    assert_ne!(submit(&ben, "SELECT 2").await, id, "a token is its caller's own");

    for other in [&ben, &stand.client] {
        let error = other.describe_statement().id(&id).send().await.unwrap_err();
        assert!(error.into_service_error().is_resource_not_found_exception());
        let error = other.cancel_statement().id(&id).send().await.unwrap_err();
        assert!(error.into_service_error().is_resource_not_found_exception());
        let error = other.get_statement_result().id(&id).send().await.unwrap_err();
        assert!(error.into_service_error().is_resource_not_found_exception());
    }
    let listed = async |client: &Client| {
        let answer = client
            .list_statements()
            .statement_name("shared-name")
            .status(StatusString::All);
        let answer = answer.send().await.expect("a list");
        answer
            .statements()
            .iter()
            .map(|statement| statement.id().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(&ada).await, [id]);
    assert_eq!(listed(&ben).await.len(), 1);
    assert!(listed(&stand.client).await.is_empty());
}

#[tokio::test]
async fn a_new_identity_may_do_nothing_until_it_is_granted() {
    let stand = stand().await;
    let (loader, user) = stand.caller("loader");
    let (schema, table) = (&stand.schema, stand.table("t"));
    stand.finished(&format!("CREATE TABLE {table} (a INT)")).await;

    let create = format!("CREATE TABLE {schema}.own (a INT)");
    let error = refused(&loader, &create).await;
    assert!(
        error.contains(&format!("permission denied for schema {schema}")),
        "{error}"
    );
    // The first statement has made the user.
    stand
        .finished(&format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO \"{user}\""))
        .await;
    done(&loader, &create).await;

    let error = refused(&loader, &format!("SELECT * FROM {table}")).await;
    assert!(error.contains("permission denied for relation t"), "{error}");
    let error = refused(&loader, &format!("DROP TABLE {table}")).await;
    assert!(error.contains("must be owner of relation t"), "{error}");
    let error = refused(&loader, "CREATE SCHEMA another").await;
    assert!(error.contains("permission denied for database"), "{error}");
    stand
        .finished(&format!("GRANT SELECT, INSERT ON {table} TO \"{user}\""))
        .await;
    done(&loader, &format!("INSERT INTO {table} VALUES (1)")).await;
    assert_eq!(stand.count("t").await, 1);
}

#[tokio::test]
async fn a_user_can_be_made_and_granted_before_its_identity_calls() {
    let stand = stand().await;
    let (loader, user) = stand.caller("early");
    let schema = &stand.schema;
    stand
        .finished(&format!("CREATE USER \"{user}\" PASSWORD DISABLE"))
        .await;
    stand
        .finished(&format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO \"{user}\""))
        .await;
    done(&loader, &format!("CREATE TABLE {schema}.own (a INT)")).await;
    assert_eq!(
        stand
            .rows(&format!("SELECT has_schema_privilege('{user}', '{schema}', 'CREATE')"))
            .await,
        [["true"]]
    );
}

#[tokio::test]
async fn a_call_that_nobody_signed_is_refused() {
    let stand = stand().await;
    let answer = stand.http("POST", "/", "{}").await;
    assert!(
        answer.starts_with("HTTP/1.1 403") && answer.contains("MissingAuthenticationTokenException"),
        "{answer}"
    );
}
