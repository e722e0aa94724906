//! Takes out of CREATE TABLE and ALTER TABLE what only Redshift has, and un-enforces what Redshift does not enforce; touches no network.

use super::column_types::{DEFAULT_VARCHAR, Family, check_encoding, declared};
use super::cursor::Cursor;
use super::edit::Edits;
use super::error::SqlError;
use super::lexer::{Token, identifier_value};

/// `CREATE TABLE` without DISTSTYLE, DISTKEY, SORTKEY, ENCODE and BACKUP, with VARCHAR(MAX) as VARCHAR(65535) and texts without a
/// length as VARCHAR(256); types and encodings that Redshift does not take are refused.
/// Primary keys keep their NOT NULL; unique and foreign keys, which Redshift does not enforce either, are dropped.
pub fn create_table(sql: &str, tokens: &[Token<'_>]) -> Result<String, SqlError> {
    let mut cursor = Cursor::new(tokens);
    let mut edits = Edits::default();
    cursor.expect("CREATE")?;
    cursor.take(&["LOCAL"]);
    let _ = cursor.take(&["TEMP"]) || cursor.take(&["TEMPORARY"]);
    cursor.expect("TABLE")?;
    cursor.take(&["IF", "NOT", "EXISTS"]);
    cursor.qualified_name()?;
    if cursor.take_symbol("(") {
        loop {
            table_element(&mut cursor, &mut edits)?;
            if cursor.take_symbol(")") {
                break;
            }
            cursor.expect_symbol(",")?;
        }
    }
    table_attributes(&mut cursor, &mut edits);
    Ok(edits.apply(sql))
}

/// `ALTER TABLE ... ADD COLUMN` by the same rules.
pub fn alter_table(sql: &str, tokens: &[Token<'_>]) -> Result<String, SqlError> {
    let mut cursor = Cursor::new(tokens);
    let mut edits = Edits::default();
    cursor.expect("ALTER")?;
    cursor.expect("TABLE")?;
    cursor.qualified_name()?;
    if cursor.take(&["ADD"]) {
        cursor.take(&["COLUMN"]);
        table_element(&mut cursor, &mut edits)?;
    }
    Ok(edits.apply(sql))
}

fn table_element(cursor: &mut Cursor<'_, '_>, edits: &mut Edits) -> Result<(), SqlError> {
    let start = cursor.peek().map_or(0, |token| token.start);
    if cursor.take(&["CONSTRAINT"]) {
        cursor.identifier()?;
    }
    if cursor.take(&["PRIMARY", "KEY"]) {
        let columns = cursor.identifier_list()?;
        let checks: Vec<_> = columns
            .iter()
            .map(|column| format!("\"{}\" IS NOT NULL", column.replace('"', "\"\"")))
            .collect();
        edits.replace(
            start..cursor.end_of_previous(),
            &format!("CHECK ({})", checks.join(" AND ")),
        );
    } else if cursor.take(&["UNIQUE"]) {
        cursor.identifier_list()?;
        edits.replace(start..cursor.end_of_previous(), "CHECK (true)");
    } else if cursor.take(&["FOREIGN", "KEY"]) {
        cursor.identifier_list()?;
        cursor.expect("REFERENCES")?;
        cursor.qualified_name()?;
        cursor.skip_group();
        edits.replace(start..cursor.end_of_previous(), "CHECK (true)");
    } else if cursor.take(&["LIKE"]) {
        column_rest(cursor, edits, "", None)?;
    } else {
        let name = identifier_value(cursor.identifier()?);
        let is_typed = cursor.peek().is_some_and(|next| !ends_column(next));
        let family = if is_typed {
            Some(column_type(cursor, edits)?)
        } else {
            None
        };
        column_rest(cursor, edits, &name, family)?;
    }
    Ok(())
}

fn ends_column(token: &Token<'_>) -> bool {
    token.is_symbol(",") || token.is_symbol(")")
}

fn column_type(cursor: &mut Cursor<'_, '_>, edits: &mut Edits) -> Result<Family, SqlError> {
    let declared = declared(cursor)?;
    if let Some(largest) = declared.largest {
        edits.replace(largest, "65535");
    }
    if let Some(unbounded) = declared.unbounded {
        edits.replace(unbounded, &format!("VARCHAR({DEFAULT_VARCHAR})"));
    }
    Ok(declared.family)
}

/// What follows a column's type (or LIKE), up to the comma or parenthesis that ends it.
fn column_rest(
    cursor: &mut Cursor<'_, '_>,
    edits: &mut Edits,
    name: &str,
    family: Option<Family>,
) -> Result<(), SqlError> {
    while let Some(token) = cursor.peek() {
        if ends_column(token) {
            return Ok(());
        }
        if token.is_symbol("(") {
            cursor.skip_group();
        } else if cursor.take(&["ENCODE"]) {
            let encoding = cursor.identifier()?;
            check_encoding(name, family.unwrap_or(Family::Other), encoding)?;
            edits.remove(token.start..cursor.end_of_previous());
        } else if cursor.take(&["DISTKEY"]) || cursor.take(&["SORTKEY"]) || cursor.take(&["UNIQUE"]) {
            edits.remove(token.range());
        } else if cursor.take(&["PRIMARY", "KEY"]) {
            edits.replace(token.start..cursor.end_of_previous(), "NOT NULL");
        } else if cursor.take(&["REFERENCES"]) {
            cursor.qualified_name()?;
            cursor.skip_group();
            edits.remove(token.start..cursor.end_of_previous());
        } else {
            cursor.next();
        }
    }
    Ok(())
}

fn table_attributes(cursor: &mut Cursor<'_, '_>, edits: &mut Edits) {
    while let Some(token) = cursor.peek() {
        if cursor.at("AS") {
            return;
        }
        if cursor.take(&["SORTKEY", "AUTO"]) {
            // Nothing follows it.
        } else if cursor.take(&["DISTSTYLE"]) || cursor.take(&["BACKUP"]) || cursor.take(&["ENCODE"]) {
            cursor.next();
        } else if cursor.take(&["DISTKEY"])
            || cursor.take(&["COMPOUND", "SORTKEY"])
            || cursor.take(&["INTERLEAVED", "SORTKEY"])
            || cursor.take(&["SORTKEY"])
        {
            cursor.skip_group();
        } else {
            cursor.next();
            continue;
        }
        edits.remove(token.start..cursor.end_of_previous());
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::lexer::tokens;
    use super::*;

    /// White space left behind by what was taken out does not matter.
    fn squeezed(sql: &str) -> String {
        sql.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace(" ,", ",")
            .replace(" )", ")")
    }

    #[rstest]
    #[case(
        "CREATE TABLE IF NOT EXISTS gold.t (a VARCHAR(65535) ENCODE zstd DISTKEY, b DECIMAL(18, 2) SORTKEY NOT NULL)",
        "CREATE TABLE IF NOT EXISTS gold.t (a VARCHAR(65535), b DECIMAL(18, 2) NOT NULL)"
    )]
    #[case(
        "CREATE TABLE t (a INT) DISTSTYLE KEY DISTKEY (a) COMPOUND SORTKEY (a, b) ENCODE AUTO",
        "CREATE TABLE t (a INT)"
    )]
    #[case(
        "CREATE TABLE t (a INT) DISTSTYLE EVEN SORTKEY AUTO BACKUP NO",
        "CREATE TABLE t (a INT)"
    )]
    #[case("CREATE TABLE t (a VARCHAR(MAX))", "CREATE TABLE t (a VARCHAR(65535))")]
    #[case(
        "CREATE TABLE t (a TEXT, b VARCHAR ENCODE lzo, c CHAR)",
        "CREATE TABLE t (a VARCHAR(256), b VARCHAR(256), c CHAR)"
    )]
    #[case("CREATE TABLE x (LIKE gold.y)", "CREATE TABLE x (LIKE gold.y)")]
    #[case(
        "CREATE TABLE x (LIKE gold.y INCLUDING DEFAULTS)",
        "CREATE TABLE x (LIKE gold.y INCLUDING DEFAULTS)"
    )]
    #[case(
        "CREATE TEMP TABLE s DISTKEY(a) AS SELECT a, 'ENCODE zstd' FROM t",
        "CREATE TEMP TABLE s AS SELECT a, 'ENCODE zstd' FROM t"
    )]
    #[case(
        "create table t (encode int, \"sortkey\" int)",
        "create table t (encode int, \"sortkey\" int)"
    )]
    fn what_only_redshift_has_is_taken_out(#[case] sql: &str, #[case] expected: &str) {
        assert_eq!(squeezed(&create_table(sql, &tokens(sql).unwrap()).unwrap()), expected);
    }

    #[rstest]
    #[case(
        "CREATE TABLE t (a INT PRIMARY KEY, b INT UNIQUE, c INT REFERENCES o (id) NOT NULL)",
        "CREATE TABLE t (a INT NOT NULL, b INT, c INT NOT NULL)"
    )]
    #[case(
        "CREATE TABLE t (a INT, b INT, PRIMARY KEY (a, b))",
        "CREATE TABLE t (a INT, b INT, CHECK (\"a\" IS NOT NULL AND \"b\" IS NOT NULL))"
    )]
    #[case(
        "CREATE TABLE t (a INT, CONSTRAINT u UNIQUE (a), FOREIGN KEY (a) REFERENCES o (id))",
        "CREATE TABLE t (a INT, CHECK (true), CHECK (true))"
    )]
    fn keys_are_as_little_enforced_as_in_redshift(#[case] sql: &str, #[case] expected: &str) {
        assert_eq!(squeezed(&create_table(sql, &tokens(sql).unwrap()).unwrap()), expected);
    }

    #[rstest]
    #[case("CREATE TABLE t (a INT, tags JSONB)", "type \"jsonb\" does not exist")]
    #[case(
        "CREATE TABLE t (a VARCHAR(10) ENCODE az64)",
        "invalid encoding type specified for column \"a\""
    )]
    #[case("CREATE TABLE t (ratio REAL NOT NULL ENCODE lzo)", "column \"ratio\"")]
    fn what_redshift_does_not_take_is_refused(#[case] sql: &str, #[case] words: &str) {
        let error = create_table(sql, &tokens(sql).unwrap()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn an_added_column_is_judged_like_others() {
        let sql = "ALTER TABLE t ADD COLUMN c BIGINT ENCODE text255";
        assert!(alter_table(sql, &tokens(sql).unwrap()).is_err());
    }

    #[test]
    fn an_added_column_loses_its_encoding() {
        let sql = "ALTER TABLE t ADD COLUMN c VARCHAR(MAX) ENCODE lzo DEFAULT 'x'";
        assert_eq!(
            squeezed(&alter_table(sql, &tokens(sql).unwrap()).unwrap()),
            "ALTER TABLE t ADD COLUMN c VARCHAR(65535) DEFAULT 'x'"
        );
    }
}
