//! The table of who may do what, as it stands in the documentation. Touches no network.

use anyhow::{Context as _, Result, bail, ensure};

const HEAD: [&str; 5] = ["who", "asks for", "of", "with", "answer"];

/// One line: everybody named asks for everything named, and all get the same answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// In its file, from 1.
    pub line: usize,
    pub who: Vec<String>,
    pub actions: Vec<String>,
    pub resources: Vec<String>,
    /// Condition keys with their values; an empty value takes the key away.
    pub with: Vec<(String, String)>,
    pub is_allowed: bool,
}

/// The rows of all tables with our head in a page.
pub fn read(page: &str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut is_ours = false;
    for (number, line) in page.lines().enumerate() {
        let Some(cells) = cells(line) else {
            is_ours = false;
            continue;
        };
        if cells == HEAD {
            is_ours = true;
        } else if is_ours && !cells.iter().all(|cell| is_rule(cell)) {
            rows.push(row(number + 1, &cells).with_context(|| format!("line {}", number + 1))?);
        }
    }
    ensure!(
        !rows.is_empty(),
        "there is no table that begins with | {} |",
        HEAD.join(" | ")
    );
    Ok(rows)
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

fn is_rule(cell: &str) -> bool {
    !cell.is_empty() && cell.chars().all(|one| one == '-')
}

fn row(line: usize, cells: &[&str]) -> Result<Row> {
    let [who, actions, resources, with, answer] = cells else {
        bail!("{} cells instead of five", cells.len());
    };
    let pair = |text: String| -> Result<_> {
        let (key, value) = text
            .split_once('=')
            .with_context(|| format!("{text} is no key=value"))?;
        Ok((key.to_owned(), value.to_owned()))
    };
    let row = Row {
        line,
        who: words(who),
        actions: words(actions),
        resources: words(resources),
        with: words(with).into_iter().map(pair).collect::<Result<_>>()?,
        is_allowed: match *answer {
            "allowed" => true,
            "refused" => false,
            other => bail!("{other} is no answer"),
        },
    };
    ensure!(
        !row.who.is_empty() && !row.actions.is_empty() && !row.resources.is_empty(),
        "nobody asks, or for nothing"
    );
    Ok(row)
}

/// What stands between commas, without the quotes of code.
fn words(cell: &str) -> Vec<String> {
    let words = cell.split(", ").map(|word| word.trim().trim_matches('`'));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_with_our_head_is_read_and_another_is_not() {
        let page = "# Page\n\n| a | b |\n| --- | --- |\n| x | y |\n\n| who | asks for | of | with | answer |\n| --- | --- | --- | --- | --- |\n\
                    | exporter, loader | `s3:PutObject` | `{gold}/x`, `{silver}` | `a:b=c`, `d=` | refused |\n\nend\n";
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            read(page).unwrap(),
            [Row {
                line: 9,
                who: texts(&["exporter", "loader"]),
                actions: texts(&["s3:PutObject"]),
                resources: texts(&["{gold}/x", "{silver}"]),
                with: vec![("a:b".to_owned(), "c".to_owned()), ("d".to_owned(), String::new())],
                is_allowed: false,
            }]
        );
    }

    #[test]
    fn a_row_that_cannot_be_read_is_an_error_and_so_is_a_page_without_one() {
        let head = "| who | asks for | of | with | answer |\n| --- | --- | --- | --- | --- |\n";
        for row in [
            "| a | b | c | d=e | perhaps |",
            "| a | b | c | d | allowed |",
            "| a | b | c | allowed |",
            "| | b | c | | allowed |",
            "",
        ] {
            assert!(read(&format!("{head}{row}\n")).is_err(), "{row}");
        }
    }
}
