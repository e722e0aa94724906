//! Keeps the index up to date from one watch, and asks for a look at the pipelines whose objects change. Talks to the Kubernetes API.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures::{Stream, StreamExt};
use kube::runtime::utils::StreamBackoff;
use kube::runtime::watcher::{self, Event};
use kube::{Resource, ResourceExt};

use crate::backoff;
use crate::health::{Health, SourceId};
use crate::metrics::Metrics;
use crate::requests::{Request, Requests};
use crate::watch::index::{Index, Names};

/// What the watches of a namespace, or of the whole cluster, work with.
#[derive(Clone)]
pub(crate) struct Shared {
    pub index: Arc<Index>,
    pub health: Arc<Health>,
    pub metrics: Arc<Metrics>,
    pub requests: Requests,
}

/// What is done with objects of one kind.
pub(crate) struct Filing<K> {
    pub kind: &'static str,
    pub put: fn(&Index, K) -> Vec<Request>,
    pub remove: fn(&Index, &K) -> Vec<Request>,
    pub retain: fn(&Index, Option<&str>, &Names) -> Vec<Request>,
}

/// Follows a watch until the task is ended.
pub(crate) async fn follow<K: Resource<DynamicType = ()>>(
    stream: impl Stream<Item = watcher::Result<Event<K>>> + Send,
    namespace: Option<String>,
    filing: Filing<K>,
    shared: Shared,
    id: SourceId,
) {
    let mut stream = pin!(StreamBackoff::new(stream, backoff::of_watch()));
    let mut listed = Names::new();
    while let Some(event) = stream.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                failed(&shared, filing.kind, id, &error);
                continue;
            }
        };
        shared.health.works(id);
        let index = &shared.index;
        let news = match event {
            Event::Apply(object) => (filing.put)(index, object),
            Event::Delete(object) => (filing.remove)(index, &object),
            Event::Init => {
                listed.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                listed.insert((object.namespace().unwrap_or_default().into(), object.name_any().into()));
                (filing.put)(index, object)
            }
            Event::InitDone => {
                let news = (filing.retain)(index, namespace.as_deref(), &listed);
                listed = Names::new();
                if shared.health.has_filled(id) {
                    // What was asked for before could not be looked at yet.
                    shared.requests.ask_all(index.keys(namespace.as_deref()));
                }
                news
            }
        };
        for request in news {
            shared.requests.ask(request);
        }
    }
}

fn failed(shared: &Shared, kind: &'static str, id: SourceId, error: &watcher::Error) {
    Metrics::count(&shared.metrics.watch_errors, kind);
    if shared.health.failed(id, &error.to_string(), Instant::now()) {
        tracing::warn!(kind, %error, "watch broken, trying again");
    } else {
        tracing::debug!(kind, %error, "watch still broken");
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use k8s_openapi::api::core::v1::Service;
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::key::PipelineKey;
    use crate::watch::room::StoredChild;
    use crate::watch::slim;

    fn shared(requests: Requests) -> Shared {
        Shared {
            index: Arc::new(Index::new(|_| None)),
            health: Arc::default(),
            metrics: Arc::default(),
            requests,
        }
    }

    fn services() -> Filing<Service> {
        Filing {
            kind: "Service",
            put: |index, object: Service| index.put("Service", Some(key()), slim::child(&object)),
            remove: |index, object| index.remove::<StoredChild>("Service", object.meta()),
            retain: |index, namespace, listed| index.retain::<StoredChild>("Service", namespace, listed),
        }
    }

    fn service(name: &str) -> Service {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "shop"}})).unwrap()
    }

    fn key() -> PipelineKey {
        PipelineKey::new("shop", "orders")
    }

    #[tokio::test]
    async fn a_listing_replaces_what_was_known_and_each_change_is_asked_about() {
        let (requests, mut asked) = Requests::channel();
        let shared = shared(requests);
        let id = shared.health.watch("Service", None);
        let events = stream::iter(vec![
            Ok(Event::Init),
            Ok(Event::InitApply(service("a"))),
            Ok(Event::InitApply(service("b"))),
            Ok(Event::InitDone),
            Ok(Event::Init),
            Ok(Event::InitApply(service("b"))),
            Ok(Event::InitDone),
        ]);
        follow(events, None, services(), shared.clone(), id).await;
        let room = shared.index.room(&key()).unwrap();
        assert!(room.child("Service", "a").is_none() && room.child("Service", "b").is_some());
        let mut count = 0;
        while let Ok(Request { .. }) = asked.try_recv() {
            count += 1;
        }
        assert_eq!(
            count, 4,
            "two came, one went, one stayed, and all are looked at once everything is listed"
        );
    }

    #[rstest]
    #[case::never_listed(&["fails", "fails"], Some("not listed yet: Service"), false)]
    #[case::broken(&["lists", "fails", "fails"], None, false)]
    #[case::broken_again(&["lists", "fails", "sends", "fails"], None, false)]
    #[case::lists_again(&["lists", "fails", "lists"], None, true)]
    #[case::goes_on(&["lists", "fails", "sends"], None, true)]
    #[tokio::test]
    async fn failures_are_known_until_something_comes(
        #[case] answers: &[&str],
        #[case] obstacle: Option<&str>,
        #[case] well: bool,
    ) {
        let shared = shared(Requests::channel().0);
        let id = shared.health.watch("Service", None);
        let events = answers.iter().flat_map(|answer| match *answer {
            "lists" => vec![Ok(Event::Init), Ok(Event::InitDone)],
            "sends" => vec![Ok(Event::Apply(service("a")))],
            _ => vec![Err(watcher::Error::NoResourceVersion)],
        });
        let events = stream::iter(events.collect::<Vec<_>>());
        follow(events, None, services(), shared.clone(), id).await;
        let now = Instant::now();
        assert_eq!(shared.health.obstacle(now).as_deref(), obstacle);
        let new = shared.health.failed(id, "the next try", now);
        assert_eq!(new, well, "a trouble that is known is not reported again");
    }
}
