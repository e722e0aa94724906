//! What reads, plans and judges the Terraform files without an account: OpenTofu, the stand-in provider with the real one's schemas, linters.
//! Touches the network through `go` and `pip`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::process::Command;

use super::maven::only_file;
use super::{alone, go, python};
use crate::cache;
use crate::digest::Digester;
use crate::layout::Layout;
use crate::pins::Pins;
use crate::progress::Progress;
use crate::run;

/// Where each of them lies.
pub struct Tools {
    pub tofu: PathBuf,
    pub tflint: PathBuf,
    pub checkov: PathBuf,
    pub moto: PathBuf,
    /// The stand-in for the AWS provider.
    pub provider: PathBuf,
    /// Schemas of the real one's resources and data sources, a file each.
    pub schemas: PathBuf,
    /// Whose schemas they are, such as `6.69.1`.
    pub provider_version: String,
}

/// Makes sure that all of it is there. One after another: the other core belongs to cargo.
pub async fn tools(layout: &Layout, pins: &Pins, progress: &Progress) -> Result<Tools> {
    let _lock = alone(layout, progress).await?;
    let bindings = python::aws_bindings(layout, pins, progress).await?;
    let judges = python::terraform_tools(layout, pins, progress).await?;
    let stand_in = go::build(layout, progress, &go::AWS_STAND_IN).await?;
    let schemas = derive(layout, progress, &bindings, &stand_in.join("derive-schema")).await?;
    let version = fs::read_to_string(schemas.join("version")).context("the schemas say no version")?;
    Ok(Tools {
        tofu: go::build(layout, progress, &go::OPENTOFU).await?.join("tofu"),
        tflint: go::build(layout, progress, &go::TFLINT).await?.join("tflint"),
        checkov: judges.join("bin/checkov"),
        moto: judges.join("bin/moto_server"),
        provider: stand_in.join("terraform-provider-aws-stand-in"),
        schemas,
        provider_version: version.trim().to_owned(),
    })
}

async fn derive(layout: &Layout, progress: &Progress, bindings: &Path, program: &Path) -> Result<PathBuf> {
    let digest = Digester::default()
        .text(&bindings.to_string_lossy())
        .text(&program.to_string_lossy())
        .short();
    cache::once(layout, "aws-schemas", &digest, |making| async move {
        progress
            .step("schemas of the AWS provider", |step| async move {
                let mut command = Command::new(program);
                command.arg(only_file(bindings)?).arg(making);
                run::logged(&command, &layout.build_log("aws-schemas"), &step).await
            })
            .await
    })
    .await
}
