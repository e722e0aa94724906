//! The printed table: figure and limit side by side. Touches no network.

use std::fmt;

#[derive(Default)]
pub struct Table {
    rows: Vec<[String; 3]>,
}

impl Table {
    pub fn row(&mut self, what: impl Into<String>, figure: impl Into<String>, limit: impl Into<String>) {
        let row = [what.into(), figure.into(), limit.into()];
        println!("  {}: {} ({})", row[0], row[1], row[2]);
        self.rows.push(row);
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

/// How many a second.
pub fn rate(count: usize, seconds: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench are small")]
    let count = count as f64;
    if seconds > 0.0 { count / seconds } else { 0.0 }
}
