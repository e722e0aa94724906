//! Everything watched, filed by pipeline, so that a look at one costs the same however many there are. No network.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use medallion_crds::Pipeline;

use crate::key::PipelineKey;
use crate::watch::groups::Groups;
use crate::watch::room::{GuardedPipeline, Part, Room};

/// Namespace and name of objects of one kind.
pub(crate) type Names = HashSet<(Arc<str>, Arc<str>)>;

/// The consumer group of a pipeline.
type GroupOf = Box<dyn Fn(&Pipeline) -> Option<String> + Send + Sync>;

/// Everything watched.
pub(crate) struct Index {
    filed: RwLock<Filed>,
    group_of: GroupOf,
}

#[derive(Default)]
struct Filed {
    rooms: HashMap<PipelineKey, Room>,
    /// Where an object was filed: its label may change.
    homes: HashMap<ObjectKey, PipelineKey>,
    groups: Groups,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct ObjectKey {
    kind: &'static str,
    namespace: Arc<str>,
    name: Arc<str>,
}

impl ObjectKey {
    fn of(kind: &'static str, metadata: &ObjectMeta) -> Option<Self> {
        Some(Self {
            kind,
            namespace: metadata.namespace.as_deref()?.into(),
            name: metadata.name.as_deref()?.into(),
        })
    }
}

impl Index {
    /// An empty one.
    pub fn new(group_of: impl Fn(&Pipeline) -> Option<String> + Send + Sync + 'static) -> Self {
        Self {
            filed: RwLock::default(),
            group_of: Box::new(group_of),
        }
    }

    /// Files an object. Tells which pipelines it is news for.
    pub fn put<T: Part>(&self, kind: &'static str, home: Option<PipelineKey>, object: T) -> Vec<PipelineKey> {
        let Some(id) = ObjectKey::of(kind, object.metadata()) else {
            return Vec::new();
        };
        let mut filed = self.write();
        let mut news = Vec::new();
        if filed.homes.get(&id).is_some_and(|old| Some(old) != home.as_ref()) {
            news.extend(filed.take_out::<T>(&id));
        }
        let Some(home) = home else { return news };
        let stored = T::shelf(filed.rooms.entry(home.clone()).or_default(), kind);
        let version = |object: &T| object.metadata().resource_version.clone();
        let known = stored.get(&id.name).is_some_and(|old| version(old) == version(&object));
        stored.insert(id.name.clone(), Arc::new(object));
        T::filed(stored, &id.name);
        filed.homes.insert(id, home.clone());
        if !known {
            news.push(home);
        }
        news
    }

    /// Takes an object out. Tells which pipeline it was filed under.
    pub fn remove<T: Part>(&self, kind: &'static str, metadata: &ObjectMeta) -> Vec<PipelineKey> {
        let id = ObjectKey::of(kind, metadata);
        id.and_then(|id| self.write().take_out::<T>(&id)).into_iter().collect()
    }

    /// Takes out what a new listing of a namespace, or of all, no longer shows. Tells which pipelines it was filed under.
    pub fn retain<T: Part>(&self, kind: &'static str, namespace: Option<&str>, listed: &Names) -> Vec<PipelineKey> {
        let mut filed = self.write();
        let gone: Vec<_> = filed
            .homes
            .keys()
            .filter(|id| id.kind == kind && namespace.is_none_or(|own| own == &*id.namespace))
            .filter(|id| !listed.contains(&(id.namespace.clone(), id.name.clone())))
            .cloned()
            .collect();
        gone.iter().filter_map(|id| filed.take_out::<T>(id)).collect()
    }

    /// Files a pipeline. Tells which pipelines it is news for: its own, and those that name the same consumer group.
    pub fn put_pipeline(&self, object: GuardedPipeline) -> Vec<PipelineKey> {
        let Some(key) = key_of(&object) else { return Vec::new() };
        let group = object.0.as_ref().ok().and_then(|pipeline| {
            let created = pipeline.creation_timestamp().map_or(Timestamp::MAX, |time| time.0);
            Some(((self.group_of)(pipeline)?, created))
        });
        let mut filed = self.write();
        let mut news = filed.groups.set(&key, group);
        let room = filed.rooms.entry(key.clone()).or_default();
        let known = room
            .pipeline
            .as_ref()
            .is_some_and(|old| old.resource_version() == object.resource_version());
        room.pipeline = Some(Arc::new(object));
        if !known {
            news.push(key);
        }
        news
    }

    /// Takes a pipeline out.
    pub fn remove_pipeline(&self, object: &GuardedPipeline) -> Vec<PipelineKey> {
        key_of(object).map_or_else(Vec::new, |key| self.write().forget(&key))
    }

    /// Takes out pipelines that a new listing of a namespace, or of all, no longer shows.
    pub fn retain_pipelines(&self, namespace: Option<&str>, listed: &Names) -> Vec<PipelineKey> {
        let mut filed = self.write();
        let gone: Vec<_> = filed
            .rooms
            .iter()
            .filter(|(_, room)| room.pipeline.is_some())
            .map(|(key, _)| key)
            .filter(|key| namespace.is_none_or(|own| own == &*key.namespace))
            .filter(|key| !listed.contains(&(key.namespace.clone(), key.name.clone())))
            .cloned()
            .collect();
        gone.iter().flat_map(|key| filed.forget(key)).collect()
    }

    /// What stands of one pipeline.
    pub fn room(&self, key: &PipelineKey) -> Option<Room> {
        self.read().rooms.get(key).cloned()
    }

    /// The consumer group of a pipeline and who else holds it.
    pub fn other_holder_of_group(&self, key: &PipelineKey) -> Option<(String, PipelineKey)> {
        self.read().groups.other_holder(key)
    }

    /// All names that anything is filed under, of a namespace or of all.
    pub fn keys(&self, namespace: Option<&str>) -> Vec<PipelineKey> {
        let filed = self.read();
        let keys = filed.rooms.keys();
        keys.filter(|key| namespace.is_none_or(|own| own == &*key.namespace))
            .cloned()
            .collect()
    }

    /// All pods of pipelines that exist, each with its pipeline and that one's UID.
    pub fn pods(&self) -> Vec<(PipelineKey, String, Arc<Pod>)> {
        let filed = self.read();
        let mut pods = Vec::new();
        for (key, room) in &filed.rooms {
            if let Some(uid) = room.pipeline.as_ref().and_then(|pipeline| pipeline.uid()) {
                pods.extend(room.pods.values().map(|pod| (key.clone(), uid.clone(), pod.clone())));
            }
        }
        pods
    }

    /// How many pipelines there are.
    pub fn count_pipelines(&self) -> usize {
        self.read()
            .rooms
            .values()
            .filter(|room| room.pipeline.is_some())
            .count()
    }

    fn read(&self) -> RwLockReadGuard<'_, Filed> {
        self.filed.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Filed> {
        self.filed.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Filed {
    fn take_out<T: Part>(&mut self, id: &ObjectKey) -> Option<PipelineKey> {
        let home = self.homes.remove(id)?;
        let room = self.rooms.get_mut(&home)?;
        T::shelf(room, id.kind).remove(&id.name);
        self.close_if_empty(&home);
        Some(home)
    }

    fn forget(&mut self, key: &PipelineKey) -> Vec<PipelineKey> {
        let mut news = self.groups.set(key, None);
        if let Some(room) = self.rooms.get_mut(key) {
            room.pipeline = None;
            news.push(key.clone());
        }
        self.close_if_empty(key);
        news
    }

    fn close_if_empty(&mut self, key: &PipelineKey) {
        if self.rooms.get(key).is_some_and(Room::is_empty) {
            self.rooms.remove(key);
        }
    }
}

fn key_of(object: &GuardedPipeline) -> Option<PipelineKey> {
    let metadata = object.meta();
    Some(PipelineKey::new(
        metadata.namespace.as_deref()?,
        metadata.name.as_deref()?,
    ))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::Job;
    use kube::core::DeserializeGuard;
    use medallion_crds::StageRun;
    use serde_json::json;

    use super::*;
    use crate::watch::room::StoredChild;

    fn key(name: &str) -> PipelineKey {
        PipelineKey::new("shop", name)
    }

    fn job(name: &str, version: &str) -> Job {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "shop", "resourceVersion": version},
        }))
        .unwrap()
    }

    fn run(stage: &str, number: i64) -> StageRun {
        serde_json::from_value(json!({
            "metadata": {
                "name": format!("a-{stage}-{number:06}"), "namespace": "shop",
                "creationTimestamp": format!("2026-01-01T00:{number:02}:00Z"),
            },
            "spec": {
                "pipelineRef": {"name": "a"}, "stage": stage, "type": "Process",
                "process": {"inputs": [{"name": "bronze", "version": number}]},
            },
            "status": {
                "observedGeneration": 1, "attempt": 1, "completionTime": format!("2026-01-01T00:{number:02}:30Z"),
                "conditions": [{
                    "type": "Succeeded", "status": "True", "reason": "Committed", "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }],
            },
        }))
        .unwrap()
    }

    fn index() -> Index {
        Index::new(|_| Some("one-for-all".to_owned()))
    }

    fn pipeline(name: &str, created: &str) -> GuardedPipeline {
        let text = include_str!("../../../crds/examples/smallest.yaml");
        let mut pipeline: Pipeline = serde_saphyr::from_str(text).unwrap();
        pipeline.metadata.name = Some(name.to_owned());
        pipeline.metadata.namespace = Some("shop".to_owned());
        pipeline.metadata.uid = Some(format!("uid-{name}"));
        pipeline.metadata.creation_timestamp = Some(serde_json::from_value(json!(created)).unwrap());
        DeserializeGuard(Ok(pipeline))
    }

    #[test]
    fn the_past_of_each_stage_is_kept_without_details() {
        let index = index();
        for number in 1..=20 {
            for stage in ["silver", "gold"] {
                index.put("StageRun", Some(key("a")), run(stage, number));
            }
        }
        let room = index.room(&key("a")).unwrap();
        assert_eq!(room.runs.len(), 40);
        let whole = room.runs.values().filter(|run| !run.spec.inputs().is_empty());
        let names: Vec<_> = whole.map(|run| run.name_any()).collect();
        assert_eq!(names, ["a-gold-000020", "a-silver-000020"]);
    }

    #[test]
    fn an_object_is_filed_under_its_pipeline_and_told_once() {
        let index = index();
        assert_eq!(index.put("Job", Some(key("a")), job("j", "1")), [key("a")]);
        assert!(
            index.put("Job", Some(key("a")), job("j", "1")).is_empty(),
            "nothing new"
        );
        assert_eq!(index.put("Job", Some(key("a")), job("j", "2")), [key("a")]);
        assert_eq!(index.room(&key("a")).unwrap().jobs.len(), 1);
        assert_eq!(index.remove::<Job>("Job", &job("j", "3").metadata), [key("a")]);
        assert!(index.room(&key("a")).is_none(), "an empty room is closed");
    }

    #[test]
    fn an_object_whose_label_changes_moves() {
        let index = index();
        index.put("Job", Some(key("a")), job("j", "1"));
        assert_eq!(index.put("Job", Some(key("b")), job("j", "2")), [key("a"), key("b")]);
        assert!(index.room(&key("a")).is_none());
        assert_eq!(index.put("Job", None, job("j", "3")), [key("b")], "or leaves");
        assert!(index.room(&key("b")).is_none());
    }

    #[test]
    fn what_a_new_listing_does_not_show_is_gone() {
        let index = index();
        index.put("Job", Some(key("a")), job("kept", "1"));
        index.put("Job", Some(key("b")), job("gone", "1"));
        let child = StoredChild {
            metadata: job("gone", "1").metadata,
            ..StoredChild::default()
        };
        index.put("Service", Some(key("b")), child);
        let listed = Names::from([("shop".into(), "kept".into())]);
        assert!(index.retain::<Job>("Job", Some("elsewhere"), &listed).is_empty());
        assert_eq!(index.retain::<Job>("Job", None, &listed), [key("b")]);
        let room = index.room(&key("b")).unwrap();
        assert!(
            room.jobs.is_empty() && room.child("Service", "gone").is_some(),
            "another kind stays"
        );
    }

    #[test]
    fn a_consumer_group_has_one_holder_and_the_next_is_told_when_it_goes() {
        let index = index();
        index.put_pipeline(pipeline("old", "2026-01-01T00:00:00Z"));
        let news = index.put_pipeline(pipeline("new", "2026-01-02T00:00:00Z"));
        assert_eq!(news, [key("old"), key("new")]);
        assert_eq!(
            index.other_holder_of_group(&key("new")),
            Some(("one-for-all".to_owned(), key("old")))
        );
        assert_eq!(index.other_holder_of_group(&key("old")), None);
        let news = index.remove_pipeline(&pipeline("old", "2026-01-01T00:00:00Z"));
        assert_eq!(news, [key("new"), key("old")]);
        assert_eq!(index.other_holder_of_group(&key("new")), None);
    }
}
