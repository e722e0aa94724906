//! An event as a client has it, and its identity. Touches no network.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

/// Two events of one key with one id are the same event.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Identity {
    pub key: String,
    pub id: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.key, self.id)
    }
}

/// An event and the text that is sent.
#[derive(Clone, Debug)]
pub struct Event {
    pub identity: Identity,
    pub text: String,
}

/// Where key and id stand in an event: the JSON Pointers of the contract.
#[derive(Clone, Debug)]
pub struct Pointers {
    pub key: String,
    pub id: String,
}

impl Pointers {
    /// The identity of an event; `None` where it has none.
    pub fn identity(&self, event: &Value) -> Option<Identity> {
        let text = |pointer: &str| match event.pointer(pointer)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        Some(Identity {
            key: text(&self.key)?,
            id: text(&self.id)?,
        })
    }

    /// An event from its JSON.
    pub fn event(&self, value: &Value) -> Option<Event> {
        Some(Event {
            identity: self.identity(value)?,
            text: value.to_string(),
        })
    }
}

/// The first few of a set, for messages.
pub fn some_of(all: &BTreeSet<Identity>) -> String {
    let mut shown: Vec<String> = all.iter().take(5).map(ToString::to_string).collect();
    if all.len() > shown.len() {
        shown.push(format!("and {} more", all.len() - shown.len()));
    }
    shown.join(", ")
}
