//! Which pipeline is looked at when: each by one look at a time, many side by side. No network.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use crate::key::PipelineKey;
use crate::reconcile::report;
use crate::requests::{Request, Urgency};

/// Changes that come together are looked at together.
pub(crate) const DEBOUNCE: Duration = Duration::from_millis(50);
/// What may wait is waited for longer: it seldom comes alone.
const GATHER: Duration = Duration::from_millis(500);
/// What may wait leads to a look at most so often: as often as figures are written.
const CALM: Duration = report::PROGRESS;

/// Pipelines that wait for a look.
#[derive(Default)]
pub(crate) struct Queue {
    by_time: BTreeSet<(Instant, PipelineKey)>,
    waiting: HashMap<PipelineKey, Instant>,
    /// Looks under way, and when the next one was asked for meanwhile.
    looking: HashMap<PipelineKey, Option<Instant>>,
    /// When the last look of a pipeline began.
    last: HashMap<PipelineKey, Instant>,
}

impl Queue {
    /// Takes a request.
    pub fn ask(&mut self, request: Request, now: Instant) {
        let at = match request.urgency {
            Urgency::Now => now + DEBOUNCE,
            Urgency::Soon => {
                let soon = now + GATHER;
                self.last.get(&request.key).map_or(soon, |last| soon.max(*last + CALM))
            }
        };
        self.schedule(request.key, at);
    }

    /// The pipeline to look at now, whose look begins with this.
    pub fn begin(&mut self, now: Instant) -> Option<PipelineKey> {
        let (at, _) = self.by_time.first()?;
        if *at > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.waiting.remove(&key);
        self.looking.insert(key.clone(), None);
        self.last.insert(key.clone(), now);
        Some(key)
    }

    /// A look has ended. `None`: nothing more is to be done until something happens.
    pub fn end(&mut self, key: PipelineKey, again: Option<Instant>) {
        let asked = self.looking.remove(&key).flatten();
        match (asked, again) {
            (None, None) => {
                self.last.remove(&key);
            }
            (Some(one), Some(other)) => self.schedule(key, one.min(other)),
            (Some(at), None) | (None, Some(at)) => self.schedule(key, at),
        }
    }

    /// When the next look is due.
    pub fn next_time(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    fn schedule(&mut self, key: PipelineKey, at: Instant) {
        if let Some(asked) = self.looking.get_mut(&key) {
            *asked = Some(asked.map_or(at, |other| other.min(at)));
            return;
        }
        if let Some(before) = self.waiting.get(&key).copied() {
            if before <= at {
                return;
            }
            self.by_time.remove(&(before, key.clone()));
        }
        self.waiting.insert(key.clone(), at);
        self.by_time.insert((at, key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> PipelineKey {
        PipelineKey::new("shop", name)
    }

    fn request(name: &str, urgency: Urgency) -> Request {
        Request {
            key: key(name),
            urgency,
        }
    }

    #[test]
    fn requests_that_come_together_make_one_look() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.ask(request("a", Urgency::Now), now);
        queue.ask(request("a", Urgency::Now), now + Duration::from_millis(20));
        assert_eq!(queue.begin(now), None, "a moment is waited for more");
        assert_eq!(queue.begin(now + DEBOUNCE), Some(key("a")));
        assert_eq!(queue.begin(now + DEBOUNCE * 2), None);
    }

    #[test]
    fn a_pipeline_is_looked_at_by_one_at_a_time_and_again_if_something_happened() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.ask(request("a", Urgency::Now), now);
        queue.ask(request("b", Urgency::Now), now);
        let later = now + DEBOUNCE;
        assert_eq!(queue.begin(later), Some(key("a")));
        queue.ask(request("a", Urgency::Now), later);
        assert_eq!(queue.begin(later + DEBOUNCE), Some(key("b")), "others go on");
        assert_eq!(queue.begin(later + DEBOUNCE), None);
        queue.end(key("a"), Some(later + Duration::from_mins(1)));
        assert_eq!(queue.begin(later + DEBOUNCE), Some(key("a")), "what happened meanwhile");
        queue.end(key("a"), None);
        assert_eq!(queue.next_time(), None);
    }

    #[test]
    fn what_may_wait_is_waited_for_and_comes_along_with_what_may_not() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.ask(request("a", Urgency::Soon), now);
        queue.ask(request("b", Urgency::Soon), now);
        queue.ask(request("b", Urgency::Now), now);
        assert_eq!(queue.begin(now + DEBOUNCE), Some(key("b")));
        assert_eq!(queue.begin(now + DEBOUNCE), None);
        assert_eq!(queue.begin(now + GATHER), Some(key("a")));
        queue.end(key("a"), Some(now + Duration::from_mins(1)));
        queue.end(key("b"), None);
        queue.ask(request("a", Urgency::Soon), now + GATHER * 2);
        assert_eq!(queue.begin(now + GATHER * 3), None, "it was looked at a moment ago");
        assert_eq!(queue.begin(now + GATHER + CALM), Some(key("a")));
    }

    #[test]
    fn figures_that_move_all_the_time_make_few_looks() {
        let (mut queue, begin) = (Queue::default(), Instant::now());
        let mut looks = 0;
        for tick in 0..100 {
            let now = begin + Duration::from_millis(100) * tick;
            queue.ask(request("a", Urgency::Soon), now);
            if let Some(key) = queue.begin(now) {
                looks += 1;
                queue.end(key, Some(now + Duration::from_mins(1)));
            }
        }
        assert!((2..=3).contains(&looks), "{looks} looks in ten seconds");
        let now = begin + Duration::from_secs(10);
        queue.ask(request("a", Urgency::Now), now);
        assert_eq!(
            queue.begin(now + DEBOUNCE),
            Some(key("a")),
            "what happens is not held up"
        );
    }
}
