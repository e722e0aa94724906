//! Finds every fault of a JSON document, though a deserializer stops at the first. No network.
//!
//! Each fault is mended with a stand-in that the field's type takes, and the document is read again, until it can be read.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serde_path_to_error::{Path, Segment};

/// More faults than this are not looked for.
const MOST: usize = 64;

/// The paths that are wrong, each with what is wrong there.
pub(crate) fn faults_of<T: DeserializeOwned>(mut document: Value) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    let mut mended: Vec<String> = Vec::new();
    for _ in 0..MOST {
        let Some(fault) = Fault::first::<T>(&document) else {
            break;
        };
        // What a stand-in lacks is no fault of the author's.
        let is_own = !mended.iter().any(|place| is_inside(&fault.field, place));
        if is_own {
            faults.push((fault.field.clone(), fault.problem.clone()));
        }
        if !mend::<T>(&mut document, &fault) {
            break;
        }
        mended.push(fault.field);
    }
    faults
}

fn is_inside(field: &str, place: &str) -> bool {
    field
        .strip_prefix(place)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The first fault that a deserializer meets.
struct Fault {
    /// Path as people read it.
    field: String,
    /// JSON Pointer to the parent, and the last name or index.
    parent: String,
    last: String,
    problem: String,
}

impl Fault {
    fn first<T: DeserializeOwned>(document: &Value) -> Option<Self> {
        let error = serde_path_to_error::deserialize::<_, T>(document).err()?;
        let problem = error.inner().to_string();
        let mut segments = segments(error.path())?;
        let mut field = error.path().to_string();
        // The path of a missing field ends at its parent.
        if let Some(name) = problem
            .strip_prefix("missing field `")
            .and_then(|rest| rest.split('`').next())
        {
            field = if segments.is_empty() {
                name.to_owned()
            } else {
                format!("{field}.{name}")
            };
            segments.push(name.to_owned());
        }
        let last = segments.pop()?;
        let parent = if segments.is_empty() {
            String::new()
        } else {
            format!("/{}", segments.join("/"))
        };
        Some(Self {
            field,
            parent,
            last,
            problem,
        })
    }
}

/// The names and indices of a path; `None` if a part of it is not known.
fn segments(path: &Path) -> Option<Vec<String>> {
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

/// Removes what is unknown, or puts a stand-in where something is missing or wrong; false if nothing helps.
fn mend<T: DeserializeOwned>(document: &mut Value, fault: &Fault) -> bool {
    if fault.problem.starts_with("unknown field") {
        let parent = document.pointer_mut(&fault.parent).and_then(Value::as_object_mut);
        return parent.is_some_and(|parent| parent.remove(&unescaped(&fault.last)).is_some());
    }
    // An enum says what it takes.
    let expected = fault.problem.split("expected").nth(1).unwrap_or_default();
    let words = expected.split('`').skip(1).step_by(2).map(Value::from);
    let others = [
        json!("1970-01-01T00:00:00Z"),
        json!(1),
        json!({}),
        json!([]),
        json!(true),
    ];
    words.chain(others).any(|stand_in| {
        put(document, fault, stand_in) && Fault::first::<T>(document).is_none_or(|next| next.field != fault.field)
    })
}

fn put(document: &mut Value, fault: &Fault, stand_in: Value) -> bool {
    match document.pointer_mut(&fault.parent) {
        Some(Value::Object(members)) => {
            members.insert(unescaped(&fault.last), stand_in);
            true
        }
        Some(Value::Array(items)) => match fault.last.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
            Some(item) => {
                *item = stand_in;
                true
            }
            None => false,
        },
        _ => false,
    }
}

fn unescaped(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}
