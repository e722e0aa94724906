//! Whole looks: what is written, what is said, and what is not. No network.

use medallion_crds::Reason;
use rstest::rstest;
use serde_json::{Value, json};

use super::world::World;
use crate::backoff::MOVED;
use crate::key::PipelineKey;
use crate::reconcile::pass;
use crate::watch::all::file_run;
use crate::watch::guard::Guarded;

fn by_hand(pipeline: &str, name: &str) -> Value {
    json!({
        "apiVersion": "medallion.dev/v1alpha1", "kind": "StageRun", "metadata": {"name": name},
        "spec": {
            "pipelineRef": {"name": pipeline}, "stage": "silver", "type": "Process",
            "process": {"inputs": [{"name": "bronze", "version": 3}]},
        },
    })
}

#[tokio::test]
async fn a_new_pipeline_is_provisioned_reported_and_then_left_alone() {
    let world = World::new();
    let again = world.look().await;
    assert!(again.is_some(), "it is looked at again without any other reason");
    assert_eq!(world.server.all("jobs").len(), 1);
    assert_eq!(world.condition("Ready").0, "False");
    assert!(!world.events().is_empty());
    world.watch();
    world.settle().await;
    world.look().await;
    assert!(world.server.writes().is_empty(), "no write when nothing has changed");
}

#[tokio::test]
async fn names_that_are_others_stand_in_the_status_all_in_one_message_with_the_fix() {
    // What would be made: from another life of the same pipeline.
    let rehearsal = World::new();
    rehearsal.look().await;
    let names = |plural: &str| -> Vec<String> {
        let all = rehearsal.server.all(plural);
        let ours = all
            .iter()
            .filter(|object| !object["metadata"]["ownerReferences"].is_null());
        ours.map(|object| object["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let (accounts, jobs) = (names("serviceaccounts"), names("jobs"));
    assert!(
        !accounts.is_empty() && !jobs.is_empty(),
        "{accounts:?} {jobs:?} {:?}",
        rehearsal.server.requests()
    );

    let world = World::new();
    for name in &accounts {
        world.server.put("serviceaccounts", json!({"metadata": {"name": name}}));
    }
    for name in &jobs {
        let theirs = json!({"metadata": {"name": name}, "spec": {"theirs": "yes"}});
        world.server.put("jobs", theirs);
    }
    world.look().await;
    let (status, reason, message) = world.condition("Ready");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "Taken"), "{message}");
    for name in accounts.iter().chain(&jobs) {
        assert!(message.contains(name), "{name}: {message}");
    }
    assert!(message.contains("kubectl -n shop delete"), "{message}");
    for name in &jobs {
        assert_eq!(world.server.get("jobs", name).unwrap()["spec"]["theirs"], "yes");
    }
    assert_eq!(world.server.all("jobs").len(), jobs.len());
}

#[tokio::test]
async fn the_first_look_names_all_that_is_others_also_what_is_made_only_after_provisioning() {
    let world = World::new();
    let theirs = [
        ("serviceaccounts", "ServiceAccount", "orders-provisioner"),
        ("serviceaccounts", "ServiceAccount", "orders-loader"),
        ("deployments", "Deployment", "orders-exporter"),
        ("services", "Service", "orders-gateway"),
        ("poddisruptionbudgets", "PodDisruptionBudget", "orders-gateway"),
    ];
    for (plural, _, name) in theirs {
        world.server.put(plural, json!({"metadata": {"name": name}}));
    }
    world.look().await;
    let (_, reason, message) = world.condition("Ready");
    assert_eq!(reason, "Taken", "{message}");
    for (_, kind, name) in theirs {
        assert!(message.contains(&format!("{kind} {name}")), "{kind} {name}: {message}");
    }
    assert!(
        world.server.all("jobs").is_empty(),
        "it would run as somebody's account"
    );
    world.server.requests();
    world.look().await;
    let requests = world.server.requests();
    let looked = requests.iter().find(|line| line.starts_with("GET services"));
    assert_eq!(looked, None, "not at each look");
}

#[tokio::test]
async fn an_attempt_does_not_run_as_an_account_that_is_somebodys() {
    let world = World::new();
    let account = json!({"metadata": {"name": "orders-dbt-runner"}});
    world.server.put("serviceaccounts", account);
    world.server.put("stageruns", by_hand("orders", "by-hand"));
    world.watch();
    world.settle().await;
    let run = world.server.get("stageruns", "by-hand").unwrap();
    assert_eq!(run["status"]["attempt"], 1, "it is wanted");
    assert!(world.server.get("jobs", "by-hand-1").is_none());
    let (_, reason, message) = world.condition("Ready");
    assert_eq!(reason, "Taken", "{message}");
    assert!(message.contains("ServiceAccount orders-dbt-runner"), "{message}");
    assert_eq!(
        world.server.all("jobs").len(),
        1,
        "the provisioner has an account of its own"
    );
}

#[rstest]
#[case::moved(409)]
#[case::gone(404)]
#[tokio::test]
async fn nothing_is_published_that_was_not_written(#[case] code: u16) {
    let world = World::new();
    world.server.refuse("PUT pipelines/orders/status", code);
    world.look().await;
    assert!(world.events().is_empty(), "{:?}", world.events());
    world.server.requests();
    world.look().await;
    assert!(!world.server.requests().is_empty(), "that is no failure to wait after");
    world.server.refuse("PUT pipelines/orders/status", 0);
    world.watch();
    world.look().await;
    assert!(!world.events().is_empty());
}

#[rstest]
#[case::moved(409)]
#[case::gone(404)]
#[tokio::test]
async fn an_attempt_whose_number_was_not_stored_gets_no_job(#[case] code: u16) {
    let world = World::new();
    world.server.put("stageruns", by_hand("orders", "by-hand"));
    world.watch();
    world.server.refuse("PUT stageruns/by-hand/status", code);
    for _ in 0..3 {
        let again = world.look().await;
        assert!(again.is_some_and(|again| again <= MOVED), "{again:?}");
        world.watch();
    }
    assert!(world.server.get("jobs", "by-hand-1").is_none());
    world.server.refuse("PUT stageruns/by-hand/status", 0);
    world.settle().await;
    assert!(world.server.get("jobs", "by-hand-1").is_some());
}

#[tokio::test]
async fn a_picture_that_stays_old_is_looked_at_less_and_less_often_and_a_new_one_at_once() {
    let world = World::new();
    let write = "PUT pipelines/orders/status";
    world.server.refuse(write, 409);
    let mut waits = Vec::new();
    for _ in 0..12 {
        waits.push(world.look().await.expect("it is looked at again"));
    }
    assert!(waits[0] <= MOVED && waits[11] > MOVED * 3, "{waits:?}");

    world.server.refuse(write, 0);
    world.watch();
    world.look().await;
    world.server.edit("pipelines", "orders", |object| {
        object["status"]["conditions"] = json!([]);
    });
    world.watch();
    world.server.refuse(write, 409);
    let wait = world.look().await;
    assert!(wait.is_some_and(|wait| wait <= MOVED), "the next one is soon: {wait:?}");
}

#[tokio::test]
async fn a_look_that_failed_waits_whatever_moves_but_not_for_a_changed_wish() {
    let world = World::new();
    world.server.refuse("PUT pipelines/orders/status", 500);
    world.look().await;
    world.server.requests();
    for _ in 0..5 {
        assert!(world.look().await.is_some());
    }
    assert!(world.server.requests().is_empty(), "not pulled forward");
    world.server.edit("pipelines", "orders", |object| {
        object["metadata"]["annotations"] = json!({"medallion.dev/requested-at": "now"});
    });
    world.watch();
    world.look().await;
    assert!(!world.server.requests().is_empty(), "a person waits");
}

#[tokio::test]
async fn one_kind_whose_webhook_fails_is_reported_and_runs_and_status_go_on() {
    let world = World::new();
    world.server.put("stageruns", by_hand("orders", "by-hand"));
    world.watch();
    world.server.refuse("POST serviceaccounts", 500);
    world.look().await;
    let (status, reason, message) = world.condition("Ready");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("False", "ApplyFailed"),
        "{message}"
    );
    assert!(message.contains("500"), "{message}");
    assert_eq!(
        world.server.get("stageruns", "by-hand").unwrap()["status"]["attempt"],
        1
    );
}

#[tokio::test]
async fn nothing_is_made_for_a_pipeline_that_is_gone_although_the_watch_still_shows_it() {
    let world = World::new();
    world.server.remove("pipelines", "orders");
    world.look().await;
    assert!(world.server.writes().is_empty());
}

#[tokio::test]
async fn a_run_of_a_pipeline_that_does_not_exist_says_so_once() {
    let world = World::new();
    world.server.put("stageruns", by_hand("nowhere", "by-hand"));
    let mut owned = by_hand("nowhere", "of-a-pipeline-that-was");
    owned["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "medallion.dev/v1alpha1", "kind": "Pipeline", "name": "nowhere", "uid": "u"}]);
    world.server.put("stageruns", owned);
    world.watch();
    let world = World {
        key: PipelineKey::new("shop", "nowhere"),
        ..world
    };
    world.look().await;
    let conditions = &world.server.get("stageruns", "by-hand").unwrap()["status"]["conditions"];
    assert_eq!(conditions[0]["type"], "Succeeded");
    assert_eq!(conditions[0]["status"], "Unknown");
    assert_eq!(conditions[0]["reason"], Reason::PipelineMissing.as_str());
    assert!(
        conditions[0]["message"]
            .as_str()
            .unwrap()
            .contains("no Pipeline nowhere in namespace shop")
    );
    assert!(world.server.get("stageruns", "of-a-pipeline-that-was").unwrap()["status"].is_null());
    world.watch();
    world.server.requests();
    world.look().await;
    assert!(world.server.requests().is_empty());
}

#[tokio::test]
async fn a_run_whose_pipeline_is_deleted_while_it_works_ends_with_its_job() {
    let world = World::new();
    world.server.put("stageruns", by_hand("orders", "by-hand"));
    world.watch();
    world.settle().await;
    assert!(world.server.get("jobs", "by-hand-1").is_some());

    let gone = world.pipeline();
    world.context.index.remove_pipeline(&Guarded(Ok(gone)));
    world.server.requests();
    world.look().await;
    assert!(
        world.server.writes().is_empty(),
        "the server still has it: the watch was wrong"
    );

    world.server.remove("pipelines", "orders");
    world.look().await;
    assert!(world.server.get("jobs", "by-hand-1").is_none());
    let condition = world.server.get("stageruns", "by-hand").unwrap()["status"]["conditions"][0].clone();
    assert_eq!(condition["status"], "False", "{condition}");
    assert_eq!(condition["reason"], Reason::PipelineMissing.as_str());
    assert!(
        condition["message"].as_str().unwrap().contains("deleted while"),
        "{condition}"
    );
}

#[tokio::test]
async fn a_run_that_cannot_be_read_leads_to_an_event() {
    let world = World::new();
    let run = world.server.put("stageruns", by_hand("orders", "by-hand"));
    let mut broken = run.clone();
    broken["spec"]["process"]["inputs"] = json!("everything");
    let index = &world.context.index;
    let news = file_run(index, serde_json::from_value(broken).unwrap());
    assert_eq!(news.len(), 1, "{news:?}");
    let elsewhere = news[0].key.clone();
    pass::guarded(&world.context, &elsewhere).await;
    assert_eq!(world.events(), [Reason::NotReadable.as_str()]);
    assert!(!index.room(&elsewhere).unwrap().is_empty());

    file_run(index, serde_json::from_value(run).unwrap());
    assert!(index.room(&elsewhere).is_none(), "it has been corrected");
    assert_eq!(index.room(&world.key).unwrap().runs.len(), 1);
}

#[tokio::test]
async fn a_consumer_group_that_another_pipeline_holds_is_refused() {
    let world = World::new();
    world.server.edit("pipelines", "orders", |object| {
        object["spec"]["kafka"]["consumerGroup"] = json!("shared");
    });
    let mut older = world.server.get("pipelines", "orders").unwrap();
    older["metadata"]["name"] = json!("older");
    older["metadata"]["uid"] = json!("older");
    older["metadata"]["creationTimestamp"] = json!("2025-01-01T00:00:00Z");
    world.server.put("pipelines", older);
    world.watch();
    world.look().await;
    let (status, reason, message) = world.condition("Ready");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "GroupInUse"));
    assert!(message.contains("Pipeline shop/older"), "{message}");
}

#[tokio::test]
async fn who_does_not_lead_does_nothing() {
    let world = World::new();
    let passive = crate::lease::leadership::Position::Passive("held by another".to_owned());
    world.context.leadership.set(&None, passive);
    assert_eq!(world.look().await, None);
    assert!(world.server.requests().is_empty());
}

#[tokio::test]
async fn a_namespace_that_cannot_be_listed_does_not_hold_up_another() {
    let world = World::new();
    world.context.health.watch("Job", Some("gone"));
    world.look().await;
    assert!(!world.server.writes().is_empty(), "this one is listed");
}

#[tokio::test]
async fn nothing_is_decided_on_half_a_picture() {
    for part in [None, Some("shop")] {
        let world = World::new();
        let jobs = world.context.health.watch("Job", part);
        assert_eq!(world.look().await, None);
        assert!(world.server.requests().is_empty(), "{part:?}");
        assert!(world.context.health.has_filled(jobs), "then it is asked for");
        world.look().await;
        assert!(!world.server.writes().is_empty(), "{part:?}");
    }
}
