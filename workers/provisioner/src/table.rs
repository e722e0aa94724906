//! The table and its stream: verified, or created. Talks to `DynamoDB`.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamSpecification,
    StreamViewType, TableDescription, TableStatus, Tag,
};
use medallion_crds::pipeline::Management;
use tokio::time::sleep;
use worker_kit::aws::said;

use crate::claimant::Claimant;
use crate::expiry;
use crate::finding::{Finding, OR_MANAGED};

const KEY: &str = "key";
const EVENT_ID: &str = "event_id";
/// Tag that says whose the table is.
const OWNER_TAG: &str = "medallion.owner";
/// How often a table that is being made is looked at.
const PACE: Duration = Duration::from_millis(250);

/// Tables of one account and region.
pub struct Tables {
    client: Client,
    management: Management,
}

/// A look at a table.
enum Look {
    Found(Box<TableDescription>),
    NotThere,
    Failed(String),
}

impl Tables {
    /// Tables as the configuration reaches them.
    pub fn new(configuration: &SdkConfig, management: Management) -> Self {
        Self {
            client: Client::new(configuration),
            management,
        }
    }

    /// Verifies a table, whose it is and whether its items expire where they are to, or creates it; waits until it can be used.
    pub async fn check(&self, table: &str, expires: bool, claimant: Claimant<'_>) -> Finding {
        let finding = self.found_or_made(table, claimant).await;
        if !expires || !matches!(finding, Finding::Exists | Finding::Created(_)) {
            return finding;
        }
        match (expiry::check(&self.client, self.management, table).await, finding) {
            (Finding::Exists, finding) => finding,
            (Finding::Noted(note), Finding::Created(message)) => Finding::Created(format!("{message}; {note}")),
            (other, _) => other,
        }
    }

    async fn found_or_made(&self, table: &str, claimant: Claimant<'_>) -> Finding {
        match self.settled(table).await {
            Look::Found(found) => match judge(table, &found) {
                Finding::Exists => self.whose(&found, claimant).await,
                other => other,
            },
            Look::Failed(message) => Finding::Unknown(message),
            Look::NotThere if self.management == Management::Managed => {
                let made = self.create(table).await;
                if matches!(made, Finding::Created(_))
                    && let Look::Found(found) = self.look(table).await
                {
                    self.tag(&found, claimant).await;
                }
                made
            }
            Look::NotThere => Finding::Missing(format!(
                "the table is not there: {}, {OR_MANAGED}",
                create_command(table)
            )),
        }
    }

    /// Whether the table's tag names another owner. Tags are a courtesy among pipelines: where they cannot be read (no
    /// permission, DynamoDB Local has none), the table is taken as it is.
    async fn whose(&self, found: &TableDescription, claimant: Claimant<'_>) -> Finding {
        let arn = found.table_arn().unwrap_or_default();
        let tags = match self.client.list_tags_of_resource().resource_arn(arn).send().await {
            Ok(answer) => answer.tags.unwrap_or_default(),
            Err(error) => {
                tracing::debug!(error = said(&error), "the table's tags cannot be read");
                return Finding::Exists;
            }
        };
        let owner = tags.iter().find(|tag| tag.key() == OWNER_TAG).map(Tag::value);
        let finding = judge_owner(owner, claimant);
        if self.management == Management::Managed
            && owner.is_some_and(|owner| !claimant.is_own(owner))
            && finding == Finding::Exists
        {
            self.tag(found, claimant).await;
        }
        finding
    }

    /// Writes whose the table is.
    async fn tag(&self, found: &TableDescription, claimant: Claimant<'_>) {
        let tag = Tag::builder().key(OWNER_TAG).value(claimant.owner.to_string()).build();
        let Ok(tag) = tag else { return };
        let arn = found.table_arn().unwrap_or_default();
        if let Err(error) = self.client.tag_resource().resource_arn(arn).tags(tag).send().await {
            tracing::debug!(error = said(&error), "the table cannot be tagged with its owner");
        }
    }

    async fn create(&self, table: &str) -> Finding {
        let request = match wanted(self.client.create_table().table_name(table)) {
            Ok(request) => request,
            Err(error) => return Finding::Unknown(format!("internal: {error}")),
        };
        let outcome = request.send().await;
        // Whatever the answer was (somebody was faster, the answer was lost), the table itself says.
        match (self.settled(table).await, outcome) {
            (Look::Found(found), Ok(_)) => match judge(table, &found) {
                Finding::Exists => {
                    Finding::Created("created with on-demand capacity and a stream of new images".to_owned())
                }
                other => other,
            },
            (Look::Found(found), Err(_)) => judge(table, &found),
            (Look::NotThere, Err(error)) => Finding::Missing(format!("it could not be created: {}", said(&error))),
            (Look::NotThere, Ok(_)) => Finding::Missing("it was created and is gone again".to_owned()),
            (Look::Failed(message), _) => Finding::Unknown(message),
        }
    }

    /// Looks until the table is not just being made or deleted.
    async fn settled(&self, table: &str) -> Look {
        loop {
            match self.look(table).await {
                Look::Found(found)
                    if matches!(
                        found.table_status(),
                        Some(TableStatus::Creating | TableStatus::Deleting)
                    ) =>
                {
                    sleep(PACE).await;
                }
                other => return other,
            }
        }
    }

    async fn look(&self, table: &str) -> Look {
        match self.client.describe_table().table_name(table).send().await {
            Ok(answer) => answer.table.map_or_else(
                || Look::Failed("dynamodb described no table".to_owned()),
                |found| Look::Found(Box::new(found)),
            ),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DescribeTableError::is_resource_not_found_exception) =>
            {
                Look::NotThere
            }
            Err(error) => Look::Failed(format!("dynamodb did not answer as it should: {}", said(&error))),
        }
    }
}

fn wanted(request: CreateTableFluentBuilder) -> Result<CreateTableFluentBuilder, aws_sdk_dynamodb::error::BuildError> {
    let attribute = |name: &str| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
    };
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let stream = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewImage)
        .build()?;
    Ok(request
        .attribute_definitions(attribute(KEY)?)
        .attribute_definitions(attribute(EVENT_ID)?)
        .key_schema(key(KEY, KeyType::Hash)?)
        .key_schema(key(EVENT_ID, KeyType::Range)?)
        .billing_mode(BillingMode::PayPerRequest)
        .stream_specification(stream))
}

/// What a table is to us whose tag names this owner.
fn judge_owner(owner: Option<&str>, claimant: Claimant<'_>) -> Finding {
    match owner.filter(|owner| claimant.is_refused(owner)) {
        None => Finding::Exists,
        Some(owner) => Finding::Differs(format!(
            "its tag {OWNER_TAG} says that it belongs to the Pipeline {owner}: use another name in spec.table.name; or, if the \
             other one is gone for good, take its place with the annotation medallion.dev/adopt: {owner}"
        )),
    }
}

/// What a table that is there is like.
fn judge(table: &str, found: &TableDescription) -> Finding {
    if let Some(
        status @ (TableStatus::InaccessibleEncryptionCredentials | TableStatus::Archiving | TableStatus::Archived),
    ) = found.table_status()
    {
        return Finding::Differs(format!(
            "it is {status} and takes no items: give its KMS key back, or restore it from its backup under another name"
        ));
    }
    let keys: Vec<(&str, &KeyType)> = found
        .key_schema()
        .iter()
        .map(|element| (element.attribute_name(), element.key_type()))
        .collect();
    let texts = [KEY, EVENT_ID].iter().all(|name| {
        found.attribute_definitions().iter().any(|attribute| {
            attribute.attribute_name() == *name && attribute.attribute_type() == &ScalarAttributeType::S
        })
    });
    if keys != [(KEY, &KeyType::Hash), (EVENT_ID, &KeyType::Range)] || !texts {
        let keys: Vec<String> = keys.iter().map(|(name, kind)| format!("{name} ({kind})")).collect();
        return Finding::Differs(format!(
            "its key is {}; a pipeline needs {KEY} (HASH) and {EVENT_ID} (RANGE), both of type S; a table's key never \
             changes: use another table name in spec.table.name",
            keys.join(", ")
        ));
    }
    let view = found
        .stream_specification()
        .filter(|stream| stream.stream_enabled())
        .and_then(StreamSpecification::stream_view_type);
    match view {
        Some(StreamViewType::NewImage | StreamViewType::NewAndOldImages) => Finding::Exists,
        Some(other) => Finding::Differs(format!(
            "its stream shows {other}, a pipeline needs NEW_IMAGE; a stream's view never changes, and what is in it would \
             be lost: turn it off when its readers are done, then {}",
            stream_command(table)
        )),
        None => Finding::Differs(format!("it has no stream: {}", stream_command(table))),
    }
}

fn create_command(table: &str) -> String {
    format!(
        "aws dynamodb create-table --table-name {table} --billing-mode PAY_PER_REQUEST --attribute-definitions \
         AttributeName={KEY},AttributeType=S AttributeName={EVENT_ID},AttributeType=S --key-schema \
         AttributeName={KEY},KeyType=HASH AttributeName={EVENT_ID},KeyType=RANGE --stream-specification \
         StreamEnabled=true,StreamViewType=NEW_IMAGE"
    )
}

fn stream_command(table: &str) -> String {
    format!(
        "aws dynamodb update-table --table-name {table} --stream-specification StreamEnabled=true,StreamViewType=NEW_IMAGE"
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn described(
        keys: [&str; 2],
        attribute_type: &ScalarAttributeType,
        view: Option<StreamViewType>,
    ) -> TableDescription {
        let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
        let attribute = |name: &str| {
            AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(attribute_type.clone())
                .build()
        };
        let stream = view.map(|view| {
            StreamSpecification::builder()
                .stream_enabled(true)
                .stream_view_type(view)
                .build()
                .expect("a stream")
        });
        TableDescription::builder()
            .key_schema(key(keys[0], KeyType::Hash).expect("a key"))
            .key_schema(key(keys[1], KeyType::Range).expect("a key"))
            .attribute_definitions(attribute(keys[0]).expect("an attribute"))
            .attribute_definitions(attribute(keys[1]).expect("an attribute"))
            .set_stream_specification(stream)
            .build()
    }

    #[test]
    fn a_table_of_another_is_refused_with_its_name() {
        let owner = "0b7c/shop/orders".parse().expect("an owner");
        let adopt = ["0b7c/shop/old".to_owned()];
        let claimant = Claimant {
            owner: &owner,
            adopt: &adopt,
        };
        for fine in [None, Some("0b7c/shop/orders"), Some("0b7c/shop/old")] {
            assert_eq!(judge_owner(fine, claimant), Finding::Exists);
        }
        let Finding::Differs(message) = judge_owner(Some("0b7c/shop/payments"), claimant) else {
            panic!("it is another's");
        };
        assert!(message.contains("medallion.dev/adopt: 0b7c/shop/payments"), "{message}");
    }

    #[rstest]
    fn a_stream_with_more_than_new_images_is_fine(
        #[values(StreamViewType::NewImage, StreamViewType::NewAndOldImages)] view: StreamViewType,
    ) {
        let found = described([KEY, EVENT_ID], &ScalarAttributeType::S, Some(view));
        assert_eq!(judge("orders", &found), Finding::Exists);
    }

    #[test]
    fn a_table_that_takes_no_items_is_not_there_as_it_must_be() {
        let mut found = described([KEY, EVENT_ID], &ScalarAttributeType::S, Some(StreamViewType::NewImage));
        for (status, is_fine) in [
            (TableStatus::Active, true),
            (TableStatus::Updating, true),
            (TableStatus::InaccessibleEncryptionCredentials, false),
            (TableStatus::Archived, false),
        ] {
            found.table_status = Some(status.clone());
            assert_eq!(judge("orders", &found) == Finding::Exists, is_fine, "{status}");
        }
    }

    #[rstest]
    #[case::no_stream([KEY, EVENT_ID], ScalarAttributeType::S, None, "update-table --table-name orders")]
    #[case::keys_only([KEY, EVENT_ID], ScalarAttributeType::S, Some(StreamViewType::KeysOnly), "KEYS_ONLY")]
    #[case::other_key(["id", EVENT_ID], ScalarAttributeType::S, Some(StreamViewType::NewImage), "id (HASH)")]
    #[case::number_as_key([KEY, EVENT_ID], ScalarAttributeType::N, Some(StreamViewType::NewImage), "of type S")]
    fn what_differs_is_said_with_what_to_do(
        #[case] keys: [&str; 2],
        #[case] attribute_type: ScalarAttributeType,
        #[case] view: Option<StreamViewType>,
        #[case] words: &str,
    ) {
        let Finding::Differs(message) = judge("orders", &described(keys, &attribute_type, view)) else {
            panic!("it differs");
        };
        assert!(message.contains(words), "{message}");
    }
}
