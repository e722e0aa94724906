//! Renders charts as a user does. Touches no network.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::process::Command;

use crate::run;

/// Helm with a home of its own.
pub struct Helm {
    pub program: PathBuf,
    /// Where Helm keeps its settings, and where files for it are written.
    pub home: PathBuf,
}

/// One way of rendering a chart.
pub struct Render<'a> {
    pub chart: &'a Path,
    pub release: &'a str,
    pub namespace: &'a str,
    /// Laid over the chart's own values.
    pub values: Value,
    /// Kinds that the cluster has beside those of every cluster, as `group/version/Kind`.
    pub kinds: &'a [&'a str],
}

impl<'a> Render<'a> {
    /// A release whose objects are called medallion-operator.
    pub fn new(chart: &'a Path, values: Value) -> Self {
        Self {
            chart,
            release: "medallion",
            namespace: "medallion-system",
            values,
            kinds: &[],
        }
    }
}

impl Helm {
    pub async fn lint(&self, chart: &Path) -> Result<()> {
        run::output(self.command().args(["lint", "--strict"]).arg(chart))
            .await
            .map(drop)
    }

    /// The rendered text.
    pub async fn text(&self, render: &Render<'_>) -> Result<String> {
        let file = self.home.join("values.json");
        fs::write(&file, render.values.to_string())?;
        let mut command = self.command();
        command
            .args(["template", render.release])
            .arg(render.chart)
            .args(["--namespace", render.namespace, "--values"])
            .arg(&file);
        for kind in render.kinds {
            command.args(["--api-versions", kind]);
        }
        run::output(&mut command).await
    }

    /// The rendered objects.
    pub async fn objects(&self, render: &Render<'_>) -> Result<Vec<Value>> {
        let text = self.text(render).await?;
        objects(&text)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("HOME", &self.home);
        command
    }
}

/// The objects in a text of several documents.
pub fn objects(text: &str) -> Result<Vec<Value>> {
    let objects: Vec<Value> = serde_saphyr::from_multiple(text).context("what was rendered is no YAML")?;
    Ok(objects.into_iter().filter(|object| !object.is_null()).collect())
}

/// What an object is called among all that a release makes: kind, namespace (empty: the cluster's) and name.
pub fn identity(object: &Value) -> (String, String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (
        text(&object["kind"]),
        text(&object["metadata"]["namespace"]),
        text(&object["metadata"]["name"]),
    )
}

/// The only object of its kind with this name.
pub fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> Result<&'a Value> {
    objects
        .iter()
        .find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
        .with_context(|| format!("no {kind} {name} was rendered"))
}
