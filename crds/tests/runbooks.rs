//! The words that the product says, against `docs/runbooks.md` and the sources: each has one page with its meaning and what to do, no two mean the same, and none is there that no code says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, io};

use medallion_crds::{Reason, Severity};

/// Words that are others' too: phases, states and condition types of Kubernetes and of a Pipeline.
const OF_OTHERS: [&str; 6] = [
    "Accepted",
    "CrashLoopBackOff",
    "Pending",
    "Running",
    "Suspended",
    "Unschedulable",
];

/// Heading to text of the page.
fn pages() -> BTreeMap<&'static str, &'static str> {
    include_str!("../../docs/runbooks.md")
        .split("\n### ")
        .skip(1)
        .filter_map(|page| page.split_once('\n'))
        .collect()
}

#[test]
fn each_word_has_its_page_which_says_what_it_means_and_what_to_do() {
    let pages = pages();
    let mut missing = Vec::new();
    for reason in Reason::ALL {
        let said = format!("{:?}: {}.", reason.severity(), reason.meaning());
        let page = pages.get(reason.as_str()).copied().unwrap_or_default();
        let to_do = page.lines().filter(|line| line.starts_with("- ")).count();
        let wanted = if reason.severity() == Severity::Normal { 1 } else { 2 };
        if !page.contains(&said) || to_do < wanted {
            missing.push(format!("### {reason}: \"{said}\", what to look at, what to do"));
        }
    }
    assert!(missing.is_empty(), "docs/runbooks.md lacks\n{}", missing.join("\n"));
}

#[test]
fn no_page_is_left_over_of_a_word_that_nobody_says() {
    let known: Vec<_> = Reason::ALL.iter().map(Reason::as_str).collect();
    let stale: Vec<_> = pages().into_keys().filter(|page| !known.contains(page)).collect();
    assert!(stale.is_empty(), "{stale:?}");
}

#[test]
fn each_word_has_one_page_and_a_meaning_of_its_own() {
    let mut headings: Vec<_> = include_str!("../../docs/runbooks.md")
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    let mut meanings: Vec<_> = Reason::ALL.iter().map(Reason::meaning).collect();
    for all in [&mut headings, &mut meanings] {
        all.sort_unstable();
        let twice: Vec<_> = all.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
}

#[test]
fn each_word_is_said_by_some_code_and_never_as_text() {
    let mut sources = Vec::new();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for folder in ["crds", "operator", "workers"] {
        read(&workspace.join(folder), &mut sources).unwrap();
    }
    let said: BTreeSet<_> = sources.iter().flat_map(|source| words(source)).collect();
    let unsaid: Vec<_> = Reason::ALL
        .iter()
        .filter(|word| !said.contains(word.as_str()))
        .collect();
    assert!(unsaid.is_empty(), "no code says {unsaid:?}");
    let as_text: Vec<_> = Reason::ALL
        .iter()
        .map(Reason::as_str)
        .filter(|word| !OF_OTHERS.contains(word))
        .filter(|word| sources.iter().any(|source| source.contains(&format!("\"{word}\""))))
        .collect();
    assert!(as_text.is_empty(), "texts where a `Reason` belongs: {as_text:?}");
}

/// The words that stand in a source behind `Reason::`.
fn words(source: &str) -> impl Iterator<Item = &str> {
    source.split("Reason::").skip(1).filter_map(|rest| {
        let end = rest.find(|character: char| !character.is_alphanumeric())?;
        rest.get(..end)
    })
}

/// The sources under a folder without their tests.
fn read(folder: &Path, sources: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is = |name: &str| path.ends_with(name);
        let is_test = path.to_str().is_some_and(|path| path.ends_with("tests.rs"));
        if path.is_dir() && !is("tests") && !is("target") {
            read(&path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            let text = fs::read_to_string(&path)?;
            let (code, _) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
            sources.push(code.to_owned());
        }
    }
    Ok(())
}
