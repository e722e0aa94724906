//! From a JSON Schema to columns and paths, with errors that say what is wrong, where, and how to put it right. No network.

use thiserror::Error;

use crate::column::{Column, ColumnType};
use crate::document::Node;
use crate::refusal::{Refusal, escape};

/// How many references may lead to one another before they count as a circle.
const MAX_REFERENCES: usize = 16;

/// A contract that cannot be used as it is; its message is for the person who wrote it.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ContractError {
    /// The schema's file cannot be read.
    #[error(
        "contract schema: cannot read {path}: {message}; the operator mounts it from the Pipeline's spec.contract.versions[].schemaRef"
    )]
    File { path: String, message: String },
    /// The schema's file is not what the settings were written for.
    #[error(
        "contract schema: {path} is not the text that this worker was set up for: the ConfigMap was changed in place; a corrected contract is a new ConfigMap, named by spec.contract.versions[].schemaRef"
    )]
    Changed { path: String },
    /// The schema's text cannot be read.
    #[error("contract schema{}: {message}; correct the schema's JSON text", at(.pointer))]
    Unreadable { pointer: String, message: String },
    /// The schema is written in another dialect.
    #[error(
        "contract schema at /$schema: draft {found} is not supported; use https://json-schema.org/draft/2020-12/schema or leave $schema out"
    )]
    Draft { found: String },
    /// The schema is not valid JSON Schema.
    #[error("contract schema{}: {message}; correct it according to JSON Schema draft 2020-12", at(.pointer))]
    Invalid { pointer: String, message: String },
    /// A reference leads out of the schema.
    #[error(
        "contract schema at {pointer}: reference {reference} leads out of the schema, which is never fetched; copy its target under $defs and refer to it as #/$defs/..."
    )]
    Reference { pointer: String, reference: String },
    /// The schema is not that of an object with named properties.
    #[error(
        "contract schema: an event must be an object; give the schema `\"type\": \"object\"` and a `properties` object with at least one property"
    )]
    NotAnObject,
    /// A top-level property cannot be a column.
    #[error(
        "contract schema at /properties/{name}: the name cannot be a column; use lower-case letters, digits and underscores, a letter first, at most 63, and not the beginning `part_`"
    )]
    PropertyName { name: String },
    /// `x-decimal` is not right.
    #[error("contract schema at {pointer}/x-decimal: {problem}")]
    Decimal { pointer: String, problem: &'static str },
    /// A pointer of the contract does not lead where it must.
    #[error("contract pointer {role} `{pointer}`: {problem}")]
    Pointer {
        role: &'static str,
        pointer: String,
        problem: String,
    },
}

fn at(pointer: &str) -> String {
    if pointer.is_empty() {
        String::new()
    } else {
        format!(" at {pointer}")
    }
}

impl From<Refusal> for ContractError {
    /// The schema is read by the same strict reader as events.
    fn from(refusal: Refusal) -> Self {
        Self::Unreadable {
            pointer: refusal.field,
            message: refusal.message,
        }
    }
}

/// What a pointer of the contract must lead to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    /// A required string or number: key and event id.
    Identity,
    /// A required string with format date-time.
    Time,
    /// An integer, which may be missing or null.
    Version,
}

/// Refuses other drafts and references out of the schema.
pub(crate) fn check_dialect(root: &Node<'_>) -> Result<(), ContractError> {
    if let Some(draft) = root.member("$schema") {
        let found = draft.as_str().unwrap_or("that is not a string");
        if found.trim_end_matches('#') != "https://json-schema.org/draft/2020-12/schema" {
            return Err(ContractError::Draft {
                found: found.to_owned(),
            });
        }
    }
    check_references(root, "")
}

fn check_references(node: &Node<'_>, pointer: &str) -> Result<(), ContractError> {
    if let Node::Array { items, .. } = node {
        for (index, item) in items.iter().enumerate() {
            check_references(item, &format!("{pointer}/{index}"))?;
        }
    }
    for member in node.members() {
        let inner = format!("{pointer}/{}", escape(&member.name));
        match member.value.as_str() {
            Some(reference)
                if matches!(member.name.as_ref(), "$ref" | "$dynamicRef") && !reference.starts_with('#') =>
            {
                return Err(ContractError::Reference {
                    pointer: inner,
                    reference: reference.to_owned(),
                });
            }
            _ => check_references(&member.value, &inner)?,
        }
    }
    Ok(())
}

/// The columns of the contract's top-level properties, in the order in which they are written.
pub(crate) fn columns(root: &Node<'_>) -> Result<Vec<Column>, ContractError> {
    let properties = root.member("properties").map(Node::members).unwrap_or_default();
    let is_object = root.member("type").and_then(Node::as_str) == Some("object");
    if !is_object || properties.is_empty() {
        return Err(ContractError::NotAnObject);
    }
    let mut ordered: Vec<_> = properties.iter().collect();
    ordered.sort_by_key(|member| member.position);
    ordered
        .into_iter()
        .map(|member| {
            if !is_column_name(&member.name) {
                return Err(ContractError::PropertyName {
                    name: member.name.clone().into_owned(),
                });
            }
            let pointer = format!("/properties/{}", member.name);
            let kind = column_type(&Facets::of(root, &member.value, &pointer)?, &pointer)?;
            Ok(Column::new(member.name.as_ref(), kind))
        })
        .collect()
}

/// The top-level properties that every event must have.
pub(crate) fn required(root: &Node<'_>) -> Vec<String> {
    match root.member("required") {
        Some(Node::Array { items, .. }) => items.iter().filter_map(Node::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn is_column_name(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !name.starts_with("part_")
}

fn column_type(facets: &Facets<'_>, pointer: &str) -> Result<ColumnType, ContractError> {
    let kind = facets.single_type();
    if let Some(settings) = facets.get("x-decimal") {
        return decimal_type(settings, kind, facets.get("format").is_some(), pointer);
    }
    Ok(match (kind, facets.format()) {
        (Some("string"), Some("date-time")) => ColumnType::Timestamp,
        (Some("string"), Some("date")) => ColumnType::Date,
        (Some("string"), _) => ColumnType::Text,
        (Some("integer"), _) => ColumnType::Integer,
        (Some("number"), _) => ColumnType::Double,
        (Some("boolean"), _) => ColumnType::Boolean,
        _ => ColumnType::Json,
    })
}

fn decimal_type(
    settings: &Node<'_>,
    kind: Option<&str>,
    has_format: bool,
    pointer: &str,
) -> Result<ColumnType, ContractError> {
    let error = |problem| ContractError::Decimal {
        pointer: pointer.to_owned(),
        problem,
    };
    if !matches!(kind, Some("number" | "string")) || has_format {
        return Err(error(
            "stands only beside \"type\": \"number\" or \"type\": \"string\" (with or without \"null\"), without a format",
        ));
    }
    let digits = |name| match settings.member(name) {
        Some(Node::Number(text)) => text.parse::<u8>().ok(),
        _ => None,
    };
    let bounds = "must be {\"precision\": P, \"scale\": S} with integers 1 <= P <= 38 and 0 <= S <= P";
    let (Some(precision @ 1..=38), Some(scale)) = (digits("precision"), digits("scale")) else {
        return Err(error(bounds));
    };
    if scale > precision || settings.members().len() != 2 {
        return Err(error(bounds));
    }
    Ok(ColumnType::Decimal { precision, scale })
}

/// The names that a pointer of the contract leads through, once it is sure that every event has something there.
pub(crate) fn path(
    root: &Node<'_>,
    role: &'static str,
    pointer: &str,
    target: Target,
) -> Result<Vec<String>, ContractError> {
    let error = |problem: String| ContractError::Pointer {
        role,
        pointer: pointer.to_owned(),
        problem,
    };
    let Some(rest) = pointer.strip_prefix('/') else {
        return Err(error(
            "is not a JSON Pointer; write it like /order_id or /order/number".to_owned(),
        ));
    };
    let segments: Vec<String> = rest
        .split('/')
        .map(|part| part.replace("~1", "/").replace("~0", "~"))
        .collect();
    let mut schema = root;
    let mut place = String::new();
    for segment in &segments {
        let facets = Facets::of(root, schema, &place)?;
        let shown = if place.is_empty() {
            "the schema".to_owned()
        } else {
            place.clone()
        };
        schema = facets
            .get("properties")
            .and_then(|properties| properties.member(segment))
            .ok_or_else(|| {
                error(format!(
                    "property `{segment}` is not in `properties` of {shown}; name a property that the schema describes"
                ))
            })?;
        if target != Target::Version {
            let is_required = facets
                .get("required")
                .is_some_and(|names| names_include(names, segment));
            if !is_required {
                return Err(error(format!(
                    "property `{segment}` is not in `required` of {shown}; add it there"
                )));
            }
            if !place.is_empty() && facets.types() != ["object"] {
                return Err(error(format!(
                    "{shown} must have `\"type\": \"object\"`, or an event may have nothing there"
                )));
            }
        }
        place = format!("{place}/properties/{}", escape(segment));
    }
    check_target(&Facets::of(root, schema, &place)?, target)
        .map_err(|needed| error(format!("{place} must be {needed}")))?;
    Ok(segments)
}

fn check_target(facets: &Facets<'_>, target: Target) -> Result<(), &'static str> {
    let types = facets.types();
    match target {
        Target::Identity if matches!(types.as_slice(), ["string" | "integer" | "number"]) => Ok(()),
        Target::Identity => Err("of type string, integer or number, and not null"),
        Target::Time if types == ["string"] && facets.format() == Some("date-time") => Ok(()),
        Target::Time => Err("of type string with `\"format\": \"date-time\"`, and not null"),
        Target::Version if facets.single_type() == Some("integer") => Ok(()),
        Target::Version => Err("of type integer"),
    }
}

fn names_include(names: &Node<'_>, name: &str) -> bool {
    matches!(names, Node::Array { items, .. } if items.iter().any(|item| item.as_str() == Some(name)))
}

/// A property's schema together with what it refers to: `$ref` inside the document, and the one alternative beside null.
struct Facets<'n> {
    chain: Vec<&'n Node<'n>>,
}

impl<'n> Facets<'n> {
    fn of(root: &'n Node<'n>, schema: &'n Node<'n>, pointer: &str) -> Result<Self, ContractError> {
        let mut chain = vec![schema];
        let mut next = schema;
        while let Some(target) = Self::target(root, next, pointer)? {
            if chain.len() > MAX_REFERENCES {
                let message = "references lead in a circle".to_owned();
                return Err(ContractError::Invalid {
                    pointer: pointer.to_owned(),
                    message,
                });
            }
            chain.push(target);
            next = target;
        }
        Ok(Self { chain })
    }

    fn target(root: &'n Node<'n>, schema: &'n Node<'n>, pointer: &str) -> Result<Option<&'n Node<'n>>, ContractError> {
        if let Some(reference) = schema.member("$ref").and_then(Node::as_str) {
            let target = reference.strip_prefix('#').and_then(|path| locate(root, path));
            return target.map(Some).ok_or_else(|| ContractError::Invalid {
                pointer: format!("{pointer}/$ref"),
                message: format!("{reference} must be a JSON Pointer to an existing place such as #/$defs/name"),
            });
        }
        let alternatives = schema.member("anyOf").or_else(|| schema.member("oneOf"));
        if let Some(Node::Array { items, .. }) = alternatives
            && let [left, right] = items.as_slice()
        {
            let is_null = |node: &Node<'_>| node.member("type").and_then(Node::as_str) == Some("null");
            return Ok(match (is_null(left), is_null(right)) {
                (true, false) => Some(right),
                (false, true) => Some(left),
                _ => None,
            });
        }
        Ok(None)
    }

    fn get(&self, keyword: &str) -> Option<&'n Node<'n>> {
        self.chain.iter().find_map(|schema| schema.member(keyword))
    }

    fn format(&self) -> Option<&'n str> {
        self.get("format").and_then(Node::as_str)
    }

    /// All types, `null` included when an alternative allows it.
    fn types(&self) -> Vec<&'n str> {
        let mut types = match self.get("type") {
            Some(Node::String(name)) => vec![name.as_ref()],
            Some(Node::Array { items, .. }) => items.iter().filter_map(Node::as_str).collect(),
            _ => Vec::new(),
        };
        if self
            .chain
            .iter()
            .any(|schema| schema.member("anyOf").or_else(|| schema.member("oneOf")).is_some())
        {
            types.push("null");
        }
        types
    }

    /// The only type beside null, if there is just one.
    fn single_type(&self) -> Option<&'n str> {
        let types = self.types();
        let mut others = types.into_iter().filter(|name| *name != "null");
        match (others.next(), others.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    }
}

/// What a JSON Pointer leads to.
pub(crate) fn locate<'n>(root: &'n Node<'n>, path: &str) -> Option<&'n Node<'n>> {
    if path.is_empty() {
        return Some(root);
    }
    path.strip_prefix('/')?
        .split('/')
        .map(|part| part.replace("~1", "/").replace("~0", "~"))
        .try_fold(root, |node, name| node.member(&name))
}
