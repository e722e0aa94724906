//! `docs/runbooks.md` against the words that the product says: each has its page, with the same meaning, and what to do.

use std::collections::BTreeMap;

use medallion_crds::{Reason, Severity};

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
