//! The warehouse's schema: made so that the loader may use it, and refused where another Pipeline loads the same tables.

use anyhow::{Context, Result, ensure};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::types::StatusString;
use medallion_crds::launch::ProvisionerSettings;
use medallion_crds::pipeline::{DependencyState, Management};
use provisioner::provision;

use super::{Place, message};

impl Place {
    fn schema(&self) -> String {
        self.settings.table.clone()
    }

    /// What a provisioner says about the schema alone.
    async fn look(&self, adopt: &[&str], settings: ProvisionerSettings) -> (DependencyState, String) {
        let report = provision(&self.of("orders", adopt, settings), &self.services).await;
        let warehouse = self.settings.warehouse.as_ref().expect("a warehouse");
        let (state, words) = message(&report, &format!("Schema/{}.{}", warehouse.database, warehouse.schema));
        (state, words.to_owned())
    }

    fn with(&self, management: Management, loader_user: Option<&str>) -> ProvisionerSettings {
        let mut settings = ProvisionerSettings {
            management,
            timeout_seconds: 10,
            ..self.settings.clone()
        };
        if let Some(warehouse) = &mut settings.warehouse {
            warehouse.loader_user = loader_user.map(str::to_owned);
        }
        settings
    }

    /// Runs statements as an identity, or as the stack's own.
    async fn sql(&self, identity: Option<&str>, sql: &str) -> Result<()> {
        let configuration = match identity {
            None => self.services.warehouse.clone(),
            Some(identity) => {
                let credentials = Credentials::new(identity, "secret", None, None, "story");
                let builder = self.services.warehouse.to_builder();
                builder
                    .credentials_provider(SharedCredentialsProvider::new(credentials))
                    .build()
            }
        };
        let warehouse = self.settings.warehouse.as_ref().context("a warehouse")?;
        let client = Client::new(&configuration);
        let answer = client
            .execute_statement()
            .database(&warehouse.database)
            .set_workgroup_name(warehouse.workgroup_name.clone())
            .sql(sql)
            .send()
            .await?;
        let id = answer.id().context("an id")?;
        let described = client.describe_statement().id(id).wait_time_seconds(30).send().await?;
        ensure!(
            described.status() == Some(&StatusString::Finished),
            "{sql}: {:?}",
            described.error()
        );
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_schema_is_one_that_the_loaders_user_may_use() -> Result<()> {
    use DependencyState::{Created, Differs, Exists};
    let place = Place::new("granted").await?;
    let schema = place.schema();
    let (identity, second) = (format!("loader-{schema}"), format!("second-{schema}"));
    let (user, second_user) = (format!("IAM:{identity}"), format!("IAM:{second}"));

    let (state, words) = place.look(&[], place.with(Management::Managed, Some(&user))).await;
    let grant = format!("GRANT USAGE, CREATE ON SCHEMA \"{schema}\" TO \"{user}\"");
    assert!(state == Created && words.contains(&grant), "{state:?} {words}");
    let create = format!("CREATE TABLE {schema}.medallion_ledger (table_name VARCHAR(63), owner VARCHAR(512))");
    place.sql(Some(&identity), &create).await?;
    for management in [Management::Managed, Management::External] {
        let (state, words) = place.look(&[], place.with(management, Some(&user))).await;
        assert_eq!(state, Exists, "{words}");
    }

    // The loader of another pipeline in the same schema.
    let (state, words) = place
        .look(&[], place.with(Management::External, Some(&second_user)))
        .await;
    assert!(state == Differs && words.contains("CREATE USER"), "{state:?} {words}");
    place.sql(Some(&second), "SELECT 1").await?;
    let (state, words) = place
        .look(&[], place.with(Management::External, Some(&second_user)))
        .await;
    let grant = format!("GRANT USAGE, CREATE ON SCHEMA \"{schema}\" TO \"{second_user}\"");
    assert!(state == Differs && words.contains(&grant), "{state:?} {words}");
    let (state, words) = place
        .look(&[], place.with(Management::Managed, Some(&second_user)))
        .await;
    assert!(
        state == Created && words.contains("medallion_ledger"),
        "{state:?} {words}"
    );
    let insert = format!("INSERT INTO {schema}.medallion_ledger VALUES ('customers', 'here/shop/other')");
    place.sql(Some(&second), &insert).await?;

    // A table that another user has loaded before, for this pipeline; one of another pipeline is left alone.
    for table in ["orders", "customers"] {
        let create = format!("CREATE TABLE {schema}.{table} (id BIGINT)");
        place.sql(Some(&identity), &create).await?;
    }
    let insert = format!("INSERT INTO {schema}.medallion_ledger VALUES ('orders', 'here/shop/orders')");
    place.sql(Some(&second), &insert).await?;
    let (state, words) = place
        .look(&[], place.with(Management::Managed, Some(&second_user)))
        .await;
    assert!(
        state == Created && words.contains("\"orders\"") && !words.contains("customers"),
        "{state:?} {words}"
    );
    place
        .sql(Some(&second), &format!("DELETE FROM {schema}.orders"))
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_another_pipeline_makes_the_schema_differ() -> Result<()> {
    use DependencyState::{Differs, Exists};
    let place = Place::new("ledger").await?;
    let schema = place.schema();
    place.sql(None, &format!("CREATE SCHEMA {schema}")).await?;
    let create = format!("CREATE TABLE {schema}.medallion_ledger (table_name VARCHAR(63), owner VARCHAR(512))");
    place.sql(None, &create).await?;
    let add = |table: &str, owner: &str| format!("INSERT INTO {schema}.medallion_ledger VALUES ('{table}', '{owner}')");
    place.sql(None, &add("customers", "here/shop/other")).await?;
    let settings = || place.with(Management::External, None);
    let (state, words) = place.look(&[], settings()).await;
    assert_eq!(state, Exists, "tables of their own share a schema: {words}");

    place.sql(None, &add("orders", "here/shop/other")).await?;
    let (state, words) = place.look(&["here/shop/third"], settings()).await;
    assert_eq!(state, Differs);
    for part in [
        "orders belongs to Pipeline here/shop/other",
        "medallion.dev/adopt: here/shop/other",
    ] {
        assert!(words.contains(part), "{words}");
    }
    let (state, words) = place.look(&["here/shop/other"], settings()).await;
    assert_eq!(state, Exists, "{words}");
    Ok(())
}
