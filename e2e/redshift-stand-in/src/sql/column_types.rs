//! The types and column encodings that Redshift has, and which go together; touches no network.

use std::ops::Range;

use super::cursor::Cursor;
use super::error::SqlError;
use super::lexer::Token;

/// Longest texts, in bytes.
const LONGEST_VARCHAR: u32 = 65_535;
const LONGEST_CHAR: u32 = 4_096;
/// A text without a length.
pub const DEFAULT_VARCHAR: u32 = 256;
const MOST_DIGITS: u32 = 38;
const MOST_DECIMALS: u32 = 37;

/// What encodings tell types apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    SmallInt,
    Integer,
    BigInt,
    Decimal,
    Float,
    Boolean,
    Char,
    Varchar,
    Date,
    Timestamp,
    Time,
    /// Known to Redshift, and raw or compressed in one way only.
    Other,
}

/// A column's type as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    pub family: Family,
    /// Where it says `MAX`.
    pub largest: Option<Range<usize>>,
    /// Where it stands, if it is a text without a length.
    pub unbounded: Option<Range<usize>>,
}

/// Reads a type, whose words and length then lie behind the cursor.
pub fn declared(cursor: &mut Cursor<'_, '_>) -> Result<Declared, SqlError> {
    let Some(first) = cursor.next() else {
        return Err(cursor.syntax_error());
    };
    let family = family(first, cursor).ok_or_else(|| SqlError::NoSuchType {
        name: first.text.to_lowercase(),
    })?;
    let (numbers, largest) = numbers(cursor)?;
    check(first, family, &numbers)?;
    let range = first.start..cursor.end_of_previous();
    let _ = cursor.take(&["WITHOUT", "TIME", "ZONE"]) || cursor.take(&["WITH", "TIME", "ZONE"]);
    if cursor
        .peek()
        .is_some_and(|token| token.is_symbol("[") || token.is("ARRAY"))
    {
        return Err(SqlError::NoSuchType {
            name: format!("{}[]", first.text.to_lowercase()),
        });
    }
    Ok(Declared {
        family,
        largest,
        unbounded: (family == Family::Varchar && numbers.is_empty()).then_some(range),
    })
}

fn family(first: &Token<'_>, cursor: &mut Cursor<'_, '_>) -> Option<Family> {
    Some(if first.is_any(&["SMALLINT", "INT2"]) {
        Family::SmallInt
    } else if first.is_any(&["INTEGER", "INT", "INT4"]) {
        Family::Integer
    } else if first.is_any(&["BIGINT", "INT8"]) {
        Family::BigInt
    } else if first.is_any(&["DECIMAL", "NUMERIC"]) {
        Family::Decimal
    } else if first.is_any(&["REAL", "FLOAT4", "FLOAT", "FLOAT8"])
        || (first.is("DOUBLE") && cursor.take(&["PRECISION"]))
    {
        Family::Float
    } else if first.is_any(&["BOOLEAN", "BOOL"]) {
        Family::Boolean
    } else if first.is_any(&["VARCHAR", "NVARCHAR", "TEXT"]) || (is_character(first) && cursor.take(&["VARYING"])) {
        Family::Varchar
    } else if is_character(first) || first.is("BPCHAR") {
        Family::Char
    } else if first.is("DATE") {
        Family::Date
    } else if first.is_any(&["TIMESTAMP", "TIMESTAMPTZ"]) {
        Family::Timestamp
    } else if first.is_any(&["TIME", "TIMETZ"]) {
        Family::Time
    } else if first.is_any(&["SUPER", "GEOMETRY", "GEOGRAPHY", "HLLSKETCH", "VARBYTE", "VARBINARY"]) {
        Family::Other
    } else {
        return None;
    })
}

fn is_character(token: &Token<'_>) -> bool {
    token.is_any(&["CHAR", "CHARACTER", "NCHAR"])
}

/// The numbers in parentheses, `MAX` as the largest, and where that stands.
fn numbers(cursor: &mut Cursor<'_, '_>) -> Result<(Vec<u32>, Option<Range<usize>>), SqlError> {
    let mut numbers = Vec::new();
    let mut largest = None;
    if !cursor.take_symbol("(") {
        return Ok((numbers, largest));
    }
    loop {
        match cursor.peek() {
            Some(token) if token.is("MAX") => {
                numbers.push(LONGEST_VARCHAR);
                largest = Some(token.range());
            }
            Some(token) => numbers.push(token.text.parse().map_err(|_| cursor.syntax_error())?),
            None => return Err(cursor.syntax_error()),
        }
        cursor.next();
        if cursor.take_symbol(")") {
            return Ok((numbers, largest));
        }
        cursor.expect_symbol(",")?;
    }
}

fn check(first: &Token<'_>, family: Family, numbers: &[u32]) -> Result<(), SqlError> {
    let too_long = |limit: u32| {
        let name = first.text.to_lowercase();
        Err(SqlError::Column {
            problem: format!("length for type {name} cannot exceed {limit}"),
        })
    };
    match (family, numbers) {
        (Family::Varchar, [length]) if *length > LONGEST_VARCHAR => too_long(LONGEST_VARCHAR),
        (Family::Char, [length]) if *length > LONGEST_CHAR => too_long(LONGEST_CHAR),
        (Family::Decimal, [precision, ..]) if *precision > MOST_DIGITS || *precision == 0 => Err(SqlError::Column {
            problem: format!("DECIMAL precision {precision} must be between 1 and {MOST_DIGITS}"),
        }),
        (Family::Decimal, [precision, scale]) if scale > precision || *scale > MOST_DECIMALS => Err(SqlError::Column {
            problem: format!("DECIMAL scale {scale} must be between 0 and precision {precision}"),
        }),
        (
            Family::Date
            | Family::Timestamp
            | Family::Time
            | Family::Boolean
            | Family::SmallInt
            | Family::Integer
            | Family::BigInt,
            [_, ..],
        ) => Err(SqlError::Column {
            problem: format!(
                "type modifier is not allowed for type \"{}\"",
                first.text.to_lowercase()
            ),
        }),
        _ => Ok(()),
    }
}

/// Refuses an encoding that there is not, or not for the column's type.
pub fn check_encoding(column: &str, family: Family, encoding: &Token<'_>) -> Result<(), SqlError> {
    use Family::{BigInt, Boolean, Char, Date, Decimal, Float, Integer, Other, SmallInt, Time, Timestamp, Varchar};
    let is = |names: &[&str]| encoding.is_any(names);
    let fits = if is(&["RAW", "AUTO", "ZSTD"]) {
        true
    } else if family == Other {
        false
    } else if is(&["RUNLENGTH"]) {
        true
    } else if is(&["AZ64"]) {
        !matches!(family, Float | Boolean | Char | Varchar)
    } else if is(&["BYTEDICT"]) {
        family != Boolean
    } else if is(&["LZO"]) {
        !matches!(family, Boolean | Float)
    } else if is(&["DELTA"]) {
        matches!(family, SmallInt | Integer | BigInt | Date | Timestamp | Time | Decimal)
    } else if is(&["DELTA32K"]) {
        matches!(family, Integer | BigInt | Date | Timestamp | Time | Decimal)
    } else if is(&["MOSTLY8"]) {
        matches!(family, SmallInt | Integer | BigInt | Decimal)
    } else if is(&["MOSTLY16"]) {
        matches!(family, Integer | BigInt | Decimal)
    } else if is(&["MOSTLY32"]) {
        matches!(family, BigInt | Decimal)
    } else {
        is(&["TEXT255", "TEXT32K"]) && family == Varchar
    };
    if fits {
        Ok(())
    } else {
        Err(SqlError::Column {
            problem: format!(
                "invalid encoding type specified for column \"{column}\": {}",
                encoding.text.to_lowercase()
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::lexer::tokens;
    use super::*;

    fn read(sql: &str) -> Result<Declared, SqlError> {
        declared(&mut Cursor::new(&tokens(sql).unwrap()))
    }

    #[rstest]
    #[case("VARCHAR(65535)", Family::Varchar)]
    #[case("character varying(10)", Family::Varchar)]
    #[case("CHAR(4096)", Family::Char)]
    #[case("double precision", Family::Float)]
    #[case("DECIMAL(38, 37)", Family::Decimal)]
    #[case("timestamp without time zone", Family::Timestamp)]
    #[case("TIMESTAMPTZ", Family::Timestamp)]
    #[case("SUPER", Family::Other)]
    fn types_of_redshift_are_known(#[case] sql: &str, #[case] family: Family) {
        assert_eq!(read(sql).unwrap().family, family);
    }

    #[rstest]
    #[case("JSONB", "type \"jsonb\" does not exist")]
    #[case("UUID", "type \"uuid\" does not exist")]
    #[case("BYTEA", "type \"bytea\" does not exist")]
    #[case("SERIAL", "type \"serial\" does not exist")]
    #[case("TINYINT", "type \"tinyint\" does not exist")]
    #[case("INT[]", "type \"int[]\" does not exist")]
    #[case("VARCHAR(65536)", "cannot exceed 65535")]
    #[case("CHAR(4097)", "cannot exceed 4096")]
    #[case("DECIMAL(39, 2)", "between 1 and 38")]
    #[case("DECIMAL(10, 11)", "between 0 and precision 10")]
    #[case("TIMESTAMP(3)", "type modifier is not allowed")]
    fn what_only_postgresql_has_is_refused(#[case] sql: &str, #[case] words: &str) {
        let error = read(sql).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }

    #[rstest]
    #[case(Family::Varchar, "lzo", true)]
    #[case(Family::Varchar, "az64", false)]
    #[case(Family::Varchar, "text255", true)]
    #[case(Family::Char, "text255", false)]
    #[case(Family::Float, "lzo", false)]
    #[case(Family::Float, "zstd", true)]
    #[case(Family::Boolean, "bytedict", false)]
    #[case(Family::Boolean, "runlength", true)]
    #[case(Family::Integer, "mostly32", false)]
    #[case(Family::BigInt, "mostly32", true)]
    #[case(Family::Date, "mostly8", false)]
    #[case(Family::Timestamp, "az64", true)]
    #[case(Family::Other, "lzo", false)]
    #[case(Family::BigInt, "gzip", false)]
    fn encodings_fit_their_types(#[case] family: Family, #[case] encoding: &str, #[case] fits: bool) {
        let tokens = tokens(encoding).unwrap();
        assert_eq!(check_encoding("c", family, &tokens[0]).is_ok(), fits);
    }
}
