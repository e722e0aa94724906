//! An object that may not be readable: one of them must not stop the watch of the others. No network.
//!
//! The guard that comes with the client reads every object into a tree of values, copies it, and takes it apart, on each event.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// An object, or why it could not be read.
#[derive(Clone, Debug)]
pub(crate) struct Guarded<K>(pub Result<K, Unreadable>);

/// An object that could not be read.
#[derive(Clone, Debug)]
pub(crate) struct Unreadable {
    pub error: String,
    pub metadata: ObjectMeta,
}

#[derive(Deserialize)]
struct MetadataAlone {
    metadata: ObjectMeta,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let error = match serde_json::from_str(text.get()) {
            Ok(object) => return Ok(Self(Ok(object))),
            Err(error) => error.to_string(),
        };
        let MetadataAlone { metadata } = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        // Where in the text it is says nothing to people, who never see it.
        let error = error.rsplit_once(" at line ").map_or(&*error, |(words, _)| words);
        Ok(Self(Err(Unreadable {
            error: error.to_owned(),
            metadata,
        })))
    }
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|unreadable| &unreadable.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0
            .as_mut()
            .map_or_else(|unreadable| &mut unreadable.metadata, K::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt;
    use kube::core::{ObjectList, WatchEvent};
    use medallion_plan::Pod;

    use super::*;

    const GOOD: &str = r#"{"metadata": {"name": "good"}, "status": {"phase": "Running"}}"#;
    const BAD: &str = r#"{"metadata": {"name": "bad"}, "status": {"phase": 7}}"#;

    #[test]
    fn what_cannot_be_read_is_known_by_its_metadata_and_the_others_are_read() {
        let text = format!(
            r#"{{"kind": "PodList", "apiVersion": "v1", "metadata": {{"resourceVersion": "1"}}, "items": [{BAD}, {GOOD}]}}"#
        );
        let list: ObjectList<Guarded<Pod>> = serde_json::from_str(&text).unwrap();
        let [bad, good] = &list.items[..] else {
            panic!("two pods")
        };
        assert_eq!((bad.name_any(), good.name_any()), ("bad".to_owned(), "good".to_owned()));
        assert!(good.0.is_ok());
        let error = &bad.0.as_ref().unwrap_err().error;
        assert!(
            error.contains("invalid type: integer `7`") && !error.contains("line"),
            "{error}"
        );
    }

    #[test]
    fn an_event_is_read_alike() {
        for (object, readable) in [(GOOD, true), (BAD, false)] {
            let text = format!(r#"{{"type": "ADDED", "object": {object}}}"#);
            let event: WatchEvent<Guarded<Pod>> = serde_json::from_str(&text).unwrap();
            let WatchEvent::Added(pod) = event else {
                panic!("an object that was added")
            };
            assert_eq!(pod.0.is_ok(), readable);
        }
    }
}
