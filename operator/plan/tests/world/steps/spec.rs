//! What users and administrators change.

use super::super::{World, rules};

impl World {
    /// The user's YAML with changes, before the operator has seen it; null removes.
    pub fn start_from(&mut self, patch: serde_json::Value) {
        let mut spec = serde_json::to_value(&self.pipeline.spec).expect("a spec");
        merge(&mut spec, patch);
        self.pipeline.spec = serde_json::from_value(spec).expect("a spec");
        rules::of_pipelines(&self.pipeline, None).expect("the schema's rules");
    }

    pub(super) fn change_spec(&mut self, patch: serde_json::Value) {
        let mut spec = serde_json::to_value(&self.pipeline.spec).expect("a spec");
        merge(&mut spec, patch);
        let old = self.pipeline.clone();
        self.pipeline.spec = serde_json::from_value(spec).expect("a spec");
        rules::of_pipelines(&self.pipeline, Some(&old)).expect("the schema's rules");
        if self.pipeline.spec != old.spec {
            self.pipeline.metadata.generation = self.pipeline.metadata.generation.map(|generation| generation + 1);
        }
    }
}

pub(super) fn merge(target: &mut serde_json::Value, patch: serde_json::Value) {
    match (target, patch) {
        (serde_json::Value::Object(target), serde_json::Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    target.remove(&key);
                    continue;
                }
                merge(target.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        (target, patch) => *target = patch,
    }
}
