//! JSON read strictly: bounded depth, no repeated names, numbers kept as the text they were. No network.

use std::borrow::Cow;
use std::fmt;

use medallion_crds::Reason;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::number::{ExactNumber, is_plain_integer};
use crate::refusal::Refusal;

/// Deepest nesting of objects and arrays.
const MAX_DEPTH: usize = 32;
/// Integers of at most this many characters need no range check.
const SHORT_INTEGER: usize = 20;

/// A JSON value that borrows from its text.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    Null,
    Boolean(bool),
    Number(&'a str),
    String(Cow<'a, str>),
    Array {
        text: &'a str,
        items: Vec<Node<'a>>,
    },
    /// Members are sorted by name, which look-ups and the canonical form rest on.
    Object {
        text: &'a str,
        members: Vec<Member<'a>>,
    },
}

/// One name and value of an object.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: Node<'a>,
    /// Place among its siblings as they were written.
    pub(crate) position: usize,
}

impl<'a> Node<'a> {
    /// Reads a whole text.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Refusal> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| malformed(&error))?;
        Self::read(raw.get(), 0)
    }

    fn read(text: &'a str, depth: usize) -> Result<Self, Refusal> {
        match text.as_bytes().first() {
            Some(b'{') => Self::read_object(text, deeper(depth)?),
            Some(b'[') => Self::read_array(text, deeper(depth)?),
            Some(b'"') => serde_json::from_str::<Text<'a>>(text)
                .map_err(|error| malformed(&error))
                .and_then(|Text(value)| without_nul(value))
                .map(Self::String),
            Some(b'n') => Ok(Self::Null),
            Some(b't') => Ok(Self::Boolean(true)),
            Some(b'f') => Ok(Self::Boolean(false)),
            _ => Self::read_number(text),
        }
    }

    fn read_object(text: &'a str, depth: usize) -> Result<Self, Refusal> {
        let Entries(entries) = serde_json::from_str(text).map_err(|error| malformed(&error))?;
        let mut members = Vec::with_capacity(entries.len());
        for (position, (name, raw)) in entries.into_iter().enumerate() {
            let name = without_nul(name)?;
            let value = Self::read(raw.get(), depth).map_err(|refusal| refusal.inside(&name))?;
            members.push(Member { name, value, position });
        }
        members.sort_by(|left, right| left.name.cmp(&right.name));
        if let Some(pair) = members.windows(2).find(|pair| pair[0].name == pair[1].name) {
            let refusal = Refusal::new(
                "",
                Reason::DuplicateField,
                "the name stands more than once in its object",
            );
            return Err(refusal.inside(&pair[0].name));
        }
        Ok(Self::Object { text, members })
    }

    fn read_array(text: &'a str, depth: usize) -> Result<Self, Refusal> {
        let raws: Vec<&'a RawValue> = serde_json::from_str(text).map_err(|error| malformed(&error))?;
        let items = raws
            .into_iter()
            .enumerate()
            .map(|(index, raw)| Self::read(raw.get(), depth).map_err(|refusal| refusal.inside(&index.to_string())))
            .collect::<Result<_, _>>()?;
        Ok(Self::Array { text, items })
    }

    fn read_number(text: &'a str) -> Result<Self, Refusal> {
        let short = text.len() <= SHORT_INTEGER && is_plain_integer(text);
        let in_range = short || (ExactNumber::parse(text).is_some() && text.parse::<f64>().is_ok_and(f64::is_finite));
        if in_range {
            Ok(Self::Number(text))
        } else {
            Err(Refusal::new(
                "",
                Reason::NumberOutOfRange,
                "the number is beyond the range of a double, or has more than 400 digits",
            ))
        }
    }

    /// The members, if this is an object.
    pub(crate) fn members(&self) -> &[Member<'a>] {
        match self {
            Self::Object { members, .. } => members,
            _ => &[],
        }
    }

    /// The member of this name, if this is an object that has it.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        let members = self.members();
        let index = members.binary_search_by(|member| member.name.as_ref().cmp(name)).ok()?;
        Some(&members[index].value)
    }

    /// The string, if this is one.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(value) => Some(value),
            _ => None,
        }
    }

    /// What a path of names leads to.
    pub(crate) fn descend(&self, path: &[String]) -> Option<&Self> {
        path.iter().try_fold(self, |node, name| node.member(name))
    }

    /// The JSON text: objects and arrays as they were written.
    pub(crate) fn json_text(&self) -> Cow<'a, str> {
        match self {
            Self::Null => Cow::Borrowed("null"),
            Self::Boolean(true) => Cow::Borrowed("true"),
            Self::Boolean(false) => Cow::Borrowed("false"),
            Self::Number(text) | Self::Array { text, .. } | Self::Object { text, .. } => Cow::Borrowed(text),
            Self::String(value) => Cow::Owned(Value::from(value.as_ref()).to_string()),
        }
    }

    /// For the validator, which knows numbers as integers and doubles only.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Boolean(value) => Value::Bool(*value),
            Self::Number(text) => number_value(text),
            Self::String(value) => Value::String(value.clone().into_owned()),
            Self::Array { items, .. } => items.iter().map(Self::to_value).collect(),
            Self::Object { members, .. } => Value::Object(
                members
                    .iter()
                    .map(|member| (member.name.clone().into_owned(), member.value.to_value()))
                    .collect(),
            ),
        }
    }
}

fn number_value(text: &str) -> Value {
    if let Ok(integer) = text.parse::<i64>() {
        return Value::from(integer);
    }
    if let Ok(integer) = text.parse::<u64>() {
        return Value::from(integer);
    }
    Value::from(text.parse::<f64>().unwrap_or_default())
}

fn deeper(depth: usize) -> Result<usize, Refusal> {
    if depth >= MAX_DEPTH {
        return Err(Refusal::new(
            "",
            Reason::TooDeep,
            format!("objects and arrays are nested deeper than {MAX_DEPTH} levels"),
        ));
    }
    Ok(depth + 1)
}

/// Warehouses cannot store U+0000 in text, so an event that holds it could never reach the end of its way.
fn without_nul(text: Cow<'_, str>) -> Result<Cow<'_, str>, Refusal> {
    if text.contains('\0') {
        return Err(Refusal::new(
            "",
            Reason::NulCharacter,
            "the text holds U+0000, which warehouses cannot store",
        ));
    }
    Ok(text)
}

fn malformed(error: &serde_json::Error) -> Refusal {
    Refusal::new("", Reason::MalformedJson, format!("the text is not JSON: {error}"))
}

/// A string that borrows where it can.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }
            fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(value)))
            }
            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(value.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// The members of an object as they were written, repeated names included.
struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((Text(name), raw)) =
                    map.next_entry::<Text<'de>, &'de RawValue>().map_err(A::Error::custom)?
                {
                    entries.push((name, raw));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", "", Reason::MalformedJson)]
    #[case("{\"a\":1", "", Reason::MalformedJson)]
    #[case("{} {}", "", Reason::MalformedJson)]
    #[case("{\"a\":\"\\ud800\"}", "/a", Reason::MalformedJson)]
    #[case("{\"a\":{\"b\":1,\"c\":2,\"b\":1}}", "/a/b", Reason::DuplicateField)]
    #[case("{\"a\":1,\"\\u0061\":2}", "/a", Reason::DuplicateField)]
    #[case("[{\"a/b\":1e999}]", "/0/a~1b", Reason::NumberOutOfRange)]
    #[case("{\"a\":1e-99999999999999}", "/a", Reason::NumberOutOfRange)]
    #[case("{\"a\":\"x\\u0000\"}", "/a", Reason::NulCharacter)]
    fn bad_text_is_refused_where_it_is_bad(#[case] text: &str, #[case] field: &str, #[case] reason: Reason) {
        let refusal = Node::parse(text).expect_err("bad text");
        assert_eq!((refusal.field.as_str(), refusal.reason), (field, reason));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Node::parse(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(
            Node::parse(&nested(MAX_DEPTH + 1)).expect_err("too deep").reason,
            Reason::TooDeep
        );
        assert_eq!(
            Node::parse(&nested(100_000)).expect_err("too deep").reason,
            Reason::TooDeep
        );
    }

    #[test]
    fn objects_and_numbers_keep_their_text() {
        let document = Node::parse(r#" {"b": 2.50, "a": { "x" : [1, 2] }} "#).expect("JSON");
        assert_eq!(document.member("b").expect("b").json_text(), "2.50");
        assert_eq!(document.member("a").expect("a").json_text(), r#"{ "x" : [1, 2] }"#);
    }
}
