//! What a contract asks of an event, property by property, so that a later version can be held against it. No network.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::canonical::{self, digest_of};
use crate::document::Node;
use crate::schema::{locate, required};

/// Domain of the Bronze table's log with the rules of the contract by which rows are written.
pub const CONTRACT_DOMAIN: &str = "medallion.contract";

/// Longest text, in bytes, of what stands beside a keyword that is kept as it is; of a longer one its digest is, and then
/// nothing may change there. Lists of hundreds of codes and orders with all their lines are shorter.
const MAX_TEXT: usize = 32 * 1024;
/// What a schema refers to, beside its keywords.
const REFERENCES: &str = "$refs";

/// Keywords beside which plain data stands. Keywords that are in none of these lists check nothing.
const DATA: [&str; 24] = [
    "$dynamicRef",
    "$ref",
    "const",
    "dependentRequired",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "required",
    "type",
    "uniqueItems",
    "x-decimal",
];
/// Those of them beside which the order of a list says nothing.
const SETS: [&str; 3] = ["enum", "required", "type"];
/// Keywords beside which a schema stands, or a list of schemas.
const SCHEMAS: [&str; 14] = [
    "additionalProperties",
    "allOf",
    "anyOf",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "oneOf",
    "prefixItems",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords beside which schemas stand by names. `dependencies` is of older drafts, and is checked all the same.
const NAMED: [&str; 4] = ["dependencies", "dependentSchemas", "patternProperties", "properties"];
/// Keywords of the whole schema that are looked at one by one, or that only hold what others refer to.
const BESIDE: [&str; 4] = ["$defs", "definitions", "properties", "required"];
/// Keywords that only ever refuse, each by itself: without them nothing is refused that was not before.
const LIMITS: [&str; 21] = [
    "additionalProperties",
    "const",
    "dependencies",
    "dependentRequired",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "propertyNames",
    "required",
    "uniqueItems",
];

/// What a schema asks, by keyword, without titles and the like.
type Checks = BTreeMap<String, String>;

/// What a version of a contract asks of events, as the log of Bronze keeps it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rules {
    /// The version's digest.
    digest: String,
    /// The top-level names that every event must have.
    required: BTreeSet<String>,
    /// What is asked of an event as a whole.
    event: Checks,
    /// What is asked of each top-level property.
    properties: BTreeMap<String, Checks>,
}

impl Rules {
    /// The rules that a log has; none where it has none that are understood, as before the first commit by this release.
    pub fn read(position: Option<&Value>) -> Option<Self> {
        Self::deserialize(position?).ok()
    }

    /// The rules as the log keeps them.
    pub fn to_position(&self) -> Value {
        // Maps of texts always can be written.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Digest of the version whose rules these are.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    pub(crate) fn of<'n>(root: &'n Node<'n>, digest: &str) -> Self {
        let properties = root.member("properties").map(Node::members).unwrap_or_default();
        Self {
            digest: digest.to_owned(),
            required: required(root).into_iter().collect(),
            event: checks(root, root, &BESIDE),
            properties: properties
                .iter()
                .map(|member| (member.name.clone().into_owned(), checks(root, &member.value, &[])))
                .collect(),
        }
    }

    /// The names that every event must have, and did not have to by the earlier rules.
    pub(crate) fn newly_required<'r>(&'r self, earlier: &'r Self) -> impl Iterator<Item = &'r str> {
        self.required.difference(&earlier.required).map(String::as_str)
    }

    /// The properties of both of which more is asked now, or something that cannot be compared.
    pub(crate) fn narrowed<'r>(&'r self, earlier: &'r Self) -> impl Iterator<Item = &'r str> {
        self.properties.iter().filter_map(|(property, now)| {
            let was = earlier.properties.get(property)?;
            (!ask_no_more(was, now)).then_some(property.as_str())
        })
    }

    /// Whether more is asked of events as a whole, or something that cannot be compared.
    pub(crate) fn narrows_events(&self, earlier: &Self) -> bool {
        !ask_no_more(&earlier.event, &self.event)
    }
}

/// What a schema asks, the names in `without` left out.
fn checks<'n>(root: &'n Node<'n>, schema: &'n Node<'n>, without: &[&str]) -> Checks {
    if matches!(schema, Node::Boolean(false)) {
        return Checks::from([("not".to_owned(), "{}".to_owned())]);
    }
    let own = keywords(schema)
        .filter(|(name, _)| !without.contains(name))
        .map(|(name, text)| (name.to_owned(), kept(text)));
    let others = references(root, schema, without).map(|text| (REFERENCES.to_owned(), kept(text)));
    own.chain(others).collect()
}

fn kept(text: String) -> String {
    if text.len() > MAX_TEXT { digest_of(&text) } else { text }
}

/// The keywords of a schema that check something, and what stands beside them.
fn keywords<'n>(schema: &'n Node<'n>) -> impl Iterator<Item = (&'n str, String)> {
    schema
        .members()
        .iter()
        .filter_map(|member| Some((&*member.name, keyword(&member.name, &member.value)?)))
}

fn keyword(name: &str, value: &Node<'_>) -> Option<String> {
    if DATA.contains(&name) {
        return Some(match value {
            Node::Array { items, .. } if SETS.contains(&name) => {
                let mut texts: Vec<String> = items.iter().map(canonical::text).collect();
                texts.sort_unstable();
                list(&texts)
            }
            _ => canonical::text(value),
        });
    }
    if SCHEMAS.contains(&name) {
        return Some(schema_text(value));
    }
    NAMED.contains(&name).then(|| {
        let named = value.members().iter();
        object(named.map(|member| (&*member.name, schema_text(&member.value))))
    })
}

/// The text of a schema, or of a list of schemas, as far as it checks something.
fn schema_text(schema: &Node<'_>) -> String {
    match schema {
        Node::Object { .. } => object(keywords(schema)),
        Node::Array { items, .. } => list(&items.iter().map(schema_text).collect::<Vec<_>>()),
        other => canonical::text(other),
    }
}

fn object<'n>(members: impl Iterator<Item = (&'n str, String)>) -> String {
    let members: Vec<String> = members
        .map(|(name, text)| format!("{}:{text}", Value::from(name)))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn list(texts: &[String]) -> String {
    format!("[{}]", texts.join(","))
}

/// What may become of a part of a schema, for the whole to let through no less.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    /// A schema that may let through more.
    Grows,
    /// Such schemas by names.
    Named,
    /// Anything else: where less is let through when this lets through more, as beside `not`, it has to stay as it is.
    Stays,
}

impl Part {
    /// What stands beside a name in it.
    fn beside(self, name: &str) -> Self {
        match (self, name) {
            (Self::Named, _) | (Self::Grows, "items") => Self::Grows,
            (Self::Grows, "properties") => Self::Named,
            _ => Self::Stays,
        }
    }
}

/// All that a schema refers to, at any remove, by reference: the text of what may let through more, so that a later one can
/// be held against it, and of anything else the digest. None where it refers to nothing.
fn references<'n>(root: &'n Node<'n>, schema: &'n Node<'n>, without: &[&str]) -> Option<String> {
    let mut found: BTreeMap<&'n str, (String, bool)> = BTreeMap::new();
    let mut open = vec![(schema, Part::Grows)];
    while let Some((node, part)) = open.pop() {
        if let Node::Array { items, .. } = node {
            open.extend(items.iter().map(|item| (item, Part::Stays)));
        }
        for member in node.members() {
            let name: &str = &member.name;
            if std::ptr::eq(node, schema) && without.contains(&name) {
                continue;
            }
            match member.value.as_str() {
                Some(reference) if matches!(name, "$ref" | "$dynamicRef") => {
                    let target = target(root, name, reference);
                    let grows = part == Part::Grows && target.is_some();
                    if found.get(reference).is_some_and(|(_, known)| grows || !known) {
                        continue;
                    }
                    // What no name leads to may be anything in the schema.
                    let text = target.map_or_else(|| canonical::text(root), schema_text);
                    found.insert(reference, (text, grows));
                    open.extend(target.map(|target| (target, if grows { Part::Grows } else { Part::Stays })));
                }
                // What is only defined checks nothing.
                None if part == Part::Grows && matches!(name, "$defs" | "definitions") => {}
                _ => open.push((&member.value, part.beside(name))),
            }
        }
    }
    let texts = found.into_iter().map(|(reference, (text, grows))| {
        let text = if grows {
            text
        } else {
            Value::from(digest_of(&text)).to_string()
        };
        (reference, text)
    });
    let texts: Vec<(&str, String)> = texts.collect();
    (!texts.is_empty()).then(|| object(texts.into_iter()))
}

/// The schema that a reference leads to, by its place or, of those that always lead to the same, by its name.
fn target<'n>(root: &'n Node<'n>, keyword: &str, reference: &str) -> Option<&'n Node<'n>> {
    let name = reference.strip_prefix('#')?;
    locate(root, name).or_else(|| if keyword == "$ref" { anchored(root, name) } else { None })
}

/// The schema that calls itself so.
fn anchored<'n>(node: &'n Node<'n>, anchor: &str) -> Option<&'n Node<'n>> {
    let own = ["$anchor", "$dynamicAnchor"].map(|keyword| node.member(keyword).and_then(Node::as_str));
    if own.contains(&Some(anchor)) {
        return Some(node);
    }
    let items: &[Node<'_>] = match node {
        Node::Array { items, .. } => items,
        _ => &[],
    };
    let mut inner = items.iter().chain(node.members().iter().map(|member| &member.value));
    inner.find_map(|inner| anchored(inner, anchor))
}

/// Whether everything that passed the earlier checks passes these, as far as their keywords tell. That something is
/// referred to at all is told by the keyword that does.
fn ask_no_more(earlier: &Checks, later: &Checks) -> bool {
    let same_or_wider = |keyword: &str, was: &str, now: &str| was == now || is_wider(keyword, was, now);
    let was_one_of = |values: &str| {
        earlier
            .get("const")
            .is_some_and(|was| items(values).contains(was.as_str()))
    };
    later.iter().all(|(keyword, now)| match earlier.get(keyword) {
        Some(was) => same_or_wider(keyword, was, now),
        None => keyword == REFERENCES || asks_nothing(keyword, now) || (keyword == "enum" && was_one_of(now)),
    }) && earlier
        .keys()
        .all(|keyword| later.contains_key(keyword) || keyword == REFERENCES || LIMITS.contains(&keyword.as_str()))
}

/// Whether a keyword refuses nothing with what stands beside it.
fn asks_nothing(keyword: &str, text: &str) -> bool {
    matches!(
        (keyword, text),
        ("additionalProperties" | "propertyNames", "true" | "{}") | ("uniqueItems", "false") | ("required", "[]")
    )
}

fn is_wider(keyword: &str, was: &str, now: &str) -> bool {
    match keyword {
        "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => is_less(was, now),
        "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" => is_less(now, was),
        "enum" => items(now).is_superset(&items(was)),
        "required" => items(now).is_subset(&items(was)),
        // Another type beside null would be laid out in another way.
        "type" => {
            let (was, now) = (items(was), items(now));
            now.is_superset(&was) && now.difference(&was).all(|name| *name == r#""null""#)
        }
        "items" => is_wider_schema(was, now),
        "additionalProperties" | "propertyNames" => {
            was == "false" || asks_nothing(keyword, now) || is_wider_schema(was, now)
        }
        "uniqueItems" => asks_nothing(keyword, now),
        // A reference that is new, or gone, is in something that has changed and is judged there.
        REFERENCES => match (members(was), members(now)) {
            (Some(was), Some(now)) => now
                .iter()
                .all(|(name, now)| was.get(name).is_none_or(|was| was == now || is_wider_schema(was, now))),
            _ => false,
        },
        // As at the top: names may be new, none may have gone.
        "properties" => match (members(was), members(now)) {
            (Some(was), Some(now)) => was
                .iter()
                .all(|(name, was)| now.get(name).is_some_and(|now| was == now || is_wider_schema(was, now))),
            _ => false,
        },
        _ => false,
    }
}

fn is_wider_schema(was: &str, now: &str) -> bool {
    match (members(was), members(now)) {
        (Some(was), Some(now)) => ask_no_more(&was, &now),
        _ => false,
    }
}

/// Names and texts of an object's canonical text; none where it is something else.
fn members(text: &str) -> Option<Checks> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    let texts = members.into_iter().map(|(name, value)| (name, value.get().to_owned()));
    Some(texts.collect())
}

fn is_less(one: &str, other: &str) -> bool {
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => one < other,
        _ => false,
    }
}

/// The items of a list's canonical text. Anything else is the one item of its own.
fn items(text: &str) -> BTreeSet<&str> {
    match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(items) => items.into_iter().map(RawValue::get).collect(),
        Err(_) => BTreeSet::from([text]),
    }
}
