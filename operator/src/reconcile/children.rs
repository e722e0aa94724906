//! Writes objects whole, whatever their kind, and never touches what is not ours. Talks to the Kubernetes API.
//!
//! What does not stand is created, not applied: an object of that name that nobody here has seen is then found by the server
//! instead of being taken over. What stands is applied over, by UID, when it is not as it was last written.

use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client};
use medallion_crds::labels;
use medallion_plan::{ObjectId, ValidatedPipeline, digest};
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::call::{CallError, call};
use crate::cache::{LATE, Written};
use crate::failure::Failure;
use crate::watch::child_kinds::{KINDS, Kind, kind};
use crate::watch::room::{Room, StoredChild};

/// Annotation: digest of the object as it was written, by which an operator that was started anew knows it again.
pub(crate) const WRITTEN: &str = "medallion.dev/applied-hash";

/// An object as it is wanted.
pub(crate) struct Wanted {
    kind: &'static Kind,
    namespace: String,
    name: String,
    metadata: ObjectMeta,
    /// The object as JSON, its metadata without the digest.
    text: String,
    pub digest: String,
}

/// What is to be done about an object.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Step {
    Nothing,
    Create,
    Change,
}

/// Why an object was not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// This object cannot be made; others may.
    Object(Failure),
    /// It has changed since it was seen.
    Moved,
    /// The server does not answer as it should: nothing can be made now.
    Call(CallError),
}

impl From<CallError> for WriteError {
    fn from(error: CallError) -> Self {
        if error.is_refusal() || error.is_of_one_object() {
            Self::Object(Failure::Refused(error.to_string()))
        } else if error.is_conflict() || error.is_not_found() {
            Self::Moved
        } else {
            Self::Call(error)
        }
    }
}

impl WriteError {
    /// What a write that has failed is. A webhook may be asked for as long as a call lasts: one without an answer, from a server that
    /// answers what it needs nobody else for, is this one object's matter.
    pub async fn of(error: CallError, client: &Client) -> Self {
        if error.is_time_out() && answers(client).await {
            Self::Object(Failure::Refused(format!(
                "{error}, although the API server works: look at the admission webhooks that it asks about this kind"
            )))
        } else {
            error.into()
        }
    }
}

/// Whether the server answers a question that needs nothing but itself; that somebody may not ask it is an answer.
async fn answers(client: &Client) -> bool {
    let asked = call(|| "get the server's version".to_owned(), client.apiserver_version()).await;
    asked.map_or_else(|error| error.is_refusal(), |_| true)
}

impl Wanted {
    /// An object of a kind from the table.
    pub fn new(kind_name: &str, metadata: &ObjectMeta, object: &impl Serialize) -> Result<Self, Failure> {
        let name = metadata.name.clone().unwrap_or_default();
        let broken = |why: &str| Failure::Internal(format!("{kind_name} {name}: {why}"));
        let kind = kind(kind_name).ok_or_else(|| broken("no such kind of child"))?;
        let text = serde_json::to_string(object).map_err(|error| broken(&error.to_string()))?;
        let digest = digest(&[&text]);
        let mut metadata = metadata.clone();
        let annotations = metadata.annotations.get_or_insert_default();
        annotations.insert(WRITTEN.to_owned(), digest.clone());
        Ok(Self {
            kind,
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name,
            metadata,
            text,
            digest,
        })
    }

    /// What is sent. Most looks find that everything stands: only its digest is needed then.
    fn body(&self) -> Result<Value, WriteError> {
        let broken =
            |error: serde_json::Error| WriteError::Object(Failure::Internal(format!("{}: {error}", self.id())));
        let mut body: Value = serde_json::from_str(&self.text).map_err(broken)?;
        body["metadata"] = serde_json::to_value(&self.metadata).map_err(broken)?;
        Ok(body)
    }

    /// Kind and name, as in the plan.
    pub fn id(&self) -> String {
        format!("{}/{}", self.kind.name, self.name)
    }

    /// Its kind.
    pub const fn kind(&self) -> &'static str {
        self.kind.name
    }

    /// What is to be done, by what the watch shows and what is remembered of the last write.
    pub fn step(&self, stored: Option<&StoredChild>, written: Option<&Written>, now: Instant) -> Result<Step, Failure> {
        let written = written.filter(|written| written.digest == self.digest);
        let may_be_late = |shown: Option<&String>| {
            written.is_some_and(|written| {
                !written.was_shown && written.before.as_ref() == shown && now.duration_since(written.at) < LATE
            })
        };
        let Some(stored) = stored else {
            return Ok(if may_be_late(None) { Step::Nothing } else { Step::Create });
        };
        self.check_owner(&stored.metadata)?;
        let shown = fingerprint(&stored.metadata);
        if let Some(written) = written
            && written.after == shown
            && (!written.is_kept_whole || self.stands_in(&stored.metadata))
        {
            return Ok(Step::Nothing);
        }
        if may_be_late(Some(&shown)) {
            return Ok(Step::Nothing);
        }
        // What an operator before this one wrote.
        let stands = written.is_none() && !stored.has_other_writers && self.stands_in(&stored.metadata);
        Ok(if stands { Step::Nothing } else { Step::Change })
    }

    /// Creates it. One that is there already and ours is changed instead; one of others is left alone.
    pub async fn create(&self, client: &Client) -> Result<ObjectMeta, WriteError> {
        let object: DynamicObject = serde_json::from_value(self.body()?)
            .map_err(|error| WriteError::Object(Failure::Internal(format!("{}: {error}", self.id()))))?;
        let parameters = PostParams {
            field_manager: Some(labels::MANAGER.to_owned()),
            ..PostParams::default()
        };
        let api = self.api(client);
        match call(|| format!("create {}", self.id()), api.create(&parameters, &object)).await {
            Ok(created) => Ok(created.metadata),
            Err(error) if error.already_exists() => {
                let found = call(|| format!("get {}", self.id()), api.get_metadata_opt(&self.name)).await?;
                // Gone in between: the next look makes it.
                let found = found.ok_or(WriteError::Moved)?;
                self.check_owner(&found.metadata).map_err(WriteError::Object)?;
                if found.metadata.annotations.as_ref().and_then(|all| all.get(WRITTEN)) == Some(&self.digest)
                    && self.stands_in(&found.metadata)
                {
                    return Ok(found.metadata);
                }
                self.change(client, &StoredChild::found(found.metadata)).await
            }
            Err(error) => Err(WriteError::of(error, client).await),
        }
    }

    /// Applies it over what stands, as its only owner of the fields it names.
    pub async fn change(&self, client: &Client, stored: &StoredChild) -> Result<ObjectMeta, WriteError> {
        if stored.was_created_plainly {
            self.take_over_own_fields(client).await?;
        }
        let mut body = self.body()?;
        // Of this very object: another of its name in its place is not ours.
        body["metadata"]["uid"] = json!(stored.metadata.uid);
        let parameters = PatchParams::apply(labels::MANAGER).force();
        let (api, body) = (self.api(client), Patch::Apply(&body));
        let applied = api.patch_metadata(&self.name, &parameters, &body);
        match call(|| format!("apply {}", self.id()), applied).await {
            Ok(written) => Ok(written.metadata),
            Err(error) => Err(WriteError::of(error, client).await),
        }
    }

    /// Fields that were written by a plain create would stay for ever when an apply no longer names them.
    async fn take_over_own_fields(&self, client: &Client) -> Result<(), WriteError> {
        let api = self.api(client);
        let found = call(|| format!("get {}", self.id()), api.get_metadata_opt(&self.name)).await?;
        let metadata = found.ok_or(WriteError::Moved)?.metadata;
        let mut writers = metadata.managed_fields.unwrap_or_default();
        let is_own = |operation: &str, writer: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry| {
            writer.manager.as_deref() == Some(labels::MANAGER)
                && writer.subresource.is_none()
                && writer.operation.as_deref() == Some(operation)
        };
        if !writers.iter().any(|writer| is_own("Update", writer)) {
            return Ok(());
        }
        if writers.iter().any(|writer| is_own("Apply", writer)) {
            writers.retain(|writer| !is_own("Update", writer));
        }
        for writer in writers.iter_mut().filter(|writer| is_own("Update", writer)) {
            writer.operation = Some("Apply".to_owned());
        }
        let patch = json!({
            "metadata": {"managedFields": writers, "uid": metadata.uid, "resourceVersion": metadata.resource_version},
        });
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let patched = api.patch_metadata(&self.name, &parameters, &patch);
        match call(|| format!("take over the fields of {}", self.id()), patched).await {
            Ok(_) => Ok(()),
            Err(error) => Err(WriteError::of(error, client).await),
        }
    }

    /// What is remembered of a write.
    pub fn written(&self, answer: &ObjectMeta, stored: Option<&StoredChild>, now: Instant) -> Written {
        Written {
            digest: self.digest.clone(),
            at: now,
            after: fingerprint(answer),
            before: stored.map(|stored| fingerprint(&stored.metadata)),
            was_shown: false,
            is_kept_whole: self.stands_in(answer),
        }
    }

    /// Takes note of what the watch shows now.
    pub fn is_shown(stored: &StoredChild, written: &mut Written) {
        written.was_shown |= written.after == fingerprint(&stored.metadata);
    }

    /// Whether labels and annotations are there as they are wanted.
    fn stands_in(&self, stored: &ObjectMeta) -> bool {
        let all = |wanted: &Option<std::collections::BTreeMap<String, String>>,
                   there: &Option<std::collections::BTreeMap<String, String>>| {
            wanted
                .iter()
                .flatten()
                .all(|(key, value)| there.as_ref().and_then(|there| there.get(key)) == Some(value))
        };
        all(&self.metadata.labels, &stored.labels) && all(&self.metadata.annotations, &stored.annotations)
    }

    /// An object of that name that is not ours is waited for if it is about to go, and left alone if not.
    fn check_owner(&self, found: &ObjectMeta) -> Result<(), Failure> {
        same_owner(found, &self.metadata, self.kind.name)
    }

    fn api(&self, client: &Client) -> Api<DynamicObject> {
        Api::namespaced_with(client.clone(), &self.namespace, &(self.kind.resource)())
    }
}

/// A name is a function of what the object is for and its owner's UID is of one life: the same owner means the same object.
pub(crate) fn same_owner(found: &ObjectMeta, wanted: &ObjectMeta, kind: &'static str) -> Result<(), Failure> {
    let name = || wanted.name.clone().unwrap_or_default();
    let owners = wanted.owner_references.as_deref().unwrap_or_default();
    let found_owners = found.owner_references.as_deref().unwrap_or_default();
    let ours = owners
        .iter()
        .all(|owner| found_owners.iter().any(|other| other.uid == owner.uid));
    let of_an_earlier_life = owners.iter().any(|owner| {
        found_owners
            .iter()
            .any(|other| other.kind == owner.kind && other.name == owner.name && other.uid != owner.uid)
    });
    if found.deletion_timestamp.is_some() || (!ours && of_an_earlier_life) {
        Err(Failure::Leaving { kind, name: name() })
    } else if ours {
        Ok(())
    } else {
        Err(Failure::Taken { kind, name: name() })
    }
}

/// Children of this pipeline that go, known by `Kind/name`, pods first.
pub(crate) fn leaving<'a>(
    room: &'a Room,
    pipeline: &'a ValidatedPipeline,
    goes: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = (&'static Kind, ObjectId)> + 'a {
    let children = KINDS.iter().flat_map(|kind| {
        let shelf = room.children.get(kind.name);
        shelf.into_iter().flatten().map(move |(_, child)| (kind, child))
    });
    children
        .filter(|(_, child)| is_owned(child, pipeline) && child.metadata.deletion_timestamp.is_none())
        .filter_map(|(kind, child)| Some((kind, ObjectId::of(&child.metadata)?)))
        .filter(move |(kind, id)| goes(&format!("{}/{}", kind.name, id.name)))
}

fn is_owned(child: &Arc<StoredChild>, pipeline: &ValidatedPipeline) -> bool {
    let owners = child.metadata.owner_references.as_deref().unwrap_or_default();
    owners.iter().any(|owner| owner.uid == pipeline.uid)
}

/// Deletes exactly this object; that it is gone already is fine. Tells whether there was anything to delete.
pub(crate) async fn delete<K>(api: &Api<K>, kind: &'static str, id: &ObjectId) -> Result<bool, CallError>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let exactly = Preconditions {
        uid: Some(id.uid.clone()),
        resource_version: None,
    };
    let parameters = DeleteParams::background().preconditions(exactly);
    let deleted = api.delete(&id.name, &parameters);
    match call(|| format!("delete {kind} {}", id.name), deleted).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(false),
        Err(error) => Err(error),
    }
}

/// What changes when somebody else changes what we wrote.
fn fingerprint(metadata: &ObjectMeta) -> String {
    let uid = metadata.uid.as_deref().unwrap_or_default();
    match metadata.generation {
        Some(generation) => format!("{uid}/{generation}"),
        None => format!("{uid}@{}", metadata.resource_version.as_deref().unwrap_or_default()),
    }
}
