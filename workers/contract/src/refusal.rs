//! Why an event is not taken: where, one word, and a sentence without the event's data. No network.

use std::fmt;

use medallion_crds::Reason;

/// Longest message in bytes: refusals travel in HTTP answers and Kafka headers.
const MAX_MESSAGE_BYTES: usize = 512;
/// Longest pointer in bytes: names of fields are the sender's, and may be as long as an event.
const MAX_FIELD_BYTES: usize = 512;

/// A record error: the event can never be taken as it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// JSON Pointer to the field; empty for the whole event.
    pub field: String,
    /// Metric label and dead-letter class.
    pub reason: Reason,
    /// What is wrong, in words that do not repeat the event's data.
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(field: impl Into<String>, reason: Reason, message: impl Into<String>) -> Self {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
        Self {
            field: field.into(),
            reason,
            message,
        }
    }

    /// The same refusal with a pointer that is not too long to travel.
    pub(crate) fn bounded(mut self) -> Self {
        self.field.truncate(self.field.floor_char_boundary(MAX_FIELD_BYTES));
        self
    }

    /// The same refusal seen from the parent: one more segment in front of the pointer.
    pub(crate) fn inside(mut self, segment: &str) -> Self {
        self.field = format!("/{}{}", escape(segment), self.field);
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = if self.field.is_empty() { "event" } else { &self.field };
        write!(formatter, "{field}: {}", self.message)
    }
}

impl std::error::Error for Refusal {}

/// One segment of a JSON Pointer, escaped.
pub(crate) fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

/// What JSON Schema found, in our words. `error` is masked, so values of the event do not leak into answers and logs.
pub(crate) fn from_schema_error(error: &jsonschema::ValidationError<'_>) -> Refusal {
    use jsonschema::error::ValidationErrorKind as Kind;

    let place = error.instance_path().as_str();
    let (field, reason) = match error.kind() {
        Kind::Required { property } => (
            format!("{place}/{}", escape(property.as_str().unwrap_or_default())),
            Reason::MissingField,
        ),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => (
            format!("{place}/{}", escape(unexpected.first().map_or("", String::as_str))),
            Reason::UnknownField,
        ),
        Kind::Type { .. } => (place.to_owned(), Reason::TypeMismatch),
        Kind::Format { .. } => (place.to_owned(), Reason::FormatMismatch),
        Kind::Pattern { .. } => (place.to_owned(), Reason::PatternMismatch),
        Kind::Enum { .. } | Kind::Constant { .. } => (place.to_owned(), Reason::ValueNotAllowed),
        Kind::Minimum { .. } | Kind::Maximum { .. } | Kind::ExclusiveMinimum { .. } | Kind::ExclusiveMaximum { .. } => {
            (place.to_owned(), Reason::OutOfRange)
        }
        Kind::MinLength { .. } | Kind::MaxLength { .. } => (place.to_owned(), Reason::LengthOutOfRange),
        _ => (place.to_owned(), Reason::SchemaMismatch),
    };
    Refusal::new(field, reason, error.masked().to_string())
}
