//! What lies in the charts' folders: files that are files, copies that are copies, one version for all. Touches no network.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::helm::{Helm, Render};
use crate::cache;

pub fn check(kinds: &Path, operator: &Path) -> Result<()> {
    for chart in [kinds, operator] {
        walk(chart, &mut |path| {
            let what = path.symlink_metadata()?;
            ensure!(
                what.is_file(),
                "{}: a chart is packed and copied in ways that drop links; put the file here",
                path.display()
            );
            Ok(())
        })?;
        version(chart)?;
    }
    // What crdgen writes is compared with the chart's files by the tests of the crate that generates it.
    let (shown, read) = (operator.join("values.yaml"), operator.join("files/values.yaml"));
    ensure!(
        fs::read(&shown)? == fs::read(&read)?,
        "{} has the defaults for templates, which cannot read values.yaml: copy {} over it",
        read.display(),
        shown.display()
    );
    Ok(())
}

/// A chart that has lost its files must not render as if there were nothing to install.
pub async fn check_missing(helm: &Helm, kinds: &Path, operator: &Path) -> Result<()> {
    for chart in [kinds, operator] {
        let copy = helm.home.join("incomplete");
        copy_tree(chart, &copy)?;
        fs::remove_dir_all(copy.join("files"))?;
        match helm.text(&Render::new(&copy, json!({}))).await {
            Ok(text) => bail!(
                "{} renders without its files: {} bytes",
                chart.display(),
                text.trim().len()
            ),
            Err(error) => ensure!(
                format!("{error:#}").contains("the chart is incomplete"),
                "{}: fails without its files, but does not say why: {error:#}",
                chart.display()
            ),
        }
        cache::clear(&copy)?;
    }
    Ok(())
}

/// The image's default tag and what the operator compares with the installed kinds come from here.
fn version(chart: &Path) -> Result<()> {
    let path = chart.join("Chart.yaml");
    let about: Value = serde_saphyr::from_str(&fs::read_to_string(&path)?).context("Chart.yaml")?;
    for field in ["version", "appVersion"] {
        ensure!(
            about[field] == env!("CARGO_PKG_VERSION"),
            "{}: {field} must be the workspace's version, {}",
            path.display(),
            env!("CARGO_PKG_VERSION")
        );
    }
    Ok(())
}

fn walk(folder: &Path, visit: &mut impl FnMut(&Path) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            walk(&path, visit)?;
        } else {
            visit(&path)?;
        }
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    cache::clear(to)?;
    walk(from, &mut |path| {
        let target = to.join(path.strip_prefix(from)?);
        fs::create_dir_all(target.parent().unwrap_or(to))?;
        fs::copy(path, target)?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_charts_files_are_in_order() {
        let charts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts");
        check(&charts.join("medallion-crds"), &charts.join("medallion-operator")).unwrap();
    }

    #[test]
    fn a_link_in_a_chart_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let chart = folder.path().join("chart");
        fs::create_dir_all(chart.join("files")).unwrap();
        std::os::unix::fs::symlink("/dev/null", chart.join("files/a.yaml")).unwrap();
        let error = check(&chart, &chart).unwrap_err();
        assert!(format!("{error:#}").contains("files/a.yaml"), "{error:#}");
    }
}
