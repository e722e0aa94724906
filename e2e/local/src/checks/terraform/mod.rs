//! The Terraform files without an account: written well, valid, tested, planned and applied against the real provider's schema, judged, and
//! every seeded mistake refused. Touches loopback alone, but for missing parts.

pub mod docs;
pub mod environments;
mod locks;
mod modules;
mod moto;
mod policies;
mod recovery;
mod report;
mod rights;
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
    two_at_a_time(jobs(context, &workspace, &places, &report)).await;
    rights::check(&report, &context.layout.root, &places.environments).await;
    cache::clear(&workspace.folder)?;
    report.end()
}

/// What is checked one by one, each in a place where nobody else works.
struct Places {
    /// To be planned and applied.
    environments: Vec<PathBuf>,
    /// To be validated and tested: modules, environments, the bootstrap root.
    every: Vec<PathBuf>,
    modules: Vec<PathBuf>,
}

impl Places {
    fn find(workspace: &Workspace) -> Result<Self> {
        let tested = workspace.copy("tested")?;
        let mut every = folders(&tested.join("modules"))?;
        every.extend(folders(&tested.join("environments"))?);
        every.push(tested.join("bootstrap"));
        Ok(Self {
            environments: folders(&workspace.copy("applied")?.join("environments"))?,
            every,
            modules: folders(&workspace.files.join("modules"))?,
        })
    }
}

/// The longest first, so that none is left alone in the end.
fn jobs<'a>(
    context: &'a Context,
    workspace: &'a Workspace,
    places: &'a Places,
    report: &'a Report<'_>,
) -> Vec<Job<'a>> {
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for folder in &places.environments {
        jobs.push(Box::pin(environments::check(
            workspace,
            report,
            &context.layout.root,
            folder,
        )));
    }
    jobs.push(Box::pin(locks::check(workspace, report)));
    jobs.push(Box::pin(recovery::check(context, workspace, report)));
    for folder in &places.every {
        jobs.push(Box::pin(modules::check(workspace, report, folder)));
    }
    jobs.push(Box::pin(async move {
        let judged = policies::source(workspace);
        report.check("checkov on the modules", judged).await;
    }));
    for seed in &SEEDS {
        jobs.push(Box::pin(async move {
            let refused = seed.refused(workspace);
            report.check(format!("{} is refused", seed.name), refused).await;
        }));
    }
    jobs.push(Box::pin(files(workspace, places, report)));
    jobs
}

/// What is quick.
async fn files(workspace: &Workspace, places: &Places, report: &Report<'_>) {
    let written = modules::format(workspace);
    report.check("the files are formatted", written).await;
    let skips = async { policies::reasons(&workspace.files) };
    report.check("every skip has a reason", skips).await;
    report.check("tflint", policies::lint(workspace)).await;
    for module in &places.modules {
        let readme = docs::check(workspace, module);
        report
            .check(format!("README of {}", workspace::name(module)), readme)
            .await;
    }
}
