//! Whom to ask when, and what was answered last. No network.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use medallion_crds::progress::{Progress, Work};
use medallion_plan::Pod;

use crate::key::PipelineKey;
use crate::poll::ask::Target;

/// How often a worker is asked for whose answer the next run waits.
const PERIOD: Duration = Duration::from_secs(2);
/// The others have figures to tell. Where there are very many they are asked less often, so many a second together, ...
const OTHERS_PER_SECOND: u32 = 400;
/// ... but not less often than this.
const LONGEST_PERIOD: Duration = Duration::from_secs(8);
/// An answer holds so many periods, and a while for a late one; then nothing is known of the worker.
const HELD_PERIODS: u32 = 2;
const LATE: Duration = Duration::from_secs(6);
/// How many are asked at once; those that did not answer last are asked apart, so that nobody waits for their deadlines.
const AT_ONCE: usize = 256;
const SILENT_AT_ONCE: usize = 64;
/// How many connections are kept open between two questions: to those first that are asked most often.
const KEPT_CONNECTIONS: usize = 500;
const KEPT_CONNECTIONS_OF_DECIDING: usize = 1500;

/// Whom to ask when, and what was answered last, by UID of the pod.
#[derive(Default)]
pub(crate) struct Board(Mutex<HashMap<String, Slot>>);

#[allow(clippy::struct_excessive_bools, reason = "four facts that do not exclude each other")]
struct Slot {
    target: Arc<Target>,
    due: Instant,
    asking: bool,
    was_asked: bool,
    /// Did not answer when it was asked last.
    silent: bool,
    keeps_connection: bool,
    said: Option<Said>,
}

struct Said {
    at: Instant,
    /// Since when its time stands still, and how old its words were then.
    moved: Instant,
    age: Duration,
    progress: Progress,
}

/// A worker to ask now.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub target: Arc<Target>,
    pub keeps_connection: bool,
}

/// What is new in an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum News {
    Nothing,
    /// Figures that move with the data.
    Figures,
    /// Something that somebody waits for.
    Something,
}

impl Board {
    /// Takes note of who is to be asked from now on, of all pipelines or of some; tells whose answers no longer hold.
    pub fn set_targets(
        &self,
        of: Option<&HashSet<PipelineKey>>,
        targets: Vec<Target>,
        now: Instant,
    ) -> HashSet<PipelineKey> {
        let mut slots = self.lock();
        let is_set = |slot: &Slot| of.is_none_or(|of| of.contains(&slot.target.pipeline));
        let mut before: HashMap<String, Slot> = slots.extract_if(|_, slot| is_set(slot)).collect();
        let kept = |slots: &HashMap<String, Slot>| slots.values().filter(|slot| slot.keeps_connection).count();
        let mut kept = kept(&slots) + kept(&before);
        for target in targets {
            let slot = match before.remove(&target.uid) {
                Some(slot) if *slot.target == target => slot,
                Some(slot) => Slot {
                    target: Arc::new(target),
                    ..slot
                },
                None => {
                    let limit = if target.starts_runs {
                        KEPT_CONNECTIONS_OF_DECIDING
                    } else {
                        KEPT_CONNECTIONS
                    };
                    let keeps_connection = kept < limit;
                    kept += usize::from(keeps_connection);
                    Slot {
                        target: Arc::new(target),
                        due: now,
                        asking: false,
                        was_asked: false,
                        silent: false,
                        keeps_connection,
                        said: None,
                    }
                }
            };
            slots.insert(slot.target.uid.clone(), slot);
        }
        // That a pod is gone, or its worker no longer runs, the watch of pods has shown already.
        let calm = calm_period(&slots);
        let mut silenced = HashSet::new();
        for slot in slots.values_mut() {
            let holds = period(&slot.target, calm) * HELD_PERIODS + LATE;
            let has_expired = |said: &mut Said| now.duration_since(said.at) >= holds;
            if slot.said.take_if(has_expired).is_some() {
                silenced.insert(slot.target.pipeline.clone());
            }
        }
        silenced
    }

    /// Whom to ask now.
    pub fn due(&self, now: Instant) -> Vec<Question> {
        let mut slots = self.lock();
        let asking = |silent: bool| {
            slots
                .values()
                .filter(|slot| slot.asking && slot.silent == silent)
                .count()
        };
        let (mut room, mut silent_room) = (
            AT_ONCE.saturating_sub(asking(false)),
            SILENT_AT_ONCE.saturating_sub(asking(true)),
        );
        let calm = calm_period(&slots);
        let mut questions = Vec::new();
        for slot in slots.values_mut() {
            let room = if slot.silent { &mut silent_room } else { &mut room };
            if slot.asking || slot.due > now || *room == 0 {
                continue;
            }
            *room -= 1;
            slot.asking = true;
            slot.due = now + period(&slot.target, calm) + spread(slot, calm);
            questions.push(Question {
                target: slot.target.clone(),
                keeps_connection: slot.keeps_connection,
            });
        }
        questions
    }

    /// Takes what a pod answered.
    pub fn answered(&self, uid: &str, progress: Progress, now: Instant, wall: Timestamp) -> News {
        let mut slots = self.lock();
        let Some(slot) = slots.get_mut(uid) else {
            return News::Nothing;
        };
        slot.asking = false;
        slot.was_asked = true;
        slot.silent = false;
        let news = match &slot.said {
            Some(old) => compare(&old.progress.work, &progress.work),
            // How far a Job is, is a figure from the first answer on.
            None if progress.work.run.is_some() => compare(&Work::default(), &progress.work),
            None => News::Something,
        };
        let (moved, age) = match &slot.said {
            Some(old) if old.progress.time == progress.time => (old.moved, old.age),
            Some(_) => (now, Duration::ZERO),
            // Nobody has watched its time move yet: the clocks have to do.
            None => (
                now,
                Duration::try_from(wall.duration_since(progress.time)).unwrap_or_default(),
            ),
        };
        slot.said = Some(Said {
            at: now,
            moved,
            age,
            progress,
        });
        news
    }

    /// Takes that a pod did not answer.
    pub fn missed(&self, uid: &str) {
        if let Some(slot) = self.lock().get_mut(uid) {
            slot.asking = false;
            slot.was_asked = true;
            slot.silent = true;
        }
    }

    /// Whether a pod has been asked at least once.
    pub fn was_asked(&self, uid: &str) -> bool {
        self.lock().get(uid).is_some_and(|slot| slot.was_asked)
    }

    /// What these pods said, and how many seconds ago that was true.
    pub fn of<'a>(&self, pods: impl Iterator<Item = &'a Pod>, now: Instant) -> BTreeMap<String, (Progress, i64)> {
        let slots = self.lock();
        let uids = pods.filter_map(|pod| pod.metadata.uid.as_ref());
        uids.filter_map(|uid| {
            let said = slots.get(uid)?.said.as_ref()?;
            let age = said.age + now.duration_since(said.moved);
            let seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
            Some((uid.clone(), (said.progress.clone(), seconds)))
        })
        .collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn compare(old: &Work, new: &Work) -> News {
    let trouble = |work: &Work| {
        let trouble = work.trouble.as_ref();
        trouble.map(|trouble| (trouble.class, trouble.reason.clone()))
    };
    if old == new {
        News::Nothing
    } else if trouble(old) != trouble(new) || old.position != new.position {
        News::Something
    } else {
        News::Figures
    }
}

/// How often those are asked for whose answer no run waits.
fn calm_period(slots: &HashMap<String, Slot>) -> Duration {
    let others = slots.values().filter(|slot| !slot.target.starts_runs).count();
    let others = u32::try_from(others).unwrap_or(u32::MAX);
    (Duration::from_secs(1) * others / OTHERS_PER_SECOND).clamp(PERIOD, LONGEST_PERIOD)
}

const fn period(target: &Target, calm: Duration) -> Duration {
    if target.starts_runs { PERIOD } else { calm }
}

/// After the first question, which comes at once, each has a turn of its own, so that not all are asked in one moment.
fn spread(slot: &Slot, calm: Duration) -> Duration {
    if slot.was_asked {
        return Duration::ZERO;
    }
    let mut hasher = DefaultHasher::new();
    slot.target.uid.hash(&mut hasher);
    let period = period(&slot.target, calm);
    Duration::from_millis(hasher.finish() % u64::try_from(period.as_millis()).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use medallion_crds::progress::Identity;
    use medallion_crds::stage_run::RunProgress;
    use serde_json::json;

    use super::*;

    fn target(uid: &str) -> Target {
        Target {
            pipeline: PipelineKey::new("shop", "orders"),
            uid: uid.to_owned(),
            pipeline_uid: "pipeline".to_owned(),
            stage: Some("persist".to_owned()),
            settings_hash: None,
            starts_runs: false,
            address: "10.0.0.1:9090".parse().unwrap(),
        }
    }

    fn progress(second: i64, lag: i64) -> Progress {
        Progress {
            identity: Identity::default(),
            time: Timestamp::from_second(second).unwrap(),
            work: Work {
                lag: Some(lag),
                ..Work::default()
            },
        }
    }

    fn wall(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn pod(uid: &str) -> Pod {
        serde_json::from_value(json!({"metadata": {"uid": uid}})).unwrap()
    }

    fn asked(board: &Board, now: Instant) -> Vec<String> {
        board
            .due(now)
            .into_iter()
            .map(|question| question.target.uid.clone())
            .collect()
    }

    #[test]
    fn each_is_asked_again_after_a_while_and_never_twice_at_once() {
        let (board, begin) = (Board::default(), Instant::now());
        board.set_targets(None, vec![target("a")], begin);
        assert_eq!(asked(&board, begin), ["a"]);
        assert!(asked(&board, begin + PERIOD * 3).is_empty(), "it has not answered yet");
        board.answered("a", progress(1, 1), begin, wall(1));
        assert!(asked(&board, begin + Duration::from_secs(1)).is_empty(), "too soon");
        assert_eq!(asked(&board, begin + PERIOD * 2), ["a"]);
    }

    #[test]
    fn the_silent_do_not_hold_up_the_others() {
        let (board, begin) = (Board::default(), Instant::now());
        let silent = (0..300).map(|number| target(&format!("silent-{number}")));
        board.set_targets(None, silent.collect(), begin);
        for uid in asked(&board, begin) {
            board.missed(&uid);
        }
        for uid in asked(&board, begin) {
            board.missed(&uid);
        }
        let targets = (0..300)
            .map(|number| target(&format!("silent-{number}")))
            .chain([target("good")]);
        board.set_targets(None, targets.collect(), begin);
        let second = asked(&board, begin + Duration::from_secs(8));
        assert_eq!(second.len(), SILENT_AT_ONCE + 1);
        assert!(second.contains(&"good".to_owned()));
    }

    #[test]
    fn connections_are_kept_up_to_a_bound() {
        let (board, begin) = (Board::default(), Instant::now());
        let targets = (0..5000).map(|number| target(&format!("pod-{number}")));
        board.set_targets(None, targets.collect(), begin);
        let mut kept = 0;
        loop {
            let questions = board.due(begin);
            if questions.is_empty() {
                break;
            }
            for question in questions {
                kept += usize::from(question.keeps_connection);
                board.answered(&question.target.uid, progress(1, 1), begin, wall(1));
            }
        }
        assert_eq!(kept, KEPT_CONNECTIONS);
        let deciding = Target {
            starts_runs: true,
            ..target("deciding")
        };
        let others = (0..5000).map(|number| target(&format!("pod-{number}")));
        board.set_targets(None, others.chain([deciding]).collect(), begin);
        let questions = board.due(begin);
        assert!(questions[0].keeps_connection, "{questions:?}");
        board.answered("deciding", progress(1, 1), begin, wall(1));
        let due: Vec<_> = (0..60)
            .map(|tick| {
                let now = begin + LONGEST_PERIOD + Duration::from_millis(100) * tick;
                let uids = asked(&board, now);
                for uid in &uids {
                    board.answered(uid, progress(1, 1), now, wall(1));
                }
                uids.len()
            })
            .collect();
        assert!(due.iter().all(|count| *count < 250), "the turns are spread: {due:?}");
    }

    #[test]
    fn only_what_is_new_is_news() {
        let (board, now) = (Board::default(), Instant::now());
        board.set_targets(None, vec![target("a")], now);
        assert_eq!(board.answered("a", progress(1, 1), now, wall(1)), News::Something);
        assert_eq!(board.answered("a", progress(2, 1), now, wall(2)), News::Nothing);
        assert_eq!(board.answered("a", progress(3, 2), now, wall(3)), News::Figures);
        let mut committed = progress(4, 2);
        committed.work.position = Some(7);
        assert_eq!(board.answered("a", committed, now, wall(4)), News::Something);
        assert_eq!(
            board.answered("b", progress(1, 1), now, wall(1)),
            News::Nothing,
            "nobody asked it"
        );
    }

    #[test]
    fn words_that_stand_still_grow_old_whatever_the_clocks_say() {
        let (board, begin) = (Board::default(), Instant::now());
        let age = |now: Instant| board.of([pod("a")].iter(), now)["a"].1;
        board.set_targets(None, vec![target("a")], begin);
        board.answered("a", progress(100, 1), begin, wall(140));
        assert_eq!(age(begin), 40, "at the first answer the clocks decide");
        board.answered("a", progress(101, 1), begin, wall(500));
        assert_eq!(age(begin), 0, "its time has moved before our eyes");
        let later = begin + Duration::from_secs(90);
        board.answered("a", progress(101, 1), later, wall(50));
        assert_eq!(age(later), 90, "the worker answers, but its work loop no longer turns");
    }

    #[test]
    fn what_was_said_holds_for_a_while_and_goes_with_the_pod() {
        let (board, begin) = (Board::default(), Instant::now());
        board.set_targets(None, vec![target("a")], begin);
        board.answered("a", progress(1, 1), begin, wall(1));
        assert!(
            board
                .set_targets(None, vec![target("a")], begin + Duration::from_secs(5))
                .is_empty()
        );
        let later = begin + PERIOD * HELD_PERIODS + LATE;
        let silenced = board.set_targets(None, vec![target("a")], later);
        assert_eq!(silenced.len(), 1, "its pipeline is looked at");
        board.answered("a", progress(1, 1), later, wall(1));
        assert!(
            board.set_targets(None, Vec::new(), later).is_empty(),
            "the watch of pods tells that"
        );
        assert!(board.of([pod("a")].iter(), later).is_empty());
    }

    #[test]
    fn where_there_are_very_many_only_those_a_run_waits_for_are_asked_as_often() {
        let asked_of = |others: usize| {
            let (board, begin) = (Board::default(), Instant::now());
            let others = (0..others).map(|number| target(&format!("other-{number}")));
            let deciding = Target {
                starts_runs: true,
                ..target("deciding")
            };
            board.set_targets(None, others.chain([deciding]).collect(), begin);
            let (mut deciding, mut other) = (0, 0);
            for tick in 0..320 {
                let now = begin + Duration::from_millis(100) * tick;
                for uid in asked(&board, now) {
                    if uid == "deciding" {
                        deciding += 1;
                    } else if uid == "other-0" {
                        other += 1;
                    }
                    board.answered(&uid, progress(1, 1), now, wall(1));
                }
            }
            (deciding, other)
        };
        let (deciding, other) = asked_of(10);
        assert!(
            (14..=17).contains(&deciding) && (14..=17).contains(&other),
            "{deciding} {other}"
        );
        let (deciding, other) = asked_of(4000);
        assert!(
            (14..=17).contains(&deciding) && (3..=5).contains(&other),
            "{deciding} {other}"
        );
    }

    #[test]
    fn the_pods_of_one_pipeline_are_taken_note_of_without_the_others() {
        let (board, now) = (Board::default(), Instant::now());
        let of = |name: &str, uid: &str| Target {
            pipeline: PipelineKey::new("shop", name),
            ..target(uid)
        };
        board.set_targets(None, vec![of("a", "a-1"), of("b", "b-1")], now);
        let changed = HashSet::from([PipelineKey::new("shop", "a")]);
        board.set_targets(Some(&changed), vec![of("a", "a-2")], now);
        let mut uids = asked(&board, now);
        uids.sort();
        assert_eq!(uids, ["a-2", "b-1"]);
    }

    #[test]
    fn how_far_a_job_is_is_no_news_that_somebody_waits_for() {
        let (board, now) = (Board::default(), Instant::now());
        board.set_targets(None, vec![target("a")], now);
        let mut begun = progress(1, 1);
        begun.work.run = Some(RunProgress {
            done: 1,
            total: 7,
            current: None,
        });
        assert_eq!(board.answered("a", begun, now, wall(1)), News::Figures);
    }
}
