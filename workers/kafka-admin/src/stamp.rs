//! What stands beside a committed offset: whose it is, and of which topic. No network.

use medallion_crds::Owner;
use serde::{Deserialize, Serialize};

/// The metadata of a committed offset, as JSON. Brokers keep 4,096 bytes of it, and this takes a few hundred at most.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stamp {
    /// Text of the [`Owner`].
    pub owner: String,
    /// Id of the topic; absent where the brokers give topics no ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_id: Option<String>,
}

impl Stamp {
    /// What this owner commits for the topic of this id.
    pub fn new(owner: &Owner, topic_id: Option<String>) -> Self {
        Self {
            owner: owner.to_string(),
            topic_id,
        }
    }

    /// As it is committed.
    pub fn to_metadata(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what was committed; `None` if somebody else's words stand there, or none, as after a person set the offset.
    pub fn read(metadata: &str) -> Option<Self> {
        serde_json::from_str(metadata).ok()
    }
}

/// The value of the annotation `medallion.dev/adopt` by which a topic that was made anew is read from its beginning. It
/// names the new topic by its id, so it is good for no later one.
pub fn adoption_of(topic_id: &str) -> String {
    format!("topic/{topic_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        "0b7c/shop/orders".parse().expect("an owner")
    }

    #[test]
    fn a_stamp_is_read_back_and_what_is_none_is_told_from_it() {
        for id in [None, Some("wcZGHT0VQ7uR9xfRSBhTCg".to_owned())] {
            let stamp = Stamp::new(&owner(), id);
            assert_eq!(Stamp::read(&stamp.to_metadata()), Some(stamp));
        }
        for foreign in ["", "{}", "AQAAAY0", "{\"owner\": 5}", "\"owner\""] {
            assert_eq!(Stamp::read(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn words_of_a_later_version_are_passed_over() {
        let text = r#"{"owner":"0b7c/shop/orders","topicId":"a","more":[1]}"#;
        assert_eq!(Stamp::read(text), Some(Stamp::new(&owner(), Some("a".to_owned()))));
    }

    #[test]
    fn the_longest_names_fit_into_what_brokers_keep() {
        let part = "a".repeat(253);
        let owner = Owner {
            installation: part.clone(),
            namespace: part.clone(),
            name: part,
        };
        assert!(Stamp::new(&owner, Some("b".repeat(22))).to_metadata().len() < 1024);
    }
}
