//! The time to live of a table whose items expire: verified, or turned on. Talks to `DynamoDB`.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{TimeToLiveDescription, TimeToLiveSpecification, TimeToLiveStatus};
use medallion_crds::launch::EXPIRES_AT;
use medallion_crds::pipeline::Management;
use worker_kit::aws::said;

use crate::finding::{Finding, OR_MANAGED};

/// What a table's time to live is like.
#[derive(Debug, Eq, PartialEq)]
enum Judgement {
    /// It is on, or about to be, by the attribute that items have.
    On,
    Off,
    Wrong(String),
}

/// Verifies the time to live of a table that is as it must be otherwise, or turns it on: nothing of the table is replaced by that.
pub(crate) async fn check(client: &Client, management: Management, table: &str) -> Finding {
    let found = match client.describe_time_to_live().table_name(table).send().await {
        Ok(answer) => judge(table, answer.time_to_live_description.as_ref()),
        Err(error) => return Finding::Unknown(format!("its time to live cannot be read: {}", said(&error))),
    };
    match found {
        Judgement::On => Finding::Exists,
        Judgement::Wrong(message) => Finding::Differs(message),
        Judgement::Off if management == Management::Managed => turn_on(client, table).await,
        Judgement::Off => Finding::Differs(format!(
            "it has no time to live, and spec.table.expireAfterDays wants one: {}, {OR_MANAGED}",
            command(table)
        )),
    }
}

async fn turn_on(client: &Client, table: &str) -> Finding {
    let wanted = TimeToLiveSpecification::builder()
        .enabled(true)
        .attribute_name(EXPIRES_AT)
        .build();
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(error) => return Finding::Unknown(format!("internal: {error}")),
    };
    let request = client.update_time_to_live().table_name(table);
    match request.time_to_live_specification(wanted).send().await {
        Ok(_) => Finding::Noted(format!("its time to live was turned on, by {EXPIRES_AT}")),
        Err(error) => Finding::Differs(format!(
            "it has no time to live, and it could not be turned on: {}; {}",
            said(&error),
            command(table)
        )),
    }
}

fn judge(table: &str, found: Option<&TimeToLiveDescription>) -> Judgement {
    let status = found.and_then(TimeToLiveDescription::time_to_live_status);
    let attribute = found
        .and_then(TimeToLiveDescription::attribute_name)
        .unwrap_or_default();
    match status {
        None | Some(TimeToLiveStatus::Disabled) => Judgement::Off,
        Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling) if attribute == EXPIRES_AT => Judgement::On,
        Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling) => Judgement::Wrong(format!(
            "its time to live goes by {attribute}, the items of a pipeline with spec.table.expireAfterDays by {EXPIRES_AT}; a table \
             has one: turn it off, which takes up to an hour (aws dynamodb update-time-to-live --table-name {table} \
             --time-to-live-specification Enabled=false,AttributeName={attribute}), then {}",
            command(table)
        )),
        Some(other) => Judgement::Wrong(format!(
            "its time to live is {other}, which takes up to an hour; after that, {}",
            command(table)
        )),
    }
}

fn command(table: &str) -> String {
    format!(
        "aws dynamodb update-time-to-live --table-name {table} --time-to-live-specification \
         Enabled=true,AttributeName={EXPIRES_AT}"
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn described(status: TimeToLiveStatus, attribute: Option<&str>) -> TimeToLiveDescription {
        TimeToLiveDescription::builder()
            .time_to_live_status(status)
            .set_attribute_name(attribute.map(str::to_owned))
            .build()
    }

    #[rstest]
    #[case(TimeToLiveStatus::Enabled, Some(EXPIRES_AT), Judgement::On)]
    #[case(TimeToLiveStatus::Enabling, Some(EXPIRES_AT), Judgement::On)]
    #[case(TimeToLiveStatus::Disabled, None, Judgement::Off)]
    fn it_is_on_or_off(#[case] status: TimeToLiveStatus, #[case] attribute: Option<&str>, #[case] expected: Judgement) {
        assert_eq!(judge("orders", Some(&described(status, attribute))), expected);
    }

    #[rstest]
    #[case::another_attribute(TimeToLiveStatus::Enabled, Some("ttl"), "goes by ttl")]
    #[case::on_its_way_out(TimeToLiveStatus::Disabling, Some(EXPIRES_AT), "DISABLING")]
    fn what_is_wrong_is_said_with_what_to_do(
        #[case] status: TimeToLiveStatus,
        #[case] attribute: Option<&str>,
        #[case] words: &str,
    ) {
        let Judgement::Wrong(message) = judge("orders", Some(&described(status, attribute))) else {
            panic!("it is wrong");
        };
        for words in [
            words,
            "--table-name orders --time-to-live-specification Enabled=true,AttributeName=expires_at",
        ] {
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn a_table_that_says_nothing_has_none() {
        assert_eq!(judge("orders", None), Judgement::Off);
    }
}
