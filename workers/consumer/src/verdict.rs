//! What a record should become: an item or a dead letter. No network.

use std::panic::AssertUnwindSafe;

use medallion_contract::{Contract, VERSION_HEADER};
use medallion_crds::Reason;
use rdkafka::Message;
use rdkafka::message::{Headers, OwnedMessage};

use crate::expiry::Expiry;
use crate::table::Item;

/// What a record should become.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// To be stored.
    Item(Item),
    /// Can never be stored as it is.
    Dead(Flaw),
}

/// Why a record is dead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Flaw {
    /// The word for it.
    pub class: Reason,
    /// What is wrong, without the record's data.
    pub message: String,
}

/// Judges a record. Every attribute of the item is a function of the record, so that a second delivery makes the same item.
///
/// A record stamped with a contract version that is not mounted is still checked against the mounted contract: it fits
/// (contracts grow by additions) and is stored under its own version, or it is dead-lettered as
/// `UnknownContractVersion`, from where it can be replayed once its contract is mounted. Waiting for the contract
/// instead would let one stray header stop a partition for ever.
pub(crate) fn judge(contract: &Contract, expiry: Option<Expiry>, record: &OwnedMessage) -> Verdict {
    let Some(payload) = record.payload() else {
        return Verdict::Dead(Flaw {
            class: Reason::NoPayload,
            message: "the record has no value; an event must be a JSON object".to_owned(),
        });
    };
    let stamped = stamped_version(record);
    let checked = contract
        .check(payload)
        .map_err(|refusal| (refusal.reason.clone(), refusal.to_string()));
    let text = std::str::from_utf8(payload).map_err(|_| (Reason::MalformedJson, "event: not UTF-8 text".to_owned()));
    match checked.and_then(|event| Ok((event, text?))) {
        Ok((event, text)) => Verdict::Item(Item {
            key: event.key,
            event_id: event.event_id,
            payload: text.to_owned(),
            digest: event.digest,
            contract_version: stamped.unwrap_or_else(|| contract.digest().to_owned()),
            source: source(record),
            expires_at: expiry.and_then(|expiry| expiry.of(record.timestamp())),
        }),
        Err((reason, message)) => match stamped {
            Some(version) if version != contract.digest() => Verdict::Dead(Flaw {
                class: Reason::UnknownContractVersion,
                message: format!(
                    "contract version {version} is not mounted, and the mounted one does not fit: {message}"
                ),
            }),
            _ => Verdict::Dead(Flaw { class: reason, message }),
        },
    }
}

/// The verdict, also if finding it ends in a panic: it is a function of the record, so it would end so every time, and the
/// record would stop its partition for ever.
pub(crate) fn without_panic(judge: impl FnOnce() -> Verdict) -> Verdict {
    std::panic::catch_unwind(AssertUnwindSafe(judge)).unwrap_or_else(|_| {
        Verdict::Dead(Flaw {
            class: Reason::CheckPanicked,
            message: "checking the record ended in a panic, which is a bug of this worker; its log says where"
                .to_owned(),
        })
    })
}

/// Where a record stands: topic/partition/offset.
pub(crate) fn source(record: &OwnedMessage) -> String {
    format!("{}/{}/{}", record.topic(), record.partition(), record.offset())
}

/// The contract version in the record's header, if it looks like one: it becomes a stored attribute.
fn stamped_version(record: &OwnedMessage) -> Option<String> {
    let header = record
        .headers()?
        .iter()
        .filter(|header| header.key == VERSION_HEADER)
        .last()?;
    let text = std::str::from_utf8(header.value?).ok()?;
    let is_digest = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_digest.then(|| text.to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use medallion_contract::Pointers;
    use rdkafka::Timestamp;
    use rdkafka::message::{Header, OwnedHeaders};
    use rstest::rstest;

    use super::*;

    pub(crate) const GOOD: &str = r#"{"id":"e1","part":7.0,"at":"2024-01-02T03:04:05Z"}"#;

    pub(crate) fn contract() -> Contract {
        let schema = r#"{"type":"object","required":["id","part","at"],"properties":{
            "id":{"type":"string"},"part":{"type":"integer"},"at":{"type":"string","format":"date-time"}}}"#;
        let pointers = Pointers {
            key: "/part",
            event_id: "/id",
            event_time: "/at",
            event_version: None,
        };
        Contract::compile(schema, &pointers).expect("a contract")
    }

    pub(crate) fn record(payload: Option<&[u8]>, version: Option<&str>) -> OwnedMessage {
        let headers = version.map(|version| {
            OwnedHeaders::new().insert(Header {
                key: VERSION_HEADER,
                value: Some(version),
            })
        });
        OwnedMessage::new(
            payload.map(<[u8]>::to_vec),
            Some(b"any key".to_vec()),
            "events".to_owned(),
            Timestamp::CreateTime(1_700_000_000_000),
            2,
            41,
            headers,
        )
    }

    #[test]
    fn a_good_record_becomes_an_item_that_is_a_function_of_it() {
        let contract = contract();
        let Verdict::Item(item) = judge(&contract, None, &record(Some(GOOD.as_bytes()), None)) else {
            panic!("an item was expected");
        };
        assert_eq!(
            (item.key.as_str(), item.event_id.as_str(), item.payload.as_str()),
            ("7", "e1", GOOD)
        );
        assert_eq!(
            (item.contract_version.as_str(), item.source.as_str()),
            (contract.digest(), "events/2/41")
        );
        assert_eq!(item.expires_at, None);
        assert_eq!(
            judge(&contract, None, &record(Some(GOOD.as_bytes()), None)),
            Verdict::Item(item)
        );
    }

    #[test]
    fn an_item_expires_by_its_record_s_time_and_not_by_now() {
        let record = record(Some(GOOD.as_bytes()), None);
        let expiry = Some(Expiry::after_days(2));
        for _ in 0..2 {
            let Verdict::Item(item) = judge(&contract(), expiry, &record) else {
                panic!("an item was expected");
            };
            assert_eq!(item.expires_at, Some(1_700_000_000 + 2 * 86_400));
        }
    }

    #[rstest]
    #[case(None, None, "NoPayload")]
    #[case(Some(b"\xff".as_slice()), None, "MalformedJson")]
    #[case(Some(b"poison".as_slice()), None, "MalformedJson")]
    #[case(Some(b"{}".as_slice()), None, "MissingField")]
    #[case(Some(b"{}".as_slice()), Some("not a digest"), "MissingField")]
    #[case(Some(b"{}".as_slice()), Some("0000000000000000000000000000000000000000000000000000000000000000"), "UnknownContractVersion")]
    fn a_bad_record_is_dead_with_its_class(
        #[case] payload: Option<&[u8]>,
        #[case] version: Option<&str>,
        #[case] class: &str,
    ) {
        let Verdict::Dead(flaw) = judge(&contract(), None, &record(payload, version)) else {
            panic!("a dead letter was expected");
        };
        assert_eq!(flaw.class.as_str(), class);
        assert!(
            !flaw.message.contains("poison"),
            "messages do not repeat the data: {}",
            flaw.message
        );
    }

    #[test]
    fn a_panic_is_a_verdict_too() {
        let Verdict::Dead(flaw) = without_panic(|| panic!("on purpose")) else {
            panic!("a dead letter was expected");
        };
        assert_eq!(flaw.class, Reason::CheckPanicked);
    }

    #[test]
    fn a_record_of_another_version_that_fits_is_stored_under_its_own() {
        let other = "a".repeat(64);
        let Verdict::Item(item) = judge(&contract(), None, &record(Some(GOOD.as_bytes()), Some(&other))) else {
            panic!("an item was expected");
        };
        assert_eq!(item.contract_version, other);
    }
}
