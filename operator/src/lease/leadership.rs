//! Whether this process may work on a namespace's pipelines now. No network.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What is watched: a namespace, or with `None` the whole cluster.
pub(crate) type Watched = Option<String>;

/// Where this process works.
#[derive(Debug, Default)]
pub(crate) struct Leadership(Mutex<BTreeMap<Watched, Position>>);

/// How one watched part of the cluster stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Position {
    /// Not known yet.
    Unknown,
    /// This process works here until then, but not in these namespaces, where another operator does.
    Leads {
        /// Since when without a gap.
        since: Instant,
        until: Instant,
        except: BTreeSet<String>,
    },
    /// Another works here, as the words say.
    Passive(String),
}

impl Leadership {
    /// Nothing is led yet.
    pub fn new(watched: &[Watched]) -> Self {
        let positions = watched.iter().map(|part| (part.clone(), Position::Unknown));
        Self(Mutex::new(positions.collect()))
    }

    /// Whether this process works on a namespace's pipelines.
    pub fn leads(&self, namespace: &str) -> bool {
        self.leads_since(namespace, Instant::now()).is_some()
    }

    /// Since when this process works on a namespace's pipelines, if it does at this time.
    pub fn leads_since(&self, namespace: &str, now: Instant) -> Option<Instant> {
        let positions = self.lock();
        let position = positions
            .get(&Some(namespace.to_owned()))
            .or_else(|| positions.get(&None))?;
        match position {
            Position::Leads { since, until, except } if now < *until && !except.contains(namespace) => Some(*since),
            _ => None,
        }
    }

    /// Sets how a part stands; gives how it stood.
    pub fn set(&self, part: &Watched, mut position: Position) -> Position {
        let mut positions = self.lock();
        let before = positions.remove(part).unwrap_or(Position::Unknown);
        if let Position::Leads { since, .. } = &mut position
            && let Position::Leads { since: long, until, .. } = &before
            && *since <= *until
        {
            *since = *long;
        }
        positions.insert(part.clone(), position);
        before
    }

    /// Why this process does not work everywhere it watches; `None` if it does.
    pub fn words(&self) -> Option<String> {
        let positions = self.lock();
        let words = positions.iter().filter_map(|(part, position)| {
            let place = part
                .as_ref()
                .map_or("the cluster".to_owned(), |namespace| format!("namespace {namespace}"));
            match position {
                Position::Unknown => Some(format!("{place}: the Lease has not been read yet")),
                Position::Passive(why) => Some(format!("{place}: {why}")),
                Position::Leads { except, .. } if except.is_empty() => None,
                Position::Leads { except, .. } => {
                    let names: Vec<_> = except.iter().map(String::as_str).collect();
                    Some(format!("another operator works in {}", names.join(", ")))
                }
            }
        });
        let words: Vec<_> = words.collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Watched, Position>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn leads(now: Instant, except: &[&str]) -> Position {
        Position::Leads {
            since: now,
            until: now + Duration::from_secs(10),
            except: except.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn work_is_done_where_a_lease_is_held_and_no_longer_than_it_lasts() {
        let (leadership, now) = (Leadership::new(&[None]), Instant::now());
        assert_eq!(leadership.leads_since("shop", now), None, "not known yet");
        leadership.set(&None, leads(now, &["theirs"]));
        assert_eq!(leadership.leads_since("shop", now), Some(now));
        assert_eq!(leadership.leads_since("theirs", now), None);
        assert_eq!(leadership.leads_since("shop", now + Duration::from_secs(10)), None);
        let renewed = now + Duration::from_secs(5);
        leadership.set(&None, leads(renewed, &[]));
        assert_eq!(leadership.leads_since("shop", renewed), Some(now), "without a gap");
        let late = now + Duration::from_mins(1);
        leadership.set(&None, leads(late, &[]));
        assert_eq!(
            leadership.leads_since("shop", late),
            Some(late),
            "others may have worked meanwhile"
        );
        leadership.set(&None, Position::Passive("held by b".to_owned()));
        assert_eq!(leadership.leads_since("shop", late), None);
        assert_eq!(leadership.words().unwrap(), "the cluster: held by b");
    }

    #[test]
    fn each_watched_namespace_stands_for_itself() {
        let parts = [Some("a".to_owned()), Some("b".to_owned())];
        let (leadership, now) = (Leadership::new(&parts), Instant::now());
        leadership.set(&parts[0], leads(now, &[]));
        let led = |namespace| leadership.leads_since(namespace, now).is_some();
        assert!(led("a") && !led("b"));
        assert!(!led("c"), "not watched");
    }
}
