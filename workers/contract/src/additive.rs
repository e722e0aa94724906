//! Whether a contract only adds to what stands in Bronze: what is written must stay readable, and events on their way must stay acceptable. No network.

use std::fmt;

use arrow::datatypes::{DataType, Schema};

use crate::bronze::PARTITION_COLUMN;
use crate::column::is_metadata;
use crate::contract::Contract;
use crate::rules::Rules;

/// What a person can do about it; said once, after all differences.
const FIX: &str = "a contract may only add properties that are not in `required`, and ask for less of those that are \
                   there: put back what is named above and give the new meaning a property of a new name, or make a new \
                   Pipeline with a table and buckets of its own";

/// One way in which a contract does not go on from a table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Difference {
    /// The table has a column that the contract names no more: readers of it would find nothing from now on.
    Removed {
        /// The column.
        column: String,
        /// What it holds.
        was: String,
    },
    /// A column would hold something else from now on.
    Changed {
        /// The column.
        column: String,
        /// What it holds.
        was: String,
        /// What the contract wants it to hold.
        now: String,
    },
    /// A new column that every event must have: events that were accepted before, and are on their way, lack it.
    Required {
        /// The column.
        column: String,
    },
    /// Every event must have a name that it could do without.
    RequiredNow {
        /// The top-level name.
        property: String,
    },
    /// A property is checked otherwise: values that were accepted before, and are on their way, may be refused.
    Narrowed {
        /// The property.
        property: String,
    },
    /// Events as a whole are checked otherwise.
    EventsNarrowed,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed { column, was } => write!(formatter, "property {column} ({was}) is gone"),
            Self::Changed { column, was, now } => write!(formatter, "property {column} was {was} and is now {now}"),
            Self::Required { column } => write!(formatter, "property {column} is new and required"),
            Self::RequiredNow { property } => write!(formatter, "property {property} is required now"),
            Self::Narrowed { property } => {
                write!(formatter, "property {property} is checked otherwise than before")
            }
            Self::EventsNarrowed => formatter.write_str(
                "what the schema says beside `properties` and `required` checks events otherwise than before",
            ),
        }
    }
}

/// Everything in which a contract does not go on from a table; there is at least one thing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}; {FIX}", joined(.0))]
pub struct NotAdditive(pub Vec<Difference>);

fn joined(differences: &[Difference]) -> String {
    let words: Vec<String> = differences.iter().map(Difference::to_string).collect();
    words.join("; ")
}

impl Contract {
    /// Whether events of this contract may be added to the Bronze table whose schema this is: columns may be new, and
    /// then not required; none may have gone or have changed its type.
    ///
    /// `rules` are those of the contract by which the table's rows are written, where its log has them: everything that
    /// they accept must be accepted still. Without them, the columns alone decide.
    ///
    /// Columns of the product's own are none of a contract's business and are passed over.
    pub fn adds_to(&self, bronze: &Schema, rules: Option<&Rules>) -> Result<(), NotAdditive> {
        let mut differences: Vec<Difference> = bronze
            .fields()
            .iter()
            .filter(|field| field.name() != PARTITION_COLUMN && !is_metadata(field.name()))
            .filter_map(|field| {
                let (column, was) = (field.name().clone(), words(field.data_type()));
                match self.columns().iter().find(|wanted| wanted.name == column) {
                    None => Some(Difference::Removed { column, was }),
                    Some(wanted) => {
                        let now = words(&wanted.kind.arrow());
                        (was != now).then_some(Difference::Changed { column, was, now })
                    }
                }
            })
            .collect();
        let new = self
            .columns()
            .iter()
            .filter(|column| bronze.field_with_name(&column.name).is_err() && self.requires(&column.name));
        differences.extend(new.map(|column| Difference::Required {
            column: column.name.clone(),
        }));
        if let Some(before) = rules.filter(|before| before.digest() != self.digest()) {
            let narrower = self.narrower_than(before, &differences);
            differences.extend(narrower);
        }
        if differences.is_empty() {
            Ok(())
        } else {
            Err(NotAdditive(differences))
        }
    }

    /// Where it may refuse what was accepted before, beside what the columns have told already.
    fn narrower_than(&self, before: &Rules, told: &[Difference]) -> Vec<Difference> {
        let is_told = |property: &str| told.iter().any(|difference| difference.column() == Some(property));
        let required = self
            .rules()
            .newly_required(before)
            .filter(|property| !is_told(property));
        let required = required.map(|property| Difference::RequiredNow {
            property: property.to_owned(),
        });
        let narrowed = self.rules().narrowed(before).filter(|property| !is_told(property));
        let narrowed = narrowed.map(|property| Difference::Narrowed {
            property: property.to_owned(),
        });
        let events = self
            .rules()
            .narrows_events(before)
            .then_some(Difference::EventsNarrowed);
        required.chain(narrowed).chain(events).collect()
    }
}

impl Difference {
    /// The column that differs, where it is one of the table's.
    fn column(&self) -> Option<&str> {
        match self {
            Self::Removed { column, .. } | Self::Changed { column, .. } | Self::Required { column } => Some(column),
            Self::RequiredNow { .. } | Self::Narrowed { .. } | Self::EventsNarrowed => None,
        }
    }
}

/// A type in the words of a contract. Readers spell one and the same type in several ways; the words are the same.
fn words(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Int64 => "an integer".to_owned(),
        DataType::Float64 => "a number".to_owned(),
        DataType::Boolean => "a boolean".to_owned(),
        DataType::Date32 => "a date".to_owned(),
        DataType::Timestamp(_, Some(_)) => "a date-time".to_owned(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale) => format!("a decimal({precision},{scale})"),
        other => other.to_string(),
    }
}
