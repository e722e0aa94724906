//! What the Pipelines' statuses say, by a watch: to list a thousand of them each second would be what the API server is busy with. Talks to the API server.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt};
use medallion_crds::Pipeline;

use super::fleet::Key;
use crate::shop::{condition, in_words};

/// The newest status of each Pipeline, as far as it counts.
#[derive(Default)]
pub struct Statuses(Mutex<HashMap<Key, Said>>);

struct Said {
    ready: bool,
    dead_letters: Option<i64>,
    /// In words, while it is not ready.
    words: String,
}

/// How many Pipelines there are, how many of them are reported, and what one of the others says.
pub struct Reported {
    pub all: usize,
    pub done: usize,
    pub other: Option<String>,
}

impl Statuses {
    /// Which Pipelines are ready, with a status that counts so many dead letters: what the workers say now.
    pub fn reported(&self, dead_letters: i64) -> Reported {
        let said = self.lock();
        let is_reported = |one: &&Said| one.ready && one.dead_letters == Some(dead_letters);
        Reported {
            all: said.len(),
            done: said.values().filter(is_reported).count(),
            other: said.values().find(|one| !is_reported(one)).map(|one| one.words.clone()),
        }
    }

    /// How many Pipelines there are.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn put(&self, pipeline: &Pipeline) {
        let ready = condition(pipeline, "Ready").is_some_and(|ready| ready.status == "True");
        let dead_letters = pipeline.status.as_ref().and_then(|status| status.dead_letters.as_ref());
        let said = Said {
            ready,
            dead_letters: dead_letters.map(|known| known.count),
            words: if ready { String::new() } else { in_words(pipeline) },
        };
        self.lock().insert(key(pipeline), said);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Said>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(pipeline: &Pipeline) -> Key {
    (pipeline.namespace().unwrap_or_default(), pipeline.name_any())
}

/// Watches until the program ends.
pub fn follow(client: Client, statuses: Arc<Statuses>) {
    tokio::spawn(async move {
        let all = Api::<Pipeline>::all(client);
        let mut events = std::pin::pin!(watcher(all, watcher::Config::default()).default_backoff());
        let mut listed = HashSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(pipeline)) => statuses.put(&pipeline),
                Ok(Event::Delete(pipeline)) => drop(statuses.lock().remove(&key(&pipeline))),
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(pipeline)) => {
                    listed.insert(key(&pipeline));
                    statuses.put(&pipeline);
                }
                Ok(Event::InitDone) => statuses.lock().retain(|key, _| listed.contains(key)),
                // The watch begins anew by itself.
                Err(_) => {}
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::shop::EXAMPLE;

    fn pipeline(name: &str, ready: &str, dead_letters: i64) -> Pipeline {
        let mut object: Value = serde_saphyr::from_str(EXAMPLE).unwrap();
        object["metadata"]["name"] = json!(name);
        object["metadata"]["generation"] = json!(1);
        object["status"] = json!({
            "observedGeneration": 1,
            "deadLetters": {"count": dead_letters, "newest": []},
            "conditions": [{
                "type": "Ready", "status": ready, "reason": "Any", "message": "words",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn reported_is_who_is_ready_and_says_what_the_workers_say_now() {
        let statuses = Statuses::default();
        statuses.put(&pipeline("a", "True", 2));
        statuses.put(&pipeline("b", "True", 1));
        let Reported { all, done, other } = statuses.reported(2);
        assert_eq!((all, done), (2, 1));
        assert!(other.is_some());
        statuses.put(&pipeline("b", "False", 2));
        assert!(statuses.reported(2).other.unwrap().contains("words"));
        statuses.put(&pipeline("b", "True", 2));
        assert_eq!(statuses.reported(2).done, 2);
    }
}
