//! One value as its column wants it, exact or refused. No network.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::Date;
use medallion_crds::Reason;

use crate::column::{Column, ColumnType};
use crate::document::Node;
use crate::number::ExactNumber;
use crate::refusal::Refusal;

/// A value that fits its column.
#[derive(Debug)]
pub(crate) enum Cell<'a> {
    Null,
    Text(Cow<'a, str>),
    Integer(i64),
    Boolean(bool),
    Double(f64),
    Decimal(i128),
    /// Microseconds since 1970.
    Timestamp(i64),
    /// Days since 1970-01-01.
    Date(i32),
}

/// Fits the member of an event into its column; the JSON Schema has been checked before.
pub(crate) fn fit<'a>(column: &Column, node: Option<&'a Node<'a>>) -> Result<Cell<'a>, Refusal> {
    let Some(node) = node else {
        return Ok(Cell::Null);
    };
    fit_value(column.kind, node).map_err(|refusal| refusal.inside(&column.name))
}

fn fit_value<'a>(kind: ColumnType, node: &'a Node<'a>) -> Result<Cell<'a>, Refusal> {
    Ok(match (kind, node) {
        (_, Node::Null) => Cell::Null,
        (ColumnType::Text, Node::String(text)) => Cell::Text(Cow::Borrowed(text)),
        (ColumnType::Boolean, Node::Boolean(value)) => Cell::Boolean(*value),
        (ColumnType::Integer, Node::Number(text)) => Cell::Integer(integer(text)?),
        (ColumnType::Double, Node::Number(text)) => Cell::Double(text.parse().unwrap_or_default()),
        (ColumnType::Decimal { precision, scale }, Node::Number(text)) => {
            Cell::Decimal(decimal(text, precision, scale)?)
        }
        (ColumnType::Decimal { precision, scale }, Node::String(text)) => {
            Cell::Decimal(decimal(text, precision, scale)?)
        }
        (ColumnType::Timestamp, Node::String(text)) => Cell::Timestamp(timestamp(text)?.as_microsecond()),
        (ColumnType::Date, Node::String(text)) => Cell::Date(date(text)?),
        (ColumnType::Json, node) => Cell::Text(node.json_text()),
        (_, _) => {
            return Err(Refusal::new(
                "",
                Reason::TypeMismatch,
                "the value is not of its column's type",
            ));
        }
    })
}

/// An integer that fits 64 bits; `1.0` and `1e3` are integers too, as JSON Schema has it.
pub(crate) fn integer(text: &str) -> Result<i64, Refusal> {
    ExactNumber::parse(text)
        .and_then(|number| number.to_i64())
        .ok_or_else(|| Refusal::new("", Reason::IntegerOutOfRange, "the number is not an integer of 64 bits"))
}

fn decimal(text: &str, precision: u8, scale: u8) -> Result<i128, Refusal> {
    let number = ExactNumber::parse(text).ok_or_else(|| {
        Refusal::new(
            "",
            Reason::NotADecimal,
            "the text is not a plain decimal number such as -12.50",
        )
    })?;
    number.to_decimal(precision, scale).ok_or_else(|| {
        let message = format!(
            "the number does not fit a decimal of {precision} digits, {scale} of them after the point, without rounding"
        );
        Refusal::new("", Reason::DecimalDoesNotFit, message)
    })
}

/// An RFC 3339 instant in the years 1 to 9999, which is what lakes and warehouses can hold.
pub(crate) fn timestamp(text: &str) -> Result<Timestamp, Refusal> {
    let instant: Timestamp = text.parse().map_err(|_| {
        Refusal::new(
            "",
            Reason::TimeNotReadable,
            "the text is not an RFC 3339 time of at most nine decimals",
        )
    })?;
    // Whole seconds of 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z.
    if (-62_135_596_800..=253_402_300_799).contains(&instant.as_second()) {
        Ok(instant)
    } else {
        Err(Refusal::new(
            "",
            Reason::TimeOutOfRange,
            "the time is not in the years 0001 to 9999 (UTC)",
        ))
    }
}

fn date(text: &str) -> Result<i32, Refusal> {
    let date: Date = text
        .parse()
        .map_err(|_| Refusal::new("", Reason::TimeNotReadable, "the text is not a date such as 2010-12-01"))?;
    if date.year() < 1 {
        return Err(Refusal::new(
            "",
            Reason::TimeOutOfRange,
            "the date is not in the years 0001 to 9999",
        ));
    }
    let epoch = Date::constant(1970, 1, 1);
    Ok((date - epoch).get_days())
}
