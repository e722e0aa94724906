//! The alarms of `terraform/modules/monitoring` and the alerts of the operator's chart against `docs/alarms.md` and the sources: each alarm has its page and no page is left over, and what they ask for is a metric that some program shows or a line that some program writes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(folder: &Path, extension: &str, texts: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read(&path, extension, texts)?;
        } else if path.extension().is_some_and(|found| found == extension) {
            texts.push(fs::read_to_string(path)?);
        }
    }
    Ok(())
}

fn module() -> String {
    let mut texts = Vec::new();
    read(&workspace().join("terraform/modules/monitoring"), "tf", &mut texts).expect("the module");
    texts.join("\n")
}

fn sources() -> String {
    let mut texts = Vec::new();
    for folder in ["operator", "workers"] {
        read(&workspace().join(folder), "rs", &mut texts).expect("the sources");
    }
    texts.join("\n")
}

/// The metrics of ours that a text speaks of.
fn metrics(text: &str) -> BTreeSet<&str> {
    let spoken = text.match_indices("medallion_").map(|(place, _)| &text[place..]);
    let names = spoken.map(|rest| {
        let end = rest.find(|character: char| !character.is_ascii_alphanumeric() && character != '_');
        &rest[..end.unwrap_or(rest.len())]
    });
    names.collect()
}

/// Holds metrics against what programs register: without the prefix of their registry, and without what the format adds.
fn assert_registered(asked: &BTreeSet<&str>, sources: &str) {
    for metric in asked {
        let name = metric.trim_start_matches("medallion_").trim_start_matches("operator_");
        let name = name.trim_end_matches("_total");
        assert!(sources.contains(&format!("\"{name}\"")), "nobody shows {metric}");
    }
}

/// The pages that alarms may point at, as the module lists them; it refuses an alarm with another one.
fn pages(module: &str) -> BTreeSet<&str> {
    let (_, list) = module.split_once("pages = toset([").expect("a list of pages");
    let (list, _) = list.split_once("])").expect("its end");
    list.split('"').skip(1).step_by(2).collect()
}

#[test]
fn each_alarm_has_its_page_and_no_page_is_left_over() {
    let headings: BTreeSet<_> = include_str!("../../docs/alarms.md")
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    assert_eq!(pages(&module()), headings);
}

#[test]
fn each_page_says_what_to_do() {
    for page in include_str!("../../docs/alarms.md").split("\n### ").skip(1) {
        let (heading, text) = page.split_once('\n').unwrap();
        assert!(text.lines().any(|line| line.starts_with("- Look at ")), "{heading}");
    }
}

#[test]
fn what_alarms_ask_for_is_registered_by_some_program() {
    let module = module();
    let asked = metrics(&module);
    assert!(asked.len() >= 6, "{asked:?}");
    assert_registered(&asked, &sources());
}

#[test]
fn what_alerts_of_the_chart_ask_for_is_registered_by_some_program() {
    let asked = metrics(include_str!("../../charts/medallion-operator/templates/_alerts.tpl"));
    assert!(asked.len() >= 9, "{asked:?}");
    assert_registered(&asked, &sources());
}

#[test]
fn what_alarms_ask_for_is_told_to_cloudwatch_and_what_is_told_is_registered() {
    let told = metrics(include_str!("../../workers/metrics/src/told.rs"));
    assert!(told.len() >= 17, "{told:?}");
    assert_registered(&told, &sources());
    for asked in metrics(&module()) {
        let family = asked.trim_end_matches("_total");
        assert!(told.contains(family), "{asked} is not among the log lines");
    }
}

#[test]
fn what_is_counted_in_logs_is_written_by_some_program() {
    let (module, sources) = (module(), sources());
    let messages: BTreeSet<_> = module
        .split("$.message = \\\"")
        .skip(1)
        .filter_map(|rest| rest.split("\\\"").next())
        .collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    for message in messages {
        assert!(sources.contains(&format!("\"{message}\"")), "nobody says {message:?}");
    }
}
