//! The Helm charts: what lies in them, what they render, their alerts, and every rendered object against the schema of the pinned Kubernetes. Touches no network but for missing parts.

mod connections;
mod everything;
mod files;
mod helm;
mod limits;
mod names;
mod networks;
mod rules;
mod values;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::json;
use tokio::process::Command;

use super::schemas;
use crate::cache;
use crate::commands::Context;
use crate::fetch;
use crate::run;
use everything::everything;
use helm::{Helm, Render};

/// Kinds that come with the Prometheus operator; their schemas are not Kubernetes' own.
const FOREIGN: &str = "ServiceMonitor,PodMonitor,PrometheusRule";

pub async fn check(context: &Context) -> Result<()> {
    let (layout, progress) = (&context.layout, &context.progress);
    let [program, kubeconform, promtool] = fetch::chart_tools(layout, progress).await?;
    let schemas = schemas::make(context).await?;
    let home = layout.cache.join("making/helm-home");
    fs::create_dir_all(&home)?;
    let helm = Helm { program, home };
    let (kinds, operator) = (
        layout.root.join("charts/medallion-crds"),
        layout.root.join("charts/medallion-operator"),
    );
    files::check(&kinds, &operator)?;
    for chart in [&kinds, &operator] {
        helm.lint(chart).await?;
    }
    let conform = Conform {
        program: kubeconform,
        schemas,
    };
    conform.check(&helm, &Render::new(&kinds, json!({}))).await?;
    conform.check(&helm, &Render::new(&operator, json!({}))).await?;
    conform
        .check(
            &helm,
            &Render {
                kinds: &[limits::POLICY],
                ..Render::new(&operator, everything())
            },
        )
        .await?;
    files::check_missing(&helm, &kinds, &operator).await?;
    values::check(&helm, &operator).await?;
    names::check(&helm, &operator).await?;
    limits::check(&helm, &operator).await?;
    connections::check(&helm, &operator).await?;
    rules::check(&helm, &operator, &promtool).await?;
    cache::clear(&helm.home)
}

/// kubeconform with the schemas of the pinned Kubernetes.
struct Conform {
    program: PathBuf,
    schemas: PathBuf,
}

impl Conform {
    async fn check(&self, helm: &Helm, render: &Render<'_>) -> Result<()> {
        let name = render.chart.file_name().unwrap_or_default().to_string_lossy();
        let file = helm.home.join("rendered.yaml");
        fs::write(&file, helm.text(render).await?)?;
        let said = run::output(&mut self.command(&file))
            .await
            .with_context(|| format!("{name}, rendered"))?;
        println!("{name}: {}", said.trim());
        Ok(())
    }

    fn command(&self, file: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["-strict", "-summary", "-skip", FOREIGN, "-schema-location"])
            .arg(format!(
                "{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
                self.schemas.display()
            ))
            .arg(file);
        command
    }
}
