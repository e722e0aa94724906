//! The printed table: figure and limit side by side. Touches no network.

use std::fmt;

use anyhow::{Result, anyhow};

use crate::tests::conclusion::Failed;

#[derive(Default)]
pub struct Table {
    rows: Vec<[String; 3]>,
    missing: usize,
    goals: usize,
    missed: Vec<Failed>,
}

impl Table {
    pub fn row(&mut self, what: impl Into<String>, figure: impl Into<String>, limit: impl Into<String>) {
        let row = [what.into(), figure.into(), limit.into()];
        println!("  {}: {} ({})", row[0], row[1], row[2]);
        self.rows.push(row);
    }

    /// A figure with a goal, which counts as kept or missed.
    pub fn judge(&mut self, what: impl Into<String>, figure: impl Into<String>, goal: Goal) {
        let (what, figure) = (what.into(), figure.into());
        self.goals += 1;
        if !goal.kept {
            let why = anyhow!("{figure}, and should be {}", goal.text);
            self.missed.push(Failed::new(what.clone(), &why));
        }
        self.row(what, figure, goal);
    }

    /// How many goals were judged.
    pub const fn goals(&self) -> usize {
        self.goals
    }

    /// Of what the goal was missed, and with which figure.
    pub fn missed(&self) -> &[Failed] {
        &self.missed
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
pub struct Goal {
    text: String,
    kept: bool,
}

impl Goal {
    pub fn at_most(figure: f64, limit: f64, unit: &str) -> Self {
        Self::new("at most", limit, unit, figure <= limit)
    }

    pub fn at_least(figure: f64, limit: f64, unit: &str) -> Self {
        Self::new("at least", limit, unit, figure >= limit)
    }

    fn new(words: &str, limit: f64, unit: &str, kept: bool) -> Self {
        let word = if kept { "ok" } else { "MISSED" };
        let text = format!("{words} {limit} {unit}").trim_end().to_owned() + ": " + word;
        Self { text, kept }
    }

    /// With the raw limit that it is to be seen beside.
    #[must_use]
    pub fn beside(mut self, raw: &str) -> Self {
        self.text = format!("{}; {raw}", self.text);
        self
    }
}

impl From<Goal> for String {
    fn from(goal: Goal) -> Self {
        goal.text
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
    use crate::tests::conclusion::conclude;

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
        let beside = Goal::at_least(4.0, 5.0, "/s").beside("raw 9");
        assert_eq!(String::from(beside), "at least 5 /s: MISSED; raw 9");
    }

    #[test]
    fn goals_are_counted_and_those_that_are_missed_are_named() {
        let mut table = Table::default();
        table.judge("quick", "6 /s", Goal::at_least(6.0, 5.0, "/s"));
        table.judge("slow", "4 /s", Goal::at_least(4.0, 5.0, "/s"));
        table.row("without a goal", "1", "");
        assert_eq!(table.goals(), 2);
        let verdict = conclude("goals", table.goals(), table.missed()).unwrap_err();
        assert_eq!(verdict.to_string(), "1 of the goals fail: slow");
    }
}
