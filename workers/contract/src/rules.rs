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

/// Longest text, in bytes, of what stands beside a keyword that is kept as it is; of a longer one its digest is.
const MAX_TEXT: usize = 2048;
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
/// Keywords beside which schemas stand by names.
const NAMED: [&str; 3] = ["dependentSchemas", "patternProperties", "properties"];
/// Keywords of the whole schema that are looked at one by one, or that only hold what others refer to.
const BESIDE: [&str; 4] = ["$defs", "definitions", "properties", "required"];
/// Keywords that only ever refuse, each by itself: without them nothing is refused that was not before.
const LIMITS: [&str; 20] = [
    "additionalProperties",
    "const",
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
    let others = references(root, schema, without).map(|digest| (REFERENCES.to_owned(), digest));
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

/// Digest of all that a schema refers to, at any remove; none where it refers to nothing.
fn references<'n>(root: &'n Node<'n>, schema: &'n Node<'n>, without: &[&str]) -> Option<String> {
    let mut found: BTreeMap<&'n str, String> = BTreeMap::new();
    let mut open = vec![schema];
    while let Some(node) = open.pop() {
        if let Node::Array { items, .. } = node {
            open.extend(items);
        }
        for member in node.members() {
            let name: &str = &member.name;
            if std::ptr::eq(node, schema) && without.contains(&name) {
                continue;
            }
            match member.value.as_str() {
                Some(reference) if matches!(name, "$ref" | "$dynamicRef") => {
                    if found.contains_key(reference) {
                        continue;
                    }
                    let target = locate(root, reference.trim_start_matches('#'));
                    // What no pointer leads to has a name of its own, most likely among the definitions.
                    let text = target.map(schema_text);
                    let target = target.or_else(|| root.member("$defs"));
                    let text = text.or_else(|| target.map(canonical::text)).unwrap_or_default();
                    found.insert(reference, text);
                    open.extend(target);
                }
                _ => open.push(&member.value),
            }
        }
    }
    (!found.is_empty()).then(|| digest_of(&object(found.into_iter())))
}

/// Whether everything that passed the earlier checks passes these, as far as their keywords tell.
fn ask_no_more(earlier: &Checks, later: &Checks) -> bool {
    let same_or_wider = |keyword: &str, was: &str, now: &str| was == now || is_wider(keyword, was, now);
    later
        .iter()
        .all(|(keyword, now)| earlier.get(keyword).is_some_and(|was| same_or_wider(keyword, was, now)))
        && earlier
            .keys()
            .all(|keyword| later.contains_key(keyword) || LIMITS.contains(&keyword.as_str()))
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
