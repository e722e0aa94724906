//! The printed table: figure and limit side by side. Touches no network.

use std::fmt;

use anyhow::Result;

#[derive(Default)]
pub struct Table {
    rows: Vec<[String; 3]>,
    missing: usize,
}

impl Table {
    pub fn row(&mut self, what: impl Into<String>, figure: impl Into<String>, limit: impl Into<String>) {
        let row = [what.into(), figure.into(), limit.into()];
        println!("  {}: {} ({})", row[0], row[1], row[2]);
        self.rows.push(row);
    }

    /// A part of the measurements that could not be made: what has been measured so far counts all the same.
    pub fn note(&mut self, what: impl Into<String>, result: Result<()>) {
        if let Err(error) = result {
            self.missing += 1;
            self.row(what, "missing", format!("{error:#}"));
        }
    }

    /// How many parts are missing.
    pub const fn missing(&self) -> usize {
        self.missing
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["what", "figure", "goal or raw limit"].map(str::to_owned);
        let width = |column: usize| {
            self.rows
                .iter()
                .chain([&head])
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths = [width(0), width(1), width(2)];
        for row in [&head].into_iter().chain(&self.rows) {
            writeln!(
                formatter,
                "| {:<a$} | {:>b$} | {:<c$} |",
                row[0],
                row[1],
                row[2],
                a = widths[0],
                b = widths[1],
                c = widths[2]
            )?;
            if row == &head {
                writeln!(
                    formatter,
                    "| {:-<a$} | {:->b$} | {:-<c$} |",
                    "",
                    "",
                    "",
                    a = widths[0],
                    b = widths[1],
                    c = widths[2]
                )?;
            }
        }
        Ok(())
    }
}

/// A limit and whether it is kept.
pub struct Goal(String);

impl Goal {
    pub fn at_most(figure: f64, limit: f64, unit: &str) -> Self {
        let word = if figure <= limit { "ok" } else { "MISSED" };
        Self(format!("at most {limit} {unit}").trim_end().to_owned() + ": " + word)
    }
}

impl From<Goal> for String {
    fn from(goal: Goal) -> Self {
        goal.0
    }
}

/// How many a second.
pub fn rate(count: usize, seconds: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench are small")]
    let count = count as f64;
    if seconds > 0.0 { count / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_marked_and_counted() {
        let mut table = Table::default();
        table.note("there", Ok(()));
        table.note("not there", Err(anyhow::anyhow!("gave up")));
        assert_eq!(table.missing(), 1);
        let text = table.to_string();
        assert!(text.contains("not there | missing | gave up"), "{text}");
    }

    #[test]
    fn a_goal_says_whether_it_is_kept() {
        let said = |figure| String::from(Goal::at_most(figure, 5.0, "s"));
        assert_eq!(said(5.0), "at most 5 s: ok");
        assert_eq!(said(5.1), "at most 5 s: MISSED");
    }
}
