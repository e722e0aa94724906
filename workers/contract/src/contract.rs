//! A compiled contract: checks events and finds what identifies them. No network.

use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use jsonschema::{Draft, PatternOptions, Validator};
use medallion_crds::Reason;
use medallion_crds::launch::{ContractSettings, schema_digest};

use crate::canonical::digest;
use crate::cell::{self, Cell};
use crate::column::{Column, extra_column, metadata_columns};
use crate::document::Node;
use crate::number::{ExactNumber, is_plain_integer};
use crate::refusal::{Refusal, from_schema_error};
use crate::rules::Rules;
use crate::schema::{self, ContractError, Target};

/// Longest event in bytes: an item of the table holds 400 KB, and the item is a little more than the event.
pub const MAX_EVENT_BYTES: usize = 350 * 1024;
/// Longest key in bytes: the limit of a partition key.
pub const MAX_KEY_BYTES: usize = 2048;
/// Longest event id in bytes: the limit of a sort key.
pub const MAX_EVENT_ID_BYTES: usize = 1024;

/// Seconds of 1900-01-01 and 2200-01-01: an event time outside is a mistake of the sender's clock or units.
const EVENT_TIMES: std::ops::Range<i64> = -2_208_988_800..7_258_118_400;

/// JSON Pointers to what identifies and orders an event.
#[derive(Clone, Copy, Debug)]
pub struct Pointers<'p> {
    /// To the key.
    pub key: &'p str,
    /// To the event id.
    pub event_id: &'p str,
    /// To the event time.
    pub event_time: &'p str,
    /// To the event version, if events have one.
    pub event_version: Option<&'p str>,
}

impl<'p> From<&'p ContractSettings> for Pointers<'p> {
    fn from(settings: &'p ContractSettings) -> Self {
        Self {
            key: &settings.key,
            event_id: &settings.event_id,
            event_time: &settings.event_time,
            event_version: settings.event_version.as_deref(),
        }
    }
}

/// A compiled contract.
pub struct Contract {
    digest: String,
    validator: Validator,
    columns: Vec<Column>,
    required: Vec<String>,
    rules: Rules,
    key: Vec<String>,
    event_id: Vec<String>,
    event_time: Vec<String>,
    version_path: Option<Vec<String>>,
}

/// What identifies and orders an event that fits its contract.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Canonical text of the key: a string is its text, a number its shortest plain decimal.
    pub key: String,
    /// Canonical text of the event id.
    pub event_id: String,
    /// When the event happened.
    pub event_time: Timestamp,
    /// The event version, if the contract names one and the event has it.
    pub version: Option<i64>,
    /// Hex SHA-256 of the canonical form of the event: equal data, equal digest.
    pub digest: String,
}

impl fmt::Debug for Contract {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Contract")
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Contract {
    /// Compiles a contract from the text of its JSON Schema (draft 2020-12) and its pointers.
    pub fn compile(schema_text: &str, pointers: &Pointers<'_>) -> Result<Self, ContractError> {
        let root = Node::parse(schema_text)?;
        schema::check_dialect(&root)?;
        let columns = schema::columns(&root)?;
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            // A misspelt format would check nothing.
            .should_ignore_unknown_formats(false)
            // Linear time: no pattern and no event can make a match explode.
            .with_pattern_options(PatternOptions::regex())
            .offline()
            .build(&root.to_value())
            .map_err(|error| ContractError::Invalid {
                pointer: error.instance_path().to_string(),
                message: error.to_string(),
            })?;
        let digest = digest(&root);
        Ok(Self {
            rules: Rules::of(&root, &digest),
            digest,
            validator,
            columns,
            required: schema::required(&root),
            key: schema::path(&root, "key", pointers.key, Target::Identity)?,
            event_id: schema::path(&root, "eventId", pointers.event_id, Target::Identity)?,
            event_time: schema::path(&root, "eventTime", pointers.event_time, Target::Time)?,
            version_path: pointers
                .event_version
                .map(|pointer| schema::path(&root, "eventVersion", pointer, Target::Version))
                .transpose()?,
        })
    }

    /// Compiles the contract that admits new events, as it is mounted for a worker. The text must be the one that the settings were
    /// written for: nobody has looked at another yet, or it was refused.
    pub fn mounted(settings: &ContractSettings) -> Result<Self, ContractError> {
        let path = Path::new(settings.schema_path());
        let schema_text = read(path)?;
        if schema_digest(&schema_text) != settings.schema_digest() {
            return Err(ContractError::Changed {
                path: path.display().to_string(),
            });
        }
        Self::compile(&schema_text, &settings.into())
    }

    /// Compiles a contract whose schema is mounted as a file.
    pub fn from_file(path: &Path, pointers: &Pointers<'_>) -> Result<Self, ContractError> {
        Self::compile(&read(path)?, pointers)
    }

    /// What a version of the contract is known by: hex SHA-256 of the canonical form of its schema.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What it asks of events, for later versions to be held against.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The contract's own columns: its top-level properties in the order in which they are written.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Whether every event must have this top-level property.
    pub(crate) fn requires(&self, property: &str) -> bool {
        self.required.iter().any(|name| name == property)
    }

    /// All columns of a Bronze file: metadata, the contract's own, the rest.
    pub fn bronze_columns(&self) -> Vec<Column> {
        let mut columns = metadata_columns();
        columns.extend(self.columns.iter().cloned());
        columns.push(extra_column());
        columns
    }

    /// Checks one event: the JSON text of one object.
    pub fn check(&self, event: &[u8]) -> Result<Event, Refusal> {
        self.judge(event).map_err(Refusal::bounded)
    }

    fn judge(&self, event: &[u8]) -> Result<Event, Refusal> {
        if event.len() > MAX_EVENT_BYTES {
            let message = format!("the event has {} bytes, more than {MAX_EVENT_BYTES}", event.len());
            return Err(Refusal::new("", Reason::EventTooLarge, message));
        }
        let text = std::str::from_utf8(event)
            .map_err(|_| Refusal::new("", Reason::MalformedJson, "the event is not UTF-8 text"))?;
        let document = self.read(text)?;
        for column in &self.columns {
            cell::fit(column, document.member(&column.name))?;
        }
        Ok(Event {
            key: identity(&document, &self.key, MAX_KEY_BYTES)?,
            event_id: identity(&document, &self.event_id, MAX_EVENT_ID_BYTES)?,
            event_time: self.event_time(&document)?,
            version: self.event_version(&document)?,
            digest: digest(&document),
        })
    }

    /// Reads a text and checks it against the JSON Schema.
    pub(crate) fn read<'a>(&self, text: &'a str) -> Result<Node<'a>, Refusal> {
        let document = Node::parse(text)?;
        if !matches!(document, Node::Object { .. }) {
            return Err(Refusal::new("", Reason::NotAnObject, "an event must be a JSON object"));
        }
        self.validator
            .validate(&document.to_value())
            .map_err(|error| from_schema_error(&error))?;
        Ok(document)
    }

    /// The event's values as the columns want them.
    pub(crate) fn cells<'a>(&self, document: &'a Node<'a>) -> Result<Vec<Cell<'a>>, Refusal> {
        self.columns
            .iter()
            .map(|column| cell::fit(column, document.member(&column.name)))
            .collect()
    }

    /// When the event happened.
    pub(crate) fn event_time(&self, document: &Node<'_>) -> Result<Timestamp, Refusal> {
        let text = document
            .descend(&self.event_time)
            .and_then(Node::as_str)
            .unwrap_or_default();
        cell::timestamp(text)
            .and_then(|time| {
                if EVENT_TIMES.contains(&time.as_second()) {
                    Ok(time)
                } else {
                    Err(Refusal::new(
                        "",
                        Reason::TimeOutOfRange,
                        "the event time is not in the years 1900 to 2199 (UTC)",
                    ))
                }
            })
            .map_err(|refusal| elsewhere(refusal, &self.event_time))
    }

    /// The event's version, if contract and event have one.
    pub(crate) fn event_version(&self, document: &Node<'_>) -> Result<Option<i64>, Refusal> {
        let Some(path) = &self.version_path else {
            return Ok(None);
        };
        match document.descend(path) {
            Some(Node::Number(text)) => cell::integer(text)
                .map(Some)
                .map_err(|refusal| elsewhere(refusal, path)),
            _ => Ok(None),
        }
    }
}

/// The text of a schema that is mounted as a file.
fn read(path: &Path) -> Result<String, ContractError> {
    std::fs::read_to_string(path).map_err(|error| ContractError::File {
        path: path.display().to_string(),
        message: error.to_string(),
    })
}

/// Canonical text of a key or event id.
fn identity(document: &Node<'_>, path: &[String], max_bytes: usize) -> Result<String, Refusal> {
    let text = match document.descend(path) {
        Some(Node::String(text)) => text.clone().into_owned(),
        Some(Node::Number(text)) if is_plain_integer(text) => (*text).to_owned(),
        Some(Node::Number(text)) => ExactNumber::parse(text)
            .map(|number| number.plain())
            .unwrap_or_default(),
        _ => String::new(),
    };
    let problem = if text.is_empty() {
        "the text is empty, so it identifies nothing".to_owned()
    } else if text.len() > max_bytes {
        format!("the text has {} bytes, more than {max_bytes}", text.len())
    } else {
        return Ok(text);
    };
    Err(elsewhere(Refusal::new("", Reason::IdentityLength, problem), path))
}

/// The same refusal with the pointer that the path stands for.
fn elsewhere(mut refusal: Refusal, path: &[String]) -> Refusal {
    refusal.field = String::new();
    path.iter()
        .rev()
        .fold(refusal, |refusal, segment| refusal.inside(segment))
}
