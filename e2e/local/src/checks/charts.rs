//! The Helm charts: lint, render, and every rendered object against the schema of the pinned Kubernetes. Touches no network but for missing parts.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use super::schemas;
use crate::cache;
use crate::commands::Context;
use crate::fetch;
use crate::run;

pub async fn check(context: &Context) -> Result<()> {
    let (layout, progress) = (&context.layout, &context.progress);
    let charts = charts(&layout.root.join("charts"))?;
    if charts.is_empty() {
        bail!("charts/ holds no chart");
    }
    let [helm, kubeconform] = fetch::chart_tools(layout, progress).await?;
    let schemas = schemas::make(context).await?;
    // Helm keeps its settings below HOME.
    let home = layout.cache.join("making/helm-home");
    fs::create_dir_all(&home)?;
    for chart in charts {
        let name = chart.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let helm = || {
            let mut command = Command::new(&helm);
            command.env("HOME", &home);
            command
        };
        run::output(helm().args(["lint", "--strict"]).arg(&chart)).await?;
        let rendered = run::output(helm().args(["template", &name]).arg(&chart).args([
            "--namespace",
            "medallion-system",
            "--include-crds",
        ]))
        .await?;
        let file = home.join(format!("{name}.yaml"));
        fs::write(&file, rendered)?;
        let mut conform = Command::new(&kubeconform);
        conform.args(["-strict", "-summary", "-schema-location"]).arg(format!(
            "{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
            schemas.display()
        ));
        let said = run::output(conform.arg(&file))
            .await
            .with_context(|| format!("{name}, rendered"))?;
        println!("{name}: {}", said.trim());
    }
    cache::clear(&home)
}

fn charts(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut charts = fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("Chart.yaml").exists())
        .collect::<Vec<_>>();
    charts.sort();
    Ok(charts)
}
