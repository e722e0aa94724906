//! Everything watched, filed by pipeline, so that a look at one costs the same however many there are. No network.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use medallion_crds::Pipeline;
use medallion_plan::Pod;

use crate::key::PipelineKey;
use crate::requests::Request;
use crate::watch::groups::Groups;
use crate::watch::news::{Change, of_pipeline};
use crate::watch::part::Part;
use crate::watch::room::{GuardedPipeline, Room};

/// The kind under which pods are filed.
pub(crate) const POD: &str = "Pod";

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
    /// How many rooms have a pipeline.
    pipelines: usize,
    /// Pipelines of which pods have come, changed or gone since somebody asked.
    pods: HashSet<PipelineKey>,
}

/// A pod with its pipeline and that one's UID.
pub(crate) type PodOf = (PipelineKey, String, Arc<Pod>);

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
    pub fn put<T: Part>(&self, kind: &'static str, home: Option<PipelineKey>, object: T) -> Vec<Request> {
        let Some(id) = ObjectKey::of(kind, object.metadata()) else {
            return Vec::new();
        };
        let mut filed = self.write();
        let mut news = Vec::new();
        if filed.homes.get(&id).is_some_and(|old| Some(old) != home.as_ref()) {
            news.extend(filed.take_out::<T>(&id));
        }
        let Some(home) = home else { return news };
        let filed = &mut *filed;
        // Of tens of thousands of objects, those of one pipeline name it by the same words.
        let home = filed
            .rooms
            .get_key_value(&home)
            .map_or(home.clone(), |(known, _)| known.clone());
        let id = ObjectKey {
            namespace: home.namespace.clone(),
            ..id
        };
        let room = filed.rooms.entry(home.clone()).or_default();
        let before = T::shelf(room, kind).get(&id.name).cloned();
        let version = |object: &T| object.metadata().resource_version.clone();
        let is_new = before.as_ref().is_none_or(|before| version(before) != version(&object));
        let change = Change {
            before: before.as_deref(),
            after: Some(&object),
        };
        let urgency = T::urgency(&change, room).filter(|_| is_new);
        let stored = T::shelf(room, kind);
        stored.insert(id.name.clone(), Arc::new(object));
        T::filed(stored, &id.name);
        filed.pods_changed(kind, &home);
        filed.homes.insert(id, home.clone());
        news.extend(urgency.map(|urgency| Request { key: home, urgency }));
        news
    }

    /// Takes an object out. Tells which pipeline it was filed under.
    pub fn remove<T: Part>(&self, kind: &'static str, metadata: &ObjectMeta) -> Vec<Request> {
        let id = ObjectKey::of(kind, metadata);
        id.and_then(|id| self.write().take_out::<T>(&id)).into_iter().collect()
    }

    /// Takes out what a new listing of a namespace, or of all, no longer shows. Tells which pipelines it was filed under.
    pub fn retain<T: Part>(&self, kind: &'static str, namespace: Option<&str>, listed: &Names) -> Vec<Request> {
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
    pub fn put_pipeline(&self, object: GuardedPipeline) -> Vec<Request> {
        let Some(key) = key_of(&object) else { return Vec::new() };
        let group = object.0.as_ref().ok().and_then(|pipeline| {
            let created = pipeline.creation_timestamp().map_or(Timestamp::MAX, |time| time.0);
            Some(((self.group_of)(pipeline)?, created))
        });
        let mut filed = self.write();
        let filed = &mut *filed;
        let others = filed.groups.set(&key, group);
        let mut news: Vec<_> = others.into_iter().map(Request::now).collect();
        let room = filed.rooms.entry(key.clone()).or_default();
        let before = room.pipeline.replace(Arc::new(object));
        filed.pipelines += usize::from(before.is_none());
        let (before, after) = (before.as_deref(), room.pipeline.as_deref());
        let version = |object: &GuardedPipeline| object.resource_version();
        let is_new = before.map(version) != after.map(version);
        let urgency = after.map(|after| of_pipeline(before, after)).filter(|_| is_new);
        if before.and_then(ResourceExt::uid) != after.and_then(ResourceExt::uid) {
            filed.pods.insert(key.clone());
        }
        news.extend(urgency.map(|urgency| Request { key, urgency }));
        news
    }

    /// Takes a pipeline out.
    pub fn remove_pipeline(&self, object: &GuardedPipeline) -> Vec<Request> {
        key_of(object).map_or_else(Vec::new, |key| self.write().forget(&key))
    }

    /// Takes out pipelines that a new listing of a namespace, or of all, no longer shows.
    pub fn retain_pipelines(&self, namespace: Option<&str>, listed: &Names) -> Vec<Request> {
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
    pub fn pods(&self) -> Vec<PodOf> {
        let filed = self.read();
        filed.rooms.iter().flat_map(|(key, room)| pods_of(key, room)).collect()
    }

    /// The pipelines of which pods have come, changed or gone since this was asked last, and their pods that stand.
    pub fn changed_pods(&self) -> (HashSet<PipelineKey>, Vec<PodOf>) {
        let mut filed = self.write();
        let changed = std::mem::take(&mut filed.pods);
        let rooms = changed.iter().filter_map(|key| filed.rooms.get_key_value(key));
        let pods = rooms.flat_map(|(key, room)| pods_of(key, room)).collect();
        (changed, pods)
    }

    /// All pipelines, readable or not.
    pub fn pipelines(&self) -> Vec<(PipelineKey, Arc<GuardedPipeline>)> {
        let filed = self.read();
        let pipelines = filed.rooms.iter();
        pipelines
            .filter_map(|(key, room)| Some((key.clone(), room.pipeline.clone()?)))
            .collect()
    }

    /// How many pipelines there are.
    pub fn count_pipelines(&self) -> usize {
        self.read().pipelines
    }

    fn read(&self) -> RwLockReadGuard<'_, Filed> {
        self.filed.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Filed> {
        self.filed.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Filed {
    fn take_out<T: Part>(&mut self, id: &ObjectKey) -> Option<Request> {
        let key = self.homes.remove(id)?;
        let room = self.rooms.get_mut(&key)?;
        let before = T::shelf(room, id.kind).remove(&id.name);
        let change = Change {
            before: before.as_deref(),
            after: None,
        };
        let urgency = T::urgency(&change, room);
        self.pods_changed(id.kind, &key);
        self.close_if_empty(&key);
        urgency.map(|urgency| Request { key, urgency })
    }

    fn forget(&mut self, key: &PipelineKey) -> Vec<Request> {
        let others = self.groups.set(key, None);
        let mut news: Vec<_> = others.into_iter().map(Request::now).collect();
        if let Some(room) = self.rooms.get_mut(key) {
            self.pipelines -= usize::from(room.pipeline.take().is_some());
            news.push(Request::now(key.clone()));
        }
        self.pods.insert(key.clone());
        self.close_if_empty(key);
        news
    }

    fn pods_changed(&mut self, kind: &str, key: &PipelineKey) {
        if kind == POD {
            self.pods.insert(key.clone());
        }
    }

    fn close_if_empty(&mut self, key: &PipelineKey) {
        if self.rooms.get(key).is_some_and(Room::is_empty) {
            self.rooms.remove(key);
        }
    }
}

fn pods_of<'a>(key: &'a PipelineKey, room: &'a Room) -> impl Iterator<Item = PodOf> + 'a {
    let uid = room.pipeline.as_ref().and_then(|pipeline| pipeline.uid());
    let pods = uid.map(move |uid| {
        room.pods
            .values()
            .map(move |pod| (key.clone(), uid.clone(), pod.clone()))
    });
    pods.into_iter().flatten()
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
    use medallion_crds::StageRun;
    use serde_json::json;

    use super::*;
    use crate::requests::Urgency;
    use crate::watch::guard::Guarded;
    use crate::watch::room::StoredChild;

    fn key(name: &str) -> PipelineKey {
        PipelineKey::new("shop", name)
    }

    fn keys(news: &[Request]) -> Vec<PipelineKey> {
        news.iter().map(|request| request.key.clone()).collect()
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
        Guarded(Ok(pipeline))
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
    fn an_object_is_filed_under_its_pipeline_and_is_news_once() {
        let index = index();
        assert_eq!(keys(&index.put("Job", Some(key("a")), job("j", "1"))), [key("a")]);
        assert!(
            index.put("Job", Some(key("a")), job("j", "1")).is_empty(),
            "nothing new"
        );
        assert!(
            index.put("Job", Some(key("a")), job("j", "2")).is_empty(),
            "another version of the same"
        );
        let mut labelled = job("j", "3");
        labelled.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
        assert_eq!(keys(&index.put("Job", Some(key("a")), labelled)), [key("a")]);
        assert_eq!(index.room(&key("a")).unwrap().jobs.len(), 1);
        assert_eq!(keys(&index.remove::<Job>("Job", &job("j", "4").metadata)), [key("a")]);
        assert!(index.room(&key("a")).is_none(), "an empty room is closed");
    }

    #[test]
    fn an_object_whose_label_changes_moves() {
        let index = index();
        index.put("Job", Some(key("a")), job("j", "1"));
        assert_eq!(
            keys(&index.put("Job", Some(key("b")), job("j", "2"))),
            [key("a"), key("b")]
        );
        assert!(index.room(&key("a")).is_none());
        assert_eq!(keys(&index.put("Job", None, job("j", "3"))), [key("b")], "or leaves");
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
        assert_eq!(keys(&index.retain::<Job>("Job", None, &listed)), [key("b")]);
        let room = index.room(&key("b")).unwrap();
        assert!(
            room.jobs.is_empty() && room.child("Service", "gone").is_some(),
            "another kind stays"
        );
    }

    #[test]
    fn a_consumer_group_has_one_holder_and_it_is_news_for_the_next_when_it_goes() {
        let index = index();
        index.put_pipeline(pipeline("old", "2026-01-01T00:00:00Z"));
        let news = index.put_pipeline(pipeline("new", "2026-01-02T00:00:00Z"));
        assert_eq!(keys(&news), [key("old"), key("new")]);
        assert_eq!(
            index.other_holder_of_group(&key("new")),
            Some(("one-for-all".to_owned(), key("old")))
        );
        assert_eq!(index.other_holder_of_group(&key("old")), None);
        let news = index.remove_pipeline(&pipeline("old", "2026-01-01T00:00:00Z"));
        assert_eq!(keys(&news), [key("new"), key("old")]);
        assert_eq!(index.other_holder_of_group(&key("new")), None);
    }

    #[test]
    fn the_end_of_a_job_is_urgent_and_its_other_steps_are_not() {
        let index = index();
        let urgencies = |status: serde_json::Value, version: &str| {
            let mut job = job("j", version);
            job.status = serde_json::from_value(status).unwrap();
            let news = index.put("Job", Some(key("a")), job);
            news.iter().map(|request| request.urgency).collect::<Vec<_>>()
        };
        assert_eq!(urgencies(json!({}), "1"), [Urgency::Soon]);
        assert!(urgencies(json!({"active": 1}), "2").is_empty());
        let ended = json!({"conditions": [{"type": "Complete", "status": "True"}]});
        assert_eq!(urgencies(ended, "3"), [Urgency::Now]);
    }

    #[test]
    fn pods_are_looked_up_anew_only_where_something_happened() {
        let index = index();
        let pod = |name: &str| -> Pod {
            serde_json::from_value(json!({"metadata": {"name": name, "namespace": "shop"}})).unwrap()
        };
        index.put_pipeline(pipeline("a", "2026-01-01T00:00:00Z"));
        index.put_pipeline(pipeline("b", "2026-01-01T00:00:00Z"));
        index.put(POD, Some(key("a")), pod("a-1"));
        assert_eq!(index.changed_pods().0, HashSet::from([key("a"), key("b")]));
        index.put("Job", Some(key("a")), job("j", "1"));
        index.put_pipeline(pipeline("b", "2026-01-01T00:00:00Z"));
        assert!(index.changed_pods().0.is_empty(), "no pod, and no other pipeline");
        index.put(POD, Some(key("a")), pod("a-2"));
        let (changed, pods) = index.changed_pods();
        assert_eq!((changed, pods.len()), (HashSet::from([key("a")]), 2));
        assert_eq!(index.count_pipelines(), 2);
        for _ in 0..2 {
            index.remove_pipeline(&pipeline("a", "2026-01-01T00:00:00Z"));
        }
        assert_eq!(index.count_pipelines(), 1);
        let (changed, pods) = index.changed_pods();
        assert_eq!((changed, pods.len()), (HashSet::from([key("a")]), 0));
    }
}
