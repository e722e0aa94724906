//! Whom to ask when, and what was answered last. No network.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use medallion_crds::Stage;
use medallion_crds::progress::Progress;

use crate::key::PipelineKey;
use crate::poll::ask::Target;

/// How often a worker is asked on whose word the next run waits.
const PERIOD: Duration = Duration::from_secs(2);
/// How often the others are asked where there are very many.
const CALM_PERIOD: Duration = Duration::from_secs(4);
/// From so many pods on.
const MANY: usize = 500;
/// What a worker said holds this long; then nothing is known of it.
const HOLDS: Duration = Duration::from_secs(10);
/// How many are asked at once; those that did not answer last are asked apart, so that nobody waits for their deadlines.
const AT_ONCE: usize = 256;
const SILENT_AT_ONCE: usize = 64;
/// How many connections are kept open between two questions.
const KEPT_CONNECTIONS: usize = 500;

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
    heard: Instant,
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
    /// Takes note of who is to be asked from now on; tells whose words no longer hold.
    pub fn set_targets(&self, targets: Vec<Target>, now: Instant) -> HashSet<PipelineKey> {
        let mut slots = self.lock();
        let mut before = std::mem::take(&mut *slots);
        let mut kept = before.values().filter(|slot| slot.keeps_connection).count();
        for target in targets {
            let slot = match before.remove(&target.uid) {
                Some(slot) if *slot.target == target => slot,
                Some(slot) => Slot {
                    target: Arc::new(target),
                    ..slot
                },
                None => {
                    kept += 1;
                    Slot {
                        target: Arc::new(target),
                        due: now,
                        asking: false,
                        was_asked: false,
                        silent: false,
                        keeps_connection: kept <= KEPT_CONNECTIONS,
                        said: None,
                    }
                }
            };
            slots.insert(slot.target.uid.clone(), slot);
        }
        let mut silenced: HashSet<_> = before
            .into_values()
            .filter(|slot| slot.said.is_some())
            .map(|slot| slot.target.pipeline.clone())
            .collect();
        for slot in slots.values_mut() {
            if slot
                .said
                .as_ref()
                .is_some_and(|said| now.duration_since(said.heard) >= HOLDS)
            {
                slot.said = None;
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
        let count = slots.len();
        let mut questions = Vec::new();
        for slot in slots.values_mut() {
            let room = if slot.silent { &mut silent_room } else { &mut room };
            if slot.asking || slot.due > now || *room == 0 {
                continue;
            }
            *room -= 1;
            slot.asking = true;
            slot.due = now + period(&slot.target, count) + spread(slot, count);
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
        let news = slot
            .said
            .as_ref()
            .map_or(News::Something, |old| compare(&old.progress, &progress));
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
            heard: now,
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

fn compare(old: &Progress, new: &Progress) -> News {
    let trouble = |progress: &Progress| {
        let trouble = progress.work.trouble.as_ref();
        trouble.map(|trouble| (trouble.class, trouble.reason.clone()))
    };
    if old.work == new.work {
        News::Nothing
    } else if trouble(old) != trouble(new) || old.work.position != new.work.position {
        News::Something
    } else {
        News::Figures
    }
}

/// Silver waits for what Bronze's exporter says.
fn period(target: &Target, count: usize) -> Duration {
    if count < MANY || target.stage.as_deref() == Some(Stage::Bronze.as_str()) {
        PERIOD
    } else {
        CALM_PERIOD
    }
}

/// After the first question, which comes at once, each has a turn of its own, so that not all are asked in one moment.
fn spread(slot: &Slot, count: usize) -> Duration {
    if slot.was_asked {
        return Duration::ZERO;
    }
    let mut hasher = DefaultHasher::new();
    slot.target.uid.hash(&mut hasher);
    let period = period(&slot.target, count);
    Duration::from_millis(hasher.finish() % u64::try_from(period.as_millis()).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use medallion_crds::progress::{Identity, Work};
    use serde_json::json;

    use super::*;

    fn target(uid: &str) -> Target {
        Target {
            pipeline: PipelineKey::new("shop", "orders"),
            uid: uid.to_owned(),
            pipeline_uid: "pipeline".to_owned(),
            stage: Some("persist".to_owned()),
            settings_hash: None,
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
        board.set_targets(vec![target("a")], begin);
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
        board.set_targets(silent.collect(), begin);
        for uid in asked(&board, begin) {
            board.missed(&uid);
        }
        for uid in asked(&board, begin) {
            board.missed(&uid);
        }
        let targets = (0..300)
            .map(|number| target(&format!("silent-{number}")))
            .chain([target("good")]);
        board.set_targets(targets.collect(), begin);
        let second = asked(&board, begin + Duration::from_secs(8));
        assert_eq!(second.len(), SILENT_AT_ONCE + 1);
        assert!(second.contains(&"good".to_owned()));
    }

    #[test]
    fn connections_are_kept_up_to_a_bound() {
        let (board, begin) = (Board::default(), Instant::now());
        let targets = (0..5000).map(|number| target(&format!("pod-{number}")));
        board.set_targets(targets.collect(), begin);
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
        let due: Vec<_> = (0..60)
            .map(|tick| {
                let now = begin + Duration::from_secs(2) + Duration::from_millis(100) * tick;
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
        board.set_targets(vec![target("a")], now);
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
        board.set_targets(vec![target("a")], begin);
        board.answered("a", progress(100, 1), begin, wall(140));
        assert_eq!(age(begin), 40, "first heard of, the clocks decide");
        board.answered("a", progress(101, 1), begin, wall(500));
        assert_eq!(age(begin), 0, "its time has moved before our eyes");
        let later = begin + Duration::from_secs(90);
        board.answered("a", progress(101, 1), later, wall(50));
        assert_eq!(age(later), 90, "the worker answers, but its work loop no longer turns");
    }

    #[test]
    fn what_was_said_holds_for_a_while_and_goes_with_the_pod() {
        let (board, begin) = (Board::default(), Instant::now());
        board.set_targets(vec![target("a")], begin);
        board.answered("a", progress(1, 1), begin, wall(1));
        assert!(
            board
                .set_targets(vec![target("a")], begin + Duration::from_secs(5))
                .is_empty()
        );
        let told = board.set_targets(vec![target("a")], begin + HOLDS);
        assert_eq!(told.len(), 1, "its pipeline is looked at");
        board.answered("a", progress(1, 1), begin + HOLDS, wall(1));
        assert_eq!(board.set_targets(Vec::new(), begin + HOLDS).len(), 1);
        assert!(board.of([pod("a")].iter(), begin + HOLDS).is_empty());
    }
}
