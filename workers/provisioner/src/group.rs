//! The consumer group and the dead-letter topic: this pipeline's alone, or another's. Asks Kafka; changes nothing.

use std::time::{Duration, Instant};

use kafka_admin::{GroupOffset, Operation, Stamp, group_offsets};
use kafka_client::{KafkaContext, Resource, Snapshot, code_of};
use medallion_crds::launch::KafkaSettings;
use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::groups::GroupInfo;

use crate::claimant::Claimant;
use crate::finding::Finding;

/// Our consumers call themselves so.
const CLIENT: &str = "medallion-consumer";
/// Groups of pipelines begin so, unless their spec names one.
const GROUP_PREFIX: &str = "medallion.";
/// Of so many other pipelines the dead-letter topic is looked for.
const MAX_GROUPS: usize = 500;

/// A live member of a group.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Member {
    client: String,
    host: String,
}

/// What the group is like. Blocks up to a few times the time-out.
pub fn check(
    client: &BaseConsumer<KafkaContext>,
    kafka: &KafkaSettings,
    group: &str,
    claimant: Claimant<'_>,
    limit: Duration,
) -> Finding {
    match ask(client, group, limit) {
        Ok((offsets, members)) => judge(group, kafka, &offsets, &members, claimant),
        Err(error) if is_denied(&error) => {
            let context = client.context();
            Finding::Unknown(
                context
                    .denied(Resource::Group(group), &[Operation::Describe])
                    .to_string(),
            )
        }
        Err(error) => Finding::Unknown(format!(
            "no broker of {} answered within {} s: {error}; check spec.kafka.bootstrapServers and the brokers, and that \
             the provisioner may describe the group",
            kafka.bootstrap_servers.join(","),
            limit.as_secs()
        )),
    }
}

/// Another pipeline that has this dead-letter topic, if one is known: each would count the other's dead letters. Blocks up
/// to the time-out and somewhat more; what cannot be found out is none.
pub fn other_user_of_dead_letters(
    client: &BaseConsumer<KafkaContext>,
    kafka: &KafkaSettings,
    group: &str,
    claimant: Claimant<'_>,
    limit: Duration,
) -> Option<String> {
    let look = || -> KafkaResult<Option<String>> {
        let groups = client.client().fetch_group_list(None, limit)?;
        let others = groups.groups().iter().map(|group| group.name().to_owned());
        let others =
            others.filter(|name| name != group && name.starts_with(GROUP_PREFIX) && !name.ends_with(".dead-letters"));
        let until = Instant::now() + limit;
        for other in others.take(MAX_GROUPS) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let offsets = match group_offsets(client.client(), &other, left) {
                // It is listed, and no more of our business than that.
                Err(error) if is_denied(&error) => continue,
                offsets => offsets?,
            };
            if let Some(owner) = user(&offsets, &kafka.dead_letter_topic, claimant) {
                return Ok(Some(owner));
            }
        }
        Ok(None)
    };
    look().unwrap_or_else(|error| {
        tracing::debug!(%error, "other pipelines' groups cannot be looked at");
        None
    })
}

/// What a dead-letter topic is that another pipeline has.
pub fn shared_dead_letters(topic: &str, owner: &str) -> Finding {
    Finding::Differs(format!(
        "dead-letter topic {topic} belongs to the Pipeline {owner}, and each would count the other's dead letters: use another \
         one in spec.kafka.deadLetterTopic; or, if the other one is gone for good, take its place with the annotation \
         medallion.dev/adopt: {owner}"
    ))
}

/// Who, other than us, has an offset of the topic.
fn user(offsets: &[GroupOffset], topic: &str, claimant: Claimant<'_>) -> Option<String> {
    let stamps = offsets
        .iter()
        .filter(|offset| offset.topic == topic)
        .filter_map(|offset| Stamp::read(&offset.metadata));
    stamps.map(|stamp| stamp.owner).find(|owner| claimant.is_refused(owner))
}

fn is_denied(error: &KafkaError) -> bool {
    code_of(error) == Some(RDKafkaErrorCode::GroupAuthorizationFailed)
}

fn ask(
    client: &BaseConsumer<KafkaContext>,
    group: &str,
    limit: Duration,
) -> KafkaResult<(Vec<GroupOffset>, Vec<Member>)> {
    let client: &Client<_> = client.client();
    let offsets = group_offsets(client, group, limit)?;
    let found = client.fetch_group_list(Some(group), limit)?;
    let members = found
        .groups()
        .iter()
        .filter(|found| found.name() == group)
        .flat_map(GroupInfo::members)
        .map(|member| Member {
            client: member.client_id().to_owned(),
            host: member.client_host().trim_start_matches('/').to_owned(),
        });
    Ok((offsets, members.collect()))
}

/// It never subscribes, so it does not join the group.
pub fn client(snapshot: &Snapshot, group: &str) -> KafkaResult<BaseConsumer<KafkaContext>> {
    snapshot
        .consumer("provisioner", group)
        .create_with_context(snapshot.context())
}

/// The group is ours if what stands in it is ours, or nothing does. A person may have set offsets of our topics, so those
/// without a stamp may be there; others of that kind are some other reader's.
fn judge(
    group: &str,
    kafka: &KafkaSettings,
    offsets: &[GroupOffset],
    members: &[Member],
    claimant: Claimant<'_>,
) -> Finding {
    const FIX: &str = "give this Pipeline a group of its own in spec.kafka.consumerGroup";

    let mut displaced = None;
    let mut ours = false;
    for offset in offsets {
        match Stamp::read(&offset.metadata) {
            Some(stamp) if claimant.is_refused(&stamp.owner) => {
                let owner = stamp.owner;
                return Finding::Differs(format!(
                    "consumer group {group} belongs to the Pipeline {owner}, and each of two would get half of the events: {FIX}; \
                     or, if the other one is gone for good, take its place with the annotation medallion.dev/adopt: {owner}"
                ));
            }
            Some(stamp) if claimant.is_own(&stamp.owner) => ours = true,
            Some(stamp) => displaced = Some(stamp.owner),
            None if offset.topic == kafka.topic || offset.topic == kafka.dead_letter_topic => {}
            None => {
                return Finding::Differs(format!(
                    "consumer group {group} holds offsets of topic {}, which no pipeline has committed: {FIX}",
                    offset.topic
                ));
            }
        }
    }
    if let Some(member) = members.iter().find(|member| !member.client.starts_with(CLIENT)) {
        return Finding::Differs(format!(
            "consumer group {group} is in use by {} at {}, which is none of ours, and each of two would get half of the \
             events: stop it, or {FIX}",
            member.client, member.host
        ));
    }
    match displaced {
        Some(owner) if !ours => Finding::Noted(format!("it is taken over from the Pipeline {owner}")),
        _ => Finding::Exists,
    }
}

#[cfg(test)]
mod tests {
    use medallion_crds::Owner;
    use rstest::rstest;

    use super::*;

    const GROUP: &str = "medallion.0b7c.shop.orders";
    const US: &str = "0b7c/shop/orders";
    const OTHER: &str = "0b7c/shop/payments";

    fn kafka() -> KafkaSettings {
        KafkaSettings {
            bootstrap_servers: vec!["127.0.0.1:1".to_owned()],
            topic: "orders".to_owned(),
            dead_letter_topic: "dlq.orders".to_owned(),
            ..KafkaSettings::default()
        }
    }

    fn offset(topic: &str, owner: Option<&str>) -> GroupOffset {
        let stamp = owner.map(|owner| Stamp {
            owner: owner.to_owned(),
            topic_id: None,
        });
        GroupOffset {
            topic: topic.to_owned(),
            partition: 0,
            offset: 5,
            metadata: stamp.map(|stamp| stamp.to_metadata()).unwrap_or_default(),
        }
    }

    fn member(client: &str) -> Member {
        Member {
            client: client.to_owned(),
            host: "10.0.0.7".to_owned(),
        }
    }

    fn judged(offsets: &[GroupOffset], members: &[Member], adopt: &[&str]) -> Finding {
        let owner: Owner = US.parse().expect("an owner");
        let adopt: Vec<String> = adopt.iter().map(ToString::to_string).collect();
        let claimant = Claimant {
            owner: &owner,
            adopt: &adopt,
        };
        judge(GROUP, &kafka(), offsets, members, claimant)
    }

    #[rstest]
    #[case::new(vec![], vec![])]
    #[case::ours(vec![offset("orders", Some(US)), offset("dlq.orders", Some(US))], vec![member("medallion-consumer")])]
    #[case::set_by_a_person(vec![offset("orders", None), offset("orders", Some(US))], vec![])]
    #[case::of_a_topic_that_was_ours(vec![offset("old_orders", Some(US))], vec![])]
    fn a_group_that_is_ours_or_nobodys_is_fine(#[case] offsets: Vec<GroupOffset>, #[case] members: Vec<Member>) {
        assert_eq!(judged(&offsets, &members, &[]), Finding::Exists);
    }

    #[rstest]
    #[case::another_pipelines(vec![offset("orders", Some(US)), offset("orders", Some(OTHER))], vec![], "adopt: 0b7c/shop/payments")]
    #[case::of_another_topic(vec![offset("payments", Some(OTHER))], vec![], OTHER)]
    #[case::some_reader(vec![offset("clicks", None)], vec![], "topic clicks")]
    #[case::live(vec![], vec![member("medallion-consumer"), member("spark")], "spark at 10.0.0.7")]
    fn a_group_of_another_is_refused_with_its_name(
        #[case] offsets: Vec<GroupOffset>,
        #[case] members: Vec<Member>,
        #[case] words: &str,
    ) {
        let Finding::Differs(message) = judged(&offsets, &members, &["0b7c/shop/else"]) else {
            panic!("it is another's");
        };
        assert!(
            message.contains(words) && message.contains("spec.kafka.consumerGroup"),
            "{message}"
        );
    }

    #[test]
    fn a_group_whose_owner_is_named_is_taken_over() {
        let offsets = [offset("orders", Some(OTHER))];
        assert!(matches!(judged(&offsets, &[], &[OTHER]), Finding::Noted(_)));
        let offsets = [offset("orders", Some(OTHER)), offset("orders", Some(US))];
        assert_eq!(judged(&offsets, &[], &[OTHER]), Finding::Exists, "that is done");
    }

    #[test]
    fn another_user_of_the_dead_letter_topic_is_found_by_its_offsets() {
        let owner: Owner = US.parse().expect("an owner");
        let claimant = |adopt| Claimant { owner: &owner, adopt };
        let offsets = [offset("payments", Some(OTHER)), offset("dlq.orders", Some(OTHER))];
        assert_eq!(user(&offsets, "dlq.orders", claimant(&[])), Some(OTHER.to_owned()));
        assert_eq!(user(&offsets, "dlq.payments", claimant(&[])), None);
        let adopt = [OTHER.to_owned()];
        assert_eq!(user(&offsets, "dlq.orders", claimant(&adopt)), None);
        assert_eq!(
            user(&[offset("dlq.orders", Some(US))], "dlq.orders", claimant(&[])),
            None
        );
    }

    #[test]
    fn brokers_that_do_not_answer_leave_the_group_unknown() {
        let owner: Owner = US.parse().expect("an owner");
        let claimant = Claimant {
            owner: &owner,
            adopt: &[],
        };
        let brokers = kafka_client::Brokers::without_tokens(&kafka());
        let snapshot = brokers.read().expect("nothing is mounted");
        let client = client(&snapshot, GROUP).expect("a client");
        let found = check(&client, &kafka(), GROUP, claimant, Duration::from_secs(1));
        let Finding::Unknown(message) = found else {
            panic!("{found:?}");
        };
        assert!(message.contains("127.0.0.1:1"), "{message}");
        assert_eq!(
            other_user_of_dead_letters(&client, &kafka(), GROUP, claimant, Duration::from_secs(1)),
            None
        );
    }
}
