//! The program as people start it: what it prints, what it writes, and with which code it ends.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const DIGEST: &str = "sha256:1f0e3dad99908345f7439f8ffabdffc41f0e3dad99908345f7439f8ffabdffc4";

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Runs the program with the outputs of an environment on standard input.
fn medallion(arguments: &[&str], outputs: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_medallion"))
        .arg("from-terraform")
        .arg("--pipeline")
        .arg(data("base.yaml"))
        .args(arguments)
        .stdin(Stdio::from(File::open(outputs).expect("a readable file")))
        .output()
        .expect("the program starts")
}

fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr.clone()).expect("words")
}

#[test]
fn what_is_printed_is_two_documents_that_say_where_they_come_from() {
    let output = medallion(&["--dbt-image", DIGEST], &data("outputs.json"));
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    assert_eq!(documents.len(), 2, "{text}");
    assert_eq!(documents[0]["image"]["repository"], "medallion");
    assert_eq!(documents[1]["kind"], "Pipeline");
    let made_by = "#   terraform output -json | medallion from-terraform --pipeline ";
    assert_eq!(text.matches(made_by).count(), 2, "{text}");
}

#[test]
fn files_are_written_together_and_never_over_others() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("dev");
    let into = folder.to_str().unwrap();
    let write = |more: &[&str]| {
        let mut arguments = vec!["--dbt-image", DIGEST, "--into", into];
        arguments.extend_from_slice(more);
        medallion(&arguments, &data("outputs.json"))
    };
    assert!(write(&[]).status.success());
    let values = fs::read_to_string(folder.join("values.yaml")).unwrap();
    assert!(write(&[]).status.success(), "the same again changes nothing");

    fs::write(folder.join("pipeline.yaml"), "mine").unwrap();
    fs::remove_file(folder.join("values.yaml")).unwrap();
    let words = refusal(&write(&[]));
    assert!(
        words.contains("pipeline.yaml stands there already") && words.contains("--force"),
        "{words}"
    );
    assert!(!folder.join("values.yaml").exists(), "one of two was written");
    assert_eq!(fs::read_to_string(folder.join("pipeline.yaml")).unwrap(), "mine");

    assert!(write(&["--force"]).status.success());
    assert_eq!(fs::read_to_string(folder.join("values.yaml")).unwrap(), values);
    assert_ne!(fs::read_to_string(folder.join("pipeline.yaml")).unwrap(), "mine");
}

#[test]
fn what_cannot_be_used_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("dev");
    let into = folder.to_str().unwrap();
    let output = medallion(&["--dbt-image", DIGEST, "--into", into], &data("base.yaml"));
    let words = refusal(&output);
    assert!(words.starts_with("error: standard input is not JSON"), "{words}");
    assert!(!folder.exists());
}

#[test]
fn what_is_missing_on_the_command_line_is_named() {
    let outputs = data("outputs.json");
    let words = refusal(&medallion(&[], &outputs));
    assert!(words.contains("--dbt-image <IMAGE>"), "{words}");
    let words = refusal(&medallion(&["--dbt-image", DIGEST, "--force"], &outputs));
    assert!(words.contains("--into <FOLDER>"), "{words}");
    let words = refusal(&medallion(
        &["--dbt-image", DIGEST, "--outputs", "nowhere.json"],
        &outputs,
    ));
    assert!(words.contains("cannot read nowhere.json"), "{words}");
}
