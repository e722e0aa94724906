//! What the server does not take, or does not answer: what becomes of the rest, and when it is tried again. No network.

use std::time::{Duration, Instant};

use medallion_plan::Plan;
use rstest::rstest;

use super::operator::{Operator, children};
use crate::cache::Cache;
use crate::failure::Failure;
use crate::mock::NO_ANSWER;
use crate::reconcile::apply::{Applier, Outcome};

#[tokio::test]
async fn what_is_refused_is_tried_again_after_its_own_time_however_often_the_pipeline_is_looked_at() {
    let mut operator = Operator::new();
    let plan = Plan {
        children: operator.children(),
        create_jobs: vec![operator.job()],
        ..Plan::default()
    };
    operator.world.server.refuse("POST services", 403);
    let mut tries = 0;
    for _ in 0..20 {
        let outcome = operator.apply(&plan).await;
        assert_eq!(outcome.failures.len(), 1, "it is said all the time");
        let requests = operator.world.server.requests();
        tries += requests.iter().filter(|line| line.starts_with("POST services")).count();
    }
    assert_eq!(tries, 1, "no hurry");
    assert!(
        operator.world.server.get("jobs", "orders-job").is_some(),
        "others are made"
    );
    operator.world.server.refuse("POST services", 0);
    operator.passed += Duration::from_millis(550);
    assert!(operator.apply(&plan).await.failures.is_empty());
}

#[rstest]
#[case::too_busy("POST", 503, 1)]
#[case::silent("", NO_ANSWER, 2)]
#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_work_is_not_asked_for_the_rest(
    #[case] refused: &str,
    #[case] code: u16,
    #[case] asked: usize,
) {
    let operator = Operator::new();
    operator.world.server.refuse(refused, code);
    let pipeline = operator.world.validated();
    let mut cache = Cache::default();
    let room = operator.room();
    let mut applier = Applier {
        context: &operator.world.context,
        room: &room,
        pipeline: &pipeline,
        cache: &mut cache,
        clock: &Instant::now,
        outcome: Outcome::default(),
    };
    assert!(applier.apply(&children(operator.children())).await.is_err());
    assert_eq!(operator.world.server.requests().len(), asked);
}

#[tokio::test]
async fn one_kind_whose_webhook_fails_does_not_keep_the_rest_from_being_made() {
    let mut operator = Operator::new();
    operator.world.server.refuse("POST services", 500);
    let plan = Plan {
        children: operator.children(),
        create_jobs: vec![operator.job()],
        ..Plan::default()
    };
    let outcome = operator.apply(&plan).await;
    assert!(
        matches!(outcome.failures[..], [Failure::Refused(_)]),
        "{:?}",
        outcome.failures
    );
    assert!(outcome.again.is_some(), "it is tried again");
    for (plural, name) in [("deployments", "orders-deployment"), ("jobs", "orders-job")] {
        assert!(operator.world.server.get(plural, name).is_some(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_kind_whose_webhook_never_answers_does_not_keep_the_rest_from_being_made_either() {
    let mut operator = Operator::new();
    operator.world.server.refuse("POST services", NO_ANSWER);
    let plan = Plan {
        children: operator.children(),
        create_jobs: vec![operator.job()],
        ..Plan::default()
    };
    let outcome = operator.apply(&plan).await;
    let [Failure::Refused(words)] = &outcome.failures[..] else {
        panic!("{:?}", outcome.failures)
    };
    assert!(words.contains("no answer") && words.contains("webhooks"), "{words}");
    assert!(outcome.again.is_some(), "it is tried again");
    for (plural, name) in [("deployments", "orders-deployment"), ("jobs", "orders-job")] {
        assert!(operator.world.server.get(plural, name).is_some(), "{name}");
    }
}
