//! The time to live of a table whose items expire, on DynamoDB Local: verified, turned on once, and not turned from another attribute.

use anyhow::{Context, Result};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{TimeToLiveDescription, TimeToLiveSpecification, TimeToLiveStatus};
use medallion_crds::launch::ProvisionerSettings;
use medallion_crds::pipeline::{DependencyState, Management};
use provisioner::provision;

use crate::{Place, message};

impl Place {
    /// What is said of the table of a pipeline whose items expire.
    async fn expiring(&self, management: Management) -> (DependencyState, String) {
        let settings = ProvisionerSettings {
            management,
            table_expires: true,
            ..self.settings.clone()
        };
        let report = provision(&self.of("orders", &[], settings), &self.services).await;
        let (state, words) = message(&report, &format!("Table/{}", self.settings.table));
        (state, words.to_owned())
    }

    async fn time_to_live(&self) -> Result<TimeToLiveDescription> {
        let client = Client::new(&self.services.table);
        let answer = client
            .describe_time_to_live()
            .table_name(&self.settings.table)
            .send()
            .await?;
        answer.time_to_live_description.context("a description")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_made_with_a_time_to_live_and_one_that_is_there_gets_it() -> Result<()> {
    use DependencyState::{Created, Differs, Exists};
    let made = Place::new("expiring").await?;
    let (state, words) = made.expiring(Management::Managed).await;
    assert!(state == Created && words.contains("by expires_at"), "{state:?} {words}");
    let found = made.time_to_live().await?;
    assert_eq!(found.attribute_name(), Some("expires_at"));
    assert_eq!(made.expiring(Management::External).await, (Exists, String::new()));

    // Wished for later: who only verifies says what is missing and leaves the table as it is.
    let place = Place::new("expiring_later").await?;
    place.provision().await;
    let (state, words) = place.expiring(Management::External).await;
    assert_eq!(state, Differs, "{words}");
    assert!(words.contains("aws dynamodb update-time-to-live"), "{words}");
    let found = place.time_to_live().await?;
    assert_eq!(found.time_to_live_status(), Some(&TimeToLiveStatus::Disabled));
    let (state, words) = place.expiring(Management::Managed).await;
    assert!(state == Exists && words.contains("was turned on"), "{state:?} {words}");
    assert_eq!(place.expiring(Management::Managed).await, (Exists, String::new()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_to_live_by_another_attribute_is_somebody_else_s_and_stays() -> Result<()> {
    let place = Place::new("expiring_else").await?;
    place.provision().await;
    let by_another = TimeToLiveSpecification::builder()
        .enabled(true)
        .attribute_name("ttl")
        .build()?;
    let client = Client::new(&place.services.table);
    let request = client.update_time_to_live().table_name(&place.settings.table);
    request.time_to_live_specification(by_another).send().await?;

    let (state, words) = place.expiring(Management::Managed).await;
    assert_eq!(state, DependencyState::Differs, "{words}");
    assert!(words.contains("goes by ttl"), "{words}");
    assert_eq!(place.time_to_live().await?.attribute_name(), Some("ttl"));
    Ok(())
}
