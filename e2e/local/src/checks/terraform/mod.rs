//! The Terraform files without an account: written well, valid, tested, planned and applied against the real provider's schema, judged, and
//! every seeded mistake refused. Touches loopback alone, but for missing parts.

pub mod docs;
mod environments;
mod locks;
mod modules;
mod moto;
mod policies;
mod report;
mod seeds;
mod workspace;

use std::path::PathBuf;

use anyhow::Result;

use crate::cache;
use crate::checks::tally::Tally;
use crate::context::Context;
use crate::fetch::terraform;
use report::{Job, Report, two_at_a_time};
use seeds::SEEDS;
use workspace::{Workspace, folders};

pub async fn check(context: &Context, tally: &Tally) -> Result<()> {
    let tools = terraform::tools(&context.layout, &context.pins, &context.progress).await?;
    let workspace = Workspace::make(&context.layout, tools).await?;
    let places = Places::find(&workspace)?;
    let report = Report::new(tally);
    two_at_a_time(jobs(&workspace, &places, &report)).await;
    cache::clear(&workspace.folder)?;
    report.end()
}

/// What is checked one by one.
struct Places {
    modules: Vec<PathBuf>,
    environments: Vec<PathBuf>,
    bootstrap: PathBuf,
}

impl Places {
    fn find(workspace: &Workspace) -> Result<Self> {
        Ok(Self {
            modules: folders(&workspace.tree.join("modules"))?,
            environments: folders(&workspace.tree.join("environments"))?,
            bootstrap: workspace.tree.join("bootstrap"),
        })
    }
}

/// The longest first, so that none is left alone in the end.
fn jobs<'a>(workspace: &'a Workspace, places: &'a Places, report: &'a Report<'_>) -> Vec<Job<'a>> {
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for folder in &places.environments {
        jobs.push(Box::pin(environments::check(workspace, report, folder)));
    }
    jobs.push(Box::pin(locks::check(workspace, report)));
    jobs.push(Box::pin(async {
        report
            .check("checkov on the modules", policies::source(workspace))
            .await;
    }));
    for folder in places.modules.iter().chain([&places.bootstrap]) {
        jobs.push(Box::pin(modules::check(workspace, report, folder)));
    }
    for seed in &SEEDS {
        jobs.push(Box::pin(async {
            report
                .check(format!("{} is refused", seed.name), seed.refused(workspace))
                .await;
        }));
    }
    jobs.push(Box::pin(async {
        report
            .check("the files are formatted", modules::format(workspace))
            .await;
        let skips = async { policies::reasons(&workspace.tree) };
        report.check("every skip has a reason", skips).await;
        let every = places
            .modules
            .iter()
            .chain(&places.environments)
            .chain([&places.bootstrap]);
        report.check("tflint", policies::lint(workspace, every)).await;
        for module in &places.modules {
            let name = workspace::name(module);
            report
                .check(format!("README of {name}"), docs::check(workspace, module))
                .await;
        }
    }));
    jobs
}
