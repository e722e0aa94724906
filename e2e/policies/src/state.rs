//! An applied state as `tofu show -json` prints it: its resources, whichever module they are in. Touches no network.

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

/// All resources of a state.
pub struct State(Vec<Resource>);

/// One resource of it.
#[derive(Debug, Deserialize)]
pub struct Resource {
    pub address: String,
    mode: String,
    /// As `aws_iam_role`.
    #[serde(rename = "type")]
    pub kind: String,
    /// In its module, as `worker` of `aws_iam_role.worker["loader"]`.
    pub name: String,
    #[serde(default)]
    index: Value,
    #[serde(default)]
    pub values: Value,
}

#[derive(Deserialize)]
struct Shown {
    values: Values,
}

#[derive(Deserialize)]
struct Values {
    root_module: Module,
}

#[derive(Deserialize)]
struct Module {
    #[serde(default)]
    resources: Vec<Resource>,
    #[serde(default)]
    child_modules: Vec<Module>,
}

impl State {
    /// From what was printed.
    pub fn read(shown: &Value) -> Result<Self> {
        let shown = Shown::deserialize(shown).context("this is no state as `tofu show -json` prints it")?;
        let mut resources = Vec::new();
        gather(shown.values.root_module, &mut resources);
        Ok(Self(resources))
    }

    /// Those of a type.
    pub fn of(&self, kind: &str) -> impl Iterator<Item = &Resource> {
        self.0.iter().filter(move |resource| resource.kind == kind)
    }
}

fn gather(module: Module, into: &mut Vec<Resource>) {
    into.extend(
        module
            .resources
            .into_iter()
            .filter(|resource| resource.mode == "managed"),
    );
    for child in module.child_modules {
        gather(child, into);
    }
}

impl Resource {
    /// An attribute that must be there, and be a text.
    pub fn text(&self, name: &str) -> Result<&str> {
        let found = self.values[name].as_str();
        found.with_context(|| format!("{} has no {name}", self.address))
    }

    /// Which of several it is, where `for_each` made it.
    pub fn key(&self) -> Option<&str> {
        self.index.as_str()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn resources_are_found_in_modules_of_modules_and_data_is_none() {
        let role = |mode: &str, key: &str| {
            json!({"address": format!("module.a.aws_iam_role.worker[\"{key}\"]"), "mode": mode, "type": "aws_iam_role",
                   "name": "worker", "index": key, "values": {"arn": key}})
        };
        let inner = json!({"resources": [role("managed", "loader"), role("data", "other")]});
        let shown = json!({"values": {"root_module": {"child_modules": [{"child_modules": [inner]}]}}});
        let state = State::read(&shown).unwrap();
        let found: Vec<_> = state.of("aws_iam_role").collect();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].key(), found[0].text("arn").unwrap()),
            (Some("loader"), "loader")
        );
        assert!(
            found[0]
                .text("name")
                .unwrap_err()
                .to_string()
                .contains("aws_iam_role.worker")
        );
        assert!(State::read(&json!({"format_version": "1.0"})).is_err());
    }
}
