//! `from-terraform`: an environment's Helm values and Pipeline from what Terraform made there. No network; reads and writes files.

mod arguments;
mod check;
mod outputs;
mod pipeline;
mod text;
mod values;

use std::io::Write as _;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::files::{self, File};
use arguments::{is_standard_input, named, read};
use outputs::Outputs;
use pipeline::Base;
use values::Values;

pub(crate) use arguments::FromTerraformArguments;

/// Reads, decides, and only then writes: with an error, nothing has been written.
pub(crate) fn run(arguments: &FromTerraformArguments) -> anyhow::Result<()> {
    let (outputs, pipeline) = (&arguments.outputs, &arguments.pipeline);
    ensure!(
        !(is_standard_input(outputs) && is_standard_input(pipeline)),
        "--outputs and --pipeline are both to come from standard input; name a file for one of them"
    );
    let files = made(arguments, &read(outputs)?, &read(pipeline)?)?;
    let Some(folder) = &arguments.into else {
        let documents: Vec<_> = files.iter().map(|file| file.text.as_str()).collect();
        let mut out = std::io::stdout().lock();
        out.write_all(documents.join("---\n").as_bytes())
            .and_then(|()| out.flush())
            .context("cannot write to standard output")?;
        return Ok(());
    };
    files::write(folder, &files, arguments.force)?;
    for file in &files {
        println!("{}", folder.join(file.name).display());
    }
    Ok(())
}

/// The files of an environment from the texts that were given. The same texts and arguments give the same files, wherever they go.
fn made(arguments: &FromTerraformArguments, outputs: &str, pipeline: &str) -> anyhow::Result<Vec<File>> {
    let origin = named(&arguments.pipeline);
    let outputs = Outputs::read(outputs, &named(&arguments.outputs))?;
    let values = Values::new(&outputs, &arguments.dbt_image)?;
    let pipeline = Base::read(pipeline, &origin)?.filled(&outputs)?;
    check::check(&pipeline, &values, &origin)?;
    let place = format!(
        "{}: account {}, region {}. Do not edit: made by",
        outputs.name, outputs.account, outputs.region
    );
    let command = format!("  {}", arguments.command());
    let of_pipeline =
        "The Pipeline, for kubectl apply. To change it, change the manifest that is named below, and make it anew.";
    let of_values =
        "Values of the chart medallion-operator. Your own stand in a file that helm is given after this one.";
    let document = |what: &str, object: &Value| text::document(&[what, &place, &command], object);
    Ok(vec![
        File {
            name: "values.yaml",
            text: document(of_values, &serde_json::to_value(&values)?)?,
        },
        File {
            name: "pipeline.yaml",
            text: document(of_pipeline, &pipeline)?,
        },
    ])
}

#[cfg(test)]
mod tests;
