//! Random things happen in a random order, and the promises are checked after each. No network.

use std::collections::BTreeMap;

use kube::ResourceExt;
use medallion_crds::{Stage, StageRunStatus};
use proptest::prelude::*;

use crate::world::{Outcome, Step, World};
use crate::{happens, started};

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Pending),
        Just(Outcome::ImageNotPulled),
        Just(Outcome::Running),
        Just(Outcome::Succeeded),
        Just(Outcome::Succeeded),
        Just(Outcome::AlreadyCommitted),
        Just(Outcome::RecordError),
        Just(Outcome::EnvironmentError),
        Just(Outcome::OutOfMemory),
        Just(Outcome::Killed),
        Just(Outcome::Evicted),
        Just(Outcome::ReportLost),
        Just(Outcome::PodLost),
        Just(Outcome::JobGone),
        Just(Outcome::TimedOut),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let stages = prop_oneof![Just(Stage::Silver), Just(Stage::Gold), Just(Stage::Warehouse)];
    prop_oneof![
        6 => (stages, outcomes()).prop_map(|(stage, outcome)| Step::Attempt { stage, outcome }),
        3 => (0_i64..20).prop_map(Step::Bronze),
        3 => (1_i64..400).prop_map(Step::Pass),
        1 => Just(Step::Provisioned),
        1 => Just(Step::Missing(vec!["Topic/purchase_orders".to_owned()])),
        1 => Just(Step::WorkersReady),
        1 => Just(Step::ContractMissing),
        1 => Just(Step::ContractFound),
        1 => (0_i64..200).prop_map(Step::DeadLetters),
        1 => any::<bool>().prop_map(|suspend| Step::Spec(serde_json::json!({"suspend": suspend}))),
        1 => (1_i32..5).prop_map(|replicas| Step::Spec(serde_json::json!({"stages": {"ingest": {"replicas": replicas}}}))),
        1 => (0_i32..3).prop_map(|limit| Step::Spec(serde_json::json!({"stages": {"silver": {"retry": {"limit": limit}}}}))),
        1 => (0_u8..5).prop_map(|value| Step::RequestedAt(format!("request-{value}"))),
        1 => (0_u8..3).prop_map(|value| Step::DbtImage(format!("dbt-purchases:{value}"))),
    ]
}

/// What people change of a pipeline while runs begin and end.
fn wishes() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<bool>().prop_map(|suspend| Step::Spec(serde_json::json!({"suspend": suspend}))),
        (0_i32..3).prop_map(|limit| Step::Spec(serde_json::json!({"stages": {"silver": {"retry": {"limit": limit}}}}))),
        (0_u8..5).prop_map(|value| Step::RequestedAt(format!("request-{value}"))),
    ]
}

/// The promises that hold whatever happens.
fn check(world: &World, ended: &mut BTreeMap<String, StageRunStatus>) {
    let plan = world.plan();
    assert!(
        plan.wake_at.is_some_and(|time| time > world.now),
        "a settled pipeline has a timer ahead of it"
    );
    let same = serde_json::to_string(&world.plan()).ok() == serde_json::to_string(&plan).ok();
    assert!(same, "the same observation gives the same plan");
    assert!(
        plan.create_runs.is_empty() && plan.create_jobs.is_empty(),
        "a restart repeats nothing"
    );
    assert!(
        plan.runs
            .iter()
            .all(|run| run.status.is_none() && run.create_job.is_none()),
        "a restart repeats nothing"
    );
    for stage in Stage::BATCH {
        let active = world
            .runs(stage)
            .iter()
            .filter(|run| !medallion_plan::is_over(run))
            .count();
        assert!(active <= 1, "never two runs of {stage} at once");
    }
    for run in &world.observed.runs {
        let status = run.status.clone().unwrap_or_default();
        assert!(status.attempt <= 21 + 11, "attempts are bounded");
        let live = world.observed.jobs.iter().filter(|job| {
            job.owner_references()
                .iter()
                .any(|owner| Some(&owner.uid) == run.metadata.uid.as_ref())
                && job.status.as_ref().is_none_or(|status| status.conditions.is_none())
        });
        assert!(live.count() <= 1, "at most one live Job per run");
        if medallion_plan::is_over(run) {
            let first = ended.entry(run.uid().expect("a uid")).or_insert_with(|| status.clone());
            assert_eq!(*first, status, "an end is final");
        } else {
            let condition = status
                .conditions
                .iter()
                .find(|condition| condition.type_ == "Succeeded");
            assert!(
                condition.is_some_and(|condition| condition.status == "Unknown"),
                "a run under way says so"
            );
        }
    }
    for (job, times) in &world.jobs_created {
        assert_eq!(*times, 1, "{job} was created once");
    }
    let status = world.pipeline.status.clone().expect("a status");
    assert!(
        serde_json::to_string(&status).expect("JSON").len() < 32 * 1024,
        "the status stays small"
    );
    let of = |kind: &str| status.conditions.iter().any(|condition| condition.type_ == kind);
    assert!(of("Ready") && of("Healthy") && !(of("Reconciling") && of("Stalled")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_promises_hold_in_every_life(all in prop::collection::vec(steps(), 1..40)) {
        let mut world = started();
        let mut ended = BTreeMap::new();
        for step in all {
            happens(&mut world, step);
            check(&world, &mut ended);
        }
    }

    /// A crash between any two writes: only the first writes of a plan are done, then everything starts anew.
    #[test]
    fn a_crash_after_any_write_is_just_another_start(
        all in prop::collection::vec((steps(), 0_usize..6), 1..25),
    ) {
        let mut world = started();
        let mut ended = BTreeMap::new();
        for (step, writes) in all {
            world.step(step);
            let plan = world.plan();
            world.apply(cut_short(plan, writes));
            world.settle();
            check(&world, &mut ended);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    /// Watches lag: some passes are decided on what stood a few steps ago. (A status is written from what the watch of runs has
    /// shown, so it is never ahead of it.)
    #[test]
    fn an_old_picture_repeats_nothing(all in prop::collection::vec((steps(), 1_usize..4), 1..25)) {
        let mut world = started();
        let mut ended = BTreeMap::new();
        let mut pictures = vec![(world.pipeline.clone(), world.observed.clone())];
        for (step, age) in all {
            happens(&mut world, step);
            let (pipeline, observed) = &pictures[pictures.len().saturating_sub(age)];
            world.apply_late(pipeline, observed);
            pictures.push((world.pipeline.clone(), world.observed.clone()));
            world.settle();
            check(&world, &mut ended);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    /// Runs begin and go on without the pipeline being asked for: what somebody wishes meanwhile is seen only afterwards.
    #[test]
    fn a_wish_that_is_seen_late_breaks_no_promise(all in prop::collection::vec((steps(), wishes()), 1..25)) {
        let mut world = started();
        let mut ended = BTreeMap::new();
        for (step, wish) in all {
            world.step(step);
            let seen = world.pipeline.clone();
            world.step(wish);
            world.apply_unseen(&seen);
            world.settle();
            check(&world, &mut ended);
        }
    }
}

/// The first so many writes of a plan, in the order in which the operator makes them.
fn cut_short(mut plan: medallion_plan::Plan, writes: usize) -> medallion_plan::Plan {
    let mut left = writes;
    let mut take = |length: usize| {
        let taken = length.min(left);
        left -= taken;
        taken
    };
    plan.children.truncate(take(plan.children.len()));
    plan.create_jobs.truncate(take(plan.create_jobs.len()));
    // The status of a run and its Job are two.
    for run in &mut plan.runs {
        run.status = run.status.take().filter(|_| take(1) == 1);
        run.create_job = run.create_job.take().filter(|_| take(1) == 1);
    }
    plan.create_runs.truncate(take(plan.create_runs.len()));
    plan.delete_jobs.truncate(take(plan.delete_jobs.len()));
    plan.delete_runs.truncate(take(plan.delete_runs.len()));
    if take(1) == 0 {
        plan.keep = None;
        plan.remove.clear();
        plan.status = None;
    }
    plan
}
