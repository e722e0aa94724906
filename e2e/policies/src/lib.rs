//! Who may do what on AWS, decided from the policies of an applied state and held against what the workers were seen to ask for.
//!
//! Pure but for the files that it reads. From the inside out: [`pattern`], [`condition`], [`principal`], [`policy`] and
//! [`decide`] are IAM's own rules, as far as our policies use them; [`state`] and [`land`] are an environment's policies;
//! [`recorded`], [`lists`] and [`rows`] are what is expected of them; [`covered`], [`used`], [`stars`] and [`table`] compare;
//! and [`seeds`] shows that they find what is wrong.

pub mod asked;
pub mod check;
pub mod condition;
pub mod covered;
pub mod decide;
pub mod land;
pub mod lists;
pub mod pattern;
pub mod policy;
pub mod principal;
pub mod recorded;
pub mod rows;
pub mod seeds;
pub mod stars;
pub mod state;
pub mod table;
pub mod used;
mod words;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use check::Check;
use land::Land;
use lists::Lists;
use recorded::Recorded;
use rows::Row;
use seeds::{SEEDS, Seed};

/// The recorded calls, in the workspace.
pub const RECORDED: &str = "e2e/policies/recorded";
const MODULES: &str = "terraform/modules";
/// The page with the table of who may do what.
const PAGE: &str = "docs/security.md";

/// What the environments are held against.
pub struct Expected {
    recorded: Recorded,
    lists: Lists,
    rows: Vec<Row>,
}

impl Expected {
    /// As it stands in the workspace.
    pub fn read(root: &Path) -> Result<Self> {
        let recorded = root.join(RECORDED);
        let page = root.join(PAGE);
        let text = fs::read_to_string(&page).with_context(|| page.display().to_string())?;
        Ok(Self {
            recorded: recorded::read(&recorded)?,
            lists: Lists::read(&root.join(MODULES), &recorded)?,
            rows: rows::read(&text).with_context(|| page.display().to_string())?,
        })
    }
}

/// All checks of the environments' applied states, by the environments' names; then that each seeded mistake is found.
pub fn check(states: &[(String, Value)], expected: &Expected) -> Result<Vec<Check>> {
    let mut checks = judge(states, expected)?;
    for seed in &SEEDS {
        let wrong = missed(seed, states, expected)?;
        checks.push(Check::new(
            format!("{} is found", seed.name),
            wrong.into_iter().collect(),
        ));
    }
    Ok(checks)
}

fn judge(states: &[(String, Value)], expected: &Expected) -> Result<Vec<Check>> {
    let lands = states
        .iter()
        .map(|(name, state)| Land::read(name, state).with_context(|| name.clone()));
    let lands: Vec<_> = lands.collect::<Result<_>>()?;
    let Expected { recorded, lists, rows } = expected;
    let mut checks = Vec::new();
    for land in &lands {
        checks.extend(covered::check(land, recorded, lists));
        checks.extend(used::check(land, recorded, lists));
        checks.push(stars::check(land, lists));
    }
    checks.push(used::stale(&lands, recorded, lists));
    checks.extend(table::check(&lands, rows));
    Ok(checks)
}

/// What is wrong with a mistake that was not found.
fn missed(seed: &Seed, states: &[(String, Value)], expected: &Expected) -> Result<Option<String>> {
    for (name, state) in states {
        let Some(spoilt) = seed.spoilt(state)? else {
            continue;
        };
        let found: Vec<String> = match judge(&[(name.clone(), spoilt)], expected) {
            Ok(checks) => checks.into_iter().flat_map(|check| check.wrong).collect(),
            Err(error) => vec![format!("{error:#}")],
        };
        if found.iter().any(|found| found.contains(seed.found)) {
            return Ok(None);
        }
        return Ok(Some(format!(
            "in {name} not found: {}; found: {}",
            seed.found,
            found.join("; ")
        )));
    }
    Ok(Some("no environment has the policy that it spoils".to_owned()))
}
