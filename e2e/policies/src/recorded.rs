//! What the workers asked of AWS in the stories, each call once. Reads and writes files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

/// A call without what differs from one pipeline, run or day to the next: places such as `{gold}` stand for them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// As IAM calls it.
    pub action: String,
    pub resource: String,
    /// Condition keys that the request itself has a value for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<String, String>,
}

/// The calls of each identity: workers, and the functions in their place.
pub type Recorded = BTreeMap<String, BTreeSet<Call>>;

const ENDING: &str = ".jsonl";

/// A folder with a file for each identity, and a line in it for each call.
pub fn read(folder: &Path) -> Result<Recorded> {
    let mut recorded = Recorded::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(identity) = name.strip_suffix(ENDING) else {
            continue;
        };
        let text = fs::read_to_string(&path)?;
        let mut calls = BTreeSet::new();
        for (number, line) in text.lines().enumerate() {
            let what = || format!("{}, line {}", path.display(), number + 1);
            let call = serde_json::from_str(line).with_context(what)?;
            ensure!(calls.insert(call), "{}: this call was there before", what());
        }
        recorded.insert(identity.to_owned(), calls);
    }
    ensure!(!recorded.is_empty(), "{} has no recorded calls", folder.display());
    Ok(recorded)
}

/// Writes a file for each identity, its calls in order.
pub fn write(folder: &Path, recorded: &Recorded) -> Result<()> {
    fs::create_dir_all(folder)?;
    for (identity, calls) in recorded {
        let mut text = String::new();
        for call in calls {
            text.push_str(&serde_json::to_string(call)?);
            text.push('\n');
        }
        fs::write(folder.join(format!("{identity}{ENDING}")), text)?;
    }
    Ok(())
}

/// Calls of a run that are not in the files, a line each.
pub fn unknown(known: &Recorded, seen: &Recorded) -> Vec<String> {
    let mut unknown = Vec::new();
    for (identity, calls) in seen {
        let known = known.get(identity);
        let is_new = |call: &&Call| known.is_none_or(|known| !known.contains(*call));
        unknown.extend(calls.iter().filter(is_new).map(|call| format!("{identity}: {call}")));
    }
    unknown
}

impl std::fmt::Display for Call {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} of {}", self.action, self.resource)?;
        for (key, value) in &self.conditions {
            write!(formatter, ", {key}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(action: &str) -> Call {
        Call {
            action: action.to_owned(),
            resource: "{gold}/x".to_owned(),
            conditions: BTreeMap::from([("s3:if-none-match".to_owned(), "*".to_owned())]),
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_a_new_call_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let known = Recorded::from([("loader".to_owned(), BTreeSet::from([call("s3:GetObject")]))]);
        write(folder.path(), &known).unwrap();
        fs::write(folder.path().join("README.md"), "no calls").unwrap();
        assert_eq!(read(folder.path()).unwrap(), known);

        let mut seen = known.clone();
        assert!(unknown(&known, &seen).is_empty());
        seen.get_mut("loader").unwrap().insert(call("s3:PutObject"));
        seen.insert("other".to_owned(), BTreeSet::from([call("s3:GetObject")]));
        assert_eq!(
            unknown(&known, &seen),
            [
                "loader: s3:PutObject of {gold}/x, s3:if-none-match=*",
                "other: s3:GetObject of {gold}/x, s3:if-none-match=*",
            ]
        );
    }

    #[test]
    fn a_line_that_is_no_call_or_was_there_before_is_an_error() {
        for text in [
            "{}\n",
            "{\"action\":\"a\",\"resource\":\"b\"}\n{\"action\":\"a\",\"resource\":\"b\"}\n",
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("loader.jsonl"), text).unwrap();
            assert!(
                read(folder.path())
                    .unwrap_err()
                    .to_string()
                    .contains("loader.jsonl, line")
            );
        }
        assert!(read(tempfile::tempdir().unwrap().path()).is_err());
    }
}
