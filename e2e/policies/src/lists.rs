//! The lists beside the modules: rights that no recorded call uses, and resources that AWS knows no narrower name for. Reads files.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

/// Rights that a policy has although no call of ours uses them, each with the page of AWS that demands it.
pub const IMPLIED: &str = "implied-actions.json";
/// Actions that AWS knows no resource for.
pub const STARS: &str = "star-resources.json";
/// Rights that a worker uses in the stories alone, because Terraform does in an account what it does there.
pub const ELSEWHERE: &str = "not-in-the-account.json";

/// One entry of a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    #[serde(default)]
    workers: Vec<String>,
    #[serde(default)]
    functions: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    action: Option<String>,
    #[serde(default)]
    actions: Vec<String>,
    because: String,
    read: String,
}

/// All of a kind.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    pub implied: Vec<Entry>,
    pub stars: Vec<Entry>,
    pub elsewhere: Vec<Entry>,
}

impl Lists {
    /// Those of all modules, and those beside the recorded calls.
    pub fn read(modules: &Path, recorded: &Path) -> Result<Self> {
        let mut lists = Self::default();
        let mut folders = fs::read_dir(modules)
            .with_context(|| modules.display().to_string())?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<Vec<_>>>()?;
        folders.sort();
        for folder in folders {
            lists.implied.extend(entries(&folder.join(IMPLIED))?);
            lists.stars.extend(entries(&folder.join(STARS))?);
        }
        lists.implied.extend(entries(&recorded.join(IMPLIED))?);
        lists.elsewhere = entries(&recorded.join(ELSEWHERE))?;
        Ok(lists)
    }
}

fn entries(file: &Path) -> Result<Vec<Entry>> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    let entries: Vec<Entry> = serde_json::from_slice(&fs::read(file)?).with_context(|| file.display().to_string())?;
    for entry in &entries {
        ensure!(
            !entry.because.is_empty() && entry.read.starts_with("https://docs.aws.amazon.com/"),
            "{}: {:?} has no reason, or no page of AWS's documentation",
            file.display(),
            entry.actions().collect::<Vec<_>>()
        );
        ensure!(
            entry.actions().next().is_some() && entry.identities().next().is_some(),
            "{}: an entry is about nobody or nothing",
            file.display()
        );
    }
    Ok(entries)
}

impl Entry {
    /// Whom it is about, as they are called in the checks.
    pub fn identities(&self) -> impl Iterator<Item = String> {
        let functions = self.functions.iter().map(|function| format!("{function}-function"));
        self.workers.iter().chain(&self.roles).cloned().chain(functions)
    }

    pub fn actions(&self) -> impl Iterator<Item = &str> {
        self.action.iter().chain(&self.actions).map(String::as_str)
    }

    /// Whether it says something of an identity's action.
    pub fn is_about(&self, identity: &str, action: &str) -> bool {
        self.identities().any(|one| one == identity) && self.actions().any(|one| one.eq_ignore_ascii_case(action))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<Lists> {
        written_in("modules/iam_roles", text)
    }

    fn written_in(place: &str, text: &str) -> Result<Lists> {
        let folder = tempfile::tempdir()?;
        let (modules, recorded) = (folder.path().join("modules"), folder.path().join("recorded"));
        fs::create_dir_all(&modules)?;
        fs::create_dir_all(&recorded)?;
        let place = folder.path().join(place);
        fs::create_dir_all(&place)?;
        fs::write(place.join(IMPLIED), text)?;
        Lists::read(&modules, &recorded)
    }

    #[test]
    fn what_no_story_asks_for_is_listed_beside_the_recorded_calls() {
        let text = r#"[{"workers": ["provisioner"], "action": "a:B", "because": "no story has it", "read": "https://docs.aws.amazon.com/x"}]"#;
        let lists = written_in("recorded", text).unwrap();
        assert!(lists.implied[0].is_about("provisioner", "a:B"));
    }

    #[test]
    fn an_entry_is_about_workers_functions_and_other_roles() {
        let lists = written(
            r#"[{"workers": ["exporter"], "functions": ["exporter"], "roles": ["copy"], "action": "kms:Decrypt", "because": "it is so",
                 "read": "https://docs.aws.amazon.com/kms/"}]"#,
        )
        .unwrap();
        for identity in ["exporter", "exporter-function", "copy"] {
            assert!(lists.implied[0].is_about(identity, "KMS:decrypt"), "{identity}");
        }
        assert!(!lists.implied[0].is_about("gateway", "kms:Decrypt"));
        assert!(!lists.implied[0].is_about("copy", "kms:Encrypt"));
    }

    #[test]
    fn an_entry_without_a_reason_a_page_or_a_name_is_refused() {
        for text in [
            r#"[{"workers": ["a"], "action": "b", "because": "", "read": "https://docs.aws.amazon.com/x"}]"#,
            r#"[{"workers": ["a"], "action": "b", "because": "c", "read": "https://example.org/x"}]"#,
            r#"[{"workers": ["a"], "because": "c", "read": "https://docs.aws.amazon.com/x"}]"#,
            r#"[{"action": "b", "because": "c", "read": "https://docs.aws.amazon.com/x"}]"#,
            r#"[{"workers": ["a"], "action": "b", "because": "c", "page": "https://docs.aws.amazon.com/x"}]"#,
        ] {
            assert!(written(text).is_err(), "{text}");
        }
    }
}
