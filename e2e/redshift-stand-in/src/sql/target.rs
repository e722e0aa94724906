//! Finds the table whose rows a statement changes after it has read them; touches no network.

use super::cursor::Cursor;
use super::lexer::tokens;

/// The table of an UPDATE, DELETE or MERGE, as written.
pub fn rewritten(sql: &str) -> Option<String> {
    let tokens = tokens(sql).ok()?;
    let mut cursor = Cursor::new(&tokens);
    let found = cursor.take(&["DELETE", "FROM"])
        || cursor.take(&["DELETE"])
        || cursor.take(&["UPDATE"])
        || cursor.take(&["MERGE", "INTO"]);
    found.then(|| cursor.qualified_name().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("DELETE FROM \"gold\".\"orders\" WHERE a = 1", Some("\"gold\".\"orders\""))]
    #[case("delete orders", Some("orders"))]
    #[case("/* why */ UPDATE gold.orders SET a = 1", Some("gold.orders"))]
    #[case("MERGE INTO orders USING s ON s.a = orders.a", Some("orders"))]
    #[case("INSERT INTO orders SELECT * FROM s", None)]
    #[case("SELECT 'DELETE FROM x'", None)]
    fn only_what_reads_and_writes_rewrites(#[case] sql: &str, #[case] table: Option<&str>) {
        assert_eq!(rewritten(sql).as_deref(), table);
    }
}
