//! How a tier of the stories ends, and the bench: what failed and why, and the line that counts. Touches no network.

use std::fmt::Write as _;

use anyhow::{Result, ensure};

/// How much of a reason is said once more, in characters: a few of them fit into the tail of a log that somebody is shown.
const REASON: usize = 2_000;

/// A story, case or goal that does not hold, and why.
pub struct Failed {
    name: String,
    reason: String,
}

impl Failed {
    pub fn new(name: impl Into<String>, error: &anyhow::Error) -> Self {
        Self {
            name: name.into(),
            reason: format!("{error:#}"),
        }
    }
}

/// Says last of all what programs count, and before it once more why something failed: between its end and this one others have said much.
pub fn conclude(what: &str, count: usize, failed: &[Failed]) -> Result<()> {
    print!("{}", closing(count, failed));
    let names: Vec<&str> = failed.iter().map(|one| one.name.as_str()).collect();
    ensure!(
        names.is_empty(),
        "{} of the {what} fail: {}",
        names.len(),
        names.join(", ")
    );
    Ok(())
}

fn closing(count: usize, failed: &[Failed]) -> String {
    let mut text = String::new();
    // Writing to a text does not fail.
    for Failed { name, reason } in failed {
        let _ = writeln!(text, "{name} FAILS: {}", bounded(reason));
    }
    let _ = writeln!(text, "{} passed, {} failed", count - failed.len(), failed.len());
    text
}

/// The beginning of a long text: it says what was waited for, and what was missing first.
fn bounded(reason: &str) -> String {
    match reason.char_indices().nth(REASON) {
        Some((end, _)) => format!("{} ...", &reason[..end]),
        None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn the_end_of_a_log_tells_what_failed_and_why() {
        let error = anyhow!("3 rows missing").context("everything arrives");
        let failed = [Failed::new("late", &error)];
        assert_eq!(
            closing(9, &failed),
            "late FAILS: everything arrives: 3 rows missing\n8 passed, 1 failed\n"
        );
        assert_eq!(closing(9, &[]), "9 passed, 0 failed\n");
        let verdict = conclude("stories", 9, &failed).unwrap_err();
        assert_eq!(verdict.to_string(), "1 of the stories fail: late");
    }

    #[test]
    fn a_long_reason_leaves_room_for_others() {
        let error = anyhow!("\u{e4}".repeat(REASON + 1));
        let text = closing(2, &[Failed::new("late", &error)]);
        let expected = format!("late FAILS: {} ...\n1 passed, 1 failed\n", "\u{e4}".repeat(REASON));
        assert_eq!(text, expected);
    }
}
