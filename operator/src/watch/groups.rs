//! Which pipelines read with which consumer group: two in one group would each get half of the events. No network.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use crate::key::PipelineKey;

/// The oldest comes first and holds the group.
type Member = (Timestamp, PipelineKey);

/// Consumer groups and who names them.
#[derive(Default)]
pub(crate) struct Groups {
    members: HashMap<String, BTreeSet<Member>>,
    of: HashMap<PipelineKey, (String, Timestamp)>,
}

impl Groups {
    /// Takes note of a pipeline's group, or that it has none any more. Tells whose situation may have changed with it.
    pub fn set(&mut self, key: &PipelineKey, group: Option<(String, Timestamp)>) -> Vec<PipelineKey> {
        if self.of.get(key) == group.as_ref() {
            return Vec::new();
        }
        let mut others = Vec::new();
        if let Some((old, created)) = self.of.remove(key)
            && let Some(members) = self.members.get_mut(&old)
        {
            members.remove(&(created, key.clone()));
            others.extend(members.iter().map(|(_, member)| member.clone()));
            if members.is_empty() {
                self.members.remove(&old);
            }
        }
        if let Some((name, created)) = group {
            let members = self.members.entry(name.clone()).or_default();
            others.extend(members.iter().map(|(_, member)| member.clone()));
            members.insert((created, key.clone()));
            self.of.insert(key.clone(), (name, created));
        }
        others
    }

    /// Who reads with this pipeline's group, if it is another.
    pub fn other_holder(&self, key: &PipelineKey) -> Option<(String, PipelineKey)> {
        let (name, _) = self.of.get(key)?;
        let (_, holder) = self.members.get(name)?.first()?;
        (holder != key).then(|| (name.clone(), holder.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> PipelineKey {
        PipelineKey::new("shop", name)
    }

    #[allow(clippy::unnecessary_wraps, reason = "as the function under test takes it")]
    fn group(name: &str, second: i64) -> Option<(String, Timestamp)> {
        Some((name.to_owned(), Timestamp::from_second(second).unwrap()))
    }

    #[test]
    fn a_group_belongs_to_the_oldest_that_names_it() {
        let mut groups = Groups::default();
        assert!(groups.set(&key("b"), group("g", 20)).is_empty());
        assert_eq!(groups.set(&key("a"), group("g", 30)), [key("b")]);
        assert_eq!(groups.other_holder(&key("a")), Some(("g".to_owned(), key("b"))));
        assert_eq!(groups.other_holder(&key("b")), None);
        assert!(groups.set(&key("a"), group("g", 30)).is_empty(), "nothing is new");
        assert_eq!(groups.set(&key("b"), None), [key("a")], "it is news for the next one");
        assert_eq!(groups.other_holder(&key("a")), None);
    }

    #[test]
    fn a_pipeline_that_takes_another_group_leaves_its_old_one() {
        let mut groups = Groups::default();
        groups.set(&key("a"), group("g", 10));
        groups.set(&key("b"), group("g", 20));
        groups.set(&key("b"), group("h", 20));
        assert_eq!(groups.other_holder(&key("b")), None);
    }
}
