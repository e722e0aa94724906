//! One folder per case: the user's YAML, what happened, and the plan that must follow. No network.
//!
//! `UPDATE_GOLDEN=1` writes the plans anew; the difference is read like code.

mod world;

use std::path::{Path, PathBuf};

use medallion_crds::Stage;
use medallion_plan::{STAGES, StageEntry};
use rstest::rstest;
use serde::Deserialize;
use serde_json::{Value, json};
use world::{Step, World};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    /// What is shown.
    story: String,
    /// What happened before, each step followed by a settled operator.
    #[serde(default)]
    before: Vec<Step>,
    /// What happens now; the plan right after it is the expected one.
    now: Vec<Step>,
    /// Which stages there are; left out: those of the product.
    #[serde(default)]
    table: Table,
    /// Changes of the user's YAML, made before anything happens.
    #[serde(default)]
    spec: Option<Value>,
    /// Children in full rather than by name.
    #[serde(default)]
    full: bool,
}

/// Tables of stages to plan by.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Table {
    #[default]
    OfTheProduct,
    /// A seventh stage that nobody has made yet: it takes what the warehouse was given.
    WithArchive,
}

impl Table {
    fn entries(&self) -> Vec<StageEntry> {
        let mut all = STAGES.to_vec();
        if matches!(self, Self::WithArchive) {
            let last = *all.last().expect("a stage");
            all.push(StageEntry {
                stage: Stage::from("archive"),
                upstream: Some(last.stage),
                ..last
            });
        }
        all
    }
}

#[rstest]
fn the_plan_is_the_expected_one(#[files("tests/cases/*/case.yaml")] path: PathBuf) {
    let folder = path.parent().expect("a folder");
    let case: Case = serde_saphyr::from_str(&read(&path)).expect("a case");
    let own = folder.join("pipeline.yaml");
    let yaml = if own.exists() {
        own
    } else {
        folder.with_file_name("pipeline.yaml")
    };
    let mut world = World::new(&read(&yaml));
    world.table = case.table.entries();
    if let Some(patch) = case.spec {
        world.start_from(patch);
    }
    for step in &case.before {
        world.step(step.clone());
        world.settle();
    }
    for step in &case.now {
        world.step(step.clone());
    }
    let shown = shown(&world, case.full);
    let text = format!("# {}\n{}", case.story, serde_saphyr::to_string(&shown).expect("YAML"));
    let golden = folder.join("plan.yaml");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &text).expect("golden file");
    }
    let expected = read(&golden);
    assert!(
        expected == text,
        "{}: the plan differs\n{}",
        folder.display(),
        difference(&expected, &text)
    );
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The plan with children by name and digests masked: what a reader of the case wants to see.
fn shown(world: &World, full: bool) -> Value {
    let mut plan = serde_json::to_value(world.plan()).expect("a plan");
    if !full {
        let children = world.plan().children;
        plan["children"] = children
            .iter()
            .map(|child| json!(format!("{}/{}", child.kind(), child.name())))
            .collect();
        for field in ["createJobs", "runs"] {
            for entry in plan[field].as_array_mut().expect("a list") {
                let job = if field == "runs" {
                    &mut entry["createJob"]
                } else {
                    entry
                };
                if !job.is_null() {
                    *job = json!(format!("Job/{}", job["metadata"]["name"].as_str().unwrap_or_default()));
                }
            }
        }
    }
    mask(&mut plan);
    plan
}

/// Digests change with every default; that they are there is enough.
fn mask(value: &mut Value) {
    match value {
        Value::String(text) => *text = masked(text),
        Value::Array(all) => all.iter_mut().for_each(mask),
        Value::Object(all) => all.values_mut().for_each(mask),
        _ => {}
    }
}

fn masked(text: &str) -> String {
    let is_digest = |word: &str| {
        (word.len() == 8 || word.len() == 16)
            && word
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
            && word.bytes().any(|byte| byte.is_ascii_digit())
    };
    let words: Vec<_> = text
        .split('-')
        .map(|word| if is_digest(word) { "DIGEST" } else { word })
        .collect();
    words.join("-")
}

fn difference(expected: &str, found: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let gone = old
        .iter()
        .filter(|line| !new.contains(line))
        .map(|line| format!("- {line}"));
    let come = new
        .iter()
        .filter(|line| !old.contains(line))
        .map(|line| format!("+ {line}"));
    gone.chain(come).collect::<Vec<_>>().join("\n")
}
