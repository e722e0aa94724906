//! Builds the product's images from the shipped Dockerfiles and tags them by their content. Touches no network.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use super::archive::FILE;
use super::base::{Base, buildah};
use crate::cache;
use crate::digest::Digester;
use crate::layout::Layout;
use crate::progress::Progress;
use crate::run;

/// An image of the product: where its Dockerfile lies and what of the staging folder it wants.
pub struct Image {
    pub name: &'static str,
    pub dockerfile: &'static str,
    /// Release binaries, by their names in the workspace.
    binaries: &'static [&'static str],
    /// Folders of the tree and their names in the build context.
    folders: &'static [(&'static str, &'static str)],
    wheels: bool,
}

pub const MEDALLION: Image = Image {
    name: "medallion",
    dockerfile: "workers/Dockerfile",
    binaries: &[
        "medallion-operator",
        "medallion",
        "provisioner",
        "gateway",
        "consumer",
        "exporter",
        "loader",
        "cataloger",
    ],
    folders: &[],
    wheels: false,
};

pub const DBT_PURCHASES: Image = Image {
    name: "dbt-purchases",
    dockerfile: "dbt/Dockerfile",
    binaries: &["dbt-runner"],
    folders: &[("dbt", "dbt"), ("workers/dbt-runner/python", "python")],
    wheels: true,
};

/// A built image, exported for containerd.
#[derive(Clone, Debug)]
pub struct Built {
    pub reference: String,
    pub archive: PathBuf,
}

/// How many exported versions of an image stay in the cache.
const KEPT: usize = 3;

/// Build products that have no place in an image.
const LEFT_OUT: [&str; 4] = ["target", "logs", "__pycache__", ".user.yml"];

/// None: the Dockerfile is not there.
pub async fn image(
    layout: &Layout,
    progress: &Progress,
    image: &Image,
    base: &Base,
    wheels: &Path,
) -> Result<Option<Built>> {
    let dockerfile = layout.root.join(image.dockerfile);
    if !dockerfile.exists() {
        progress.line(format!("image {}: no {}, skipped", image.name, image.dockerfile));
        return Ok(None);
    }
    let context = layout.cache.join("staging").join(image.name);
    stage(layout, image, &context, wheels).await?;
    let digest = Digester::default()
        .text(&base.reference)
        .file(&dockerfile)?
        .folder(&context)?
        .short();
    let reference = format!("localhost/medallion/{}:{digest}", image.name);
    let name = format!("image-{}", image.name);
    let place = cache::once(layout, &name, &digest, |making| {
        let (reference, context) = (&reference, &context);
        async move {
            progress
                .step(format!("image {}", image.name), |step| async move {
                    let log = layout.build_log(&format!("image-{}", image.name));
                    let mut bud = buildah(layout)?;
                    bud.args([
                        "bud",
                        "--isolation",
                        "chroot",
                        "--pull-never",
                        "--network",
                        "host",
                        "--layers",
                        "--force-rm",
                    ])
                    .arg("--build-arg")
                    .arg(format!("BASE_IMAGE={}", base.reference))
                    .args(["--tag", reference, "--file"])
                    .arg(&dockerfile)
                    .arg(context);
                    run::logged(&bud, &log, &step).await?;
                    let to = format!("docker-archive:{}:{reference}", making.join(FILE).display());
                    let log = layout.build_log(&format!("image-{}-export", image.name));
                    run::logged(buildah(layout)?.args(["push", "--quiet", reference, &to]), &log, &step).await
                })
                .await
        }
    })
    .await?;
    forget_exports(layout, &name, &place)?;
    forget_images(layout, progress, image, &reference).await?;
    Ok(Some(Built {
        reference,
        archive: place.join(FILE),
    }))
}

/// Lays out the build context: `bin/`, `dbt/`, `python/`, `wheels/`.
async fn stage(layout: &Layout, image: &Image, context: &Path, wheels: &Path) -> Result<()> {
    cache::clear(context)?;
    let bin = context.join("bin");
    fs::create_dir_all(&bin)?;
    for binary in image.binaries {
        let from = layout.binaries().join(binary);
        if !from.exists() {
            bail!(
                "{} is not built; `cargo build --release --workspace` makes it",
                from.display()
            );
        }
        run::output(Command::new("strip").arg("-o").arg(bin.join(binary)).arg(&from)).await?;
    }
    for (from, to) in image.folders {
        let from = layout.root.join(from);
        if from.exists() {
            copy(&from, &context.join(to))?;
        }
    }
    if image.wheels {
        copy(&wheels.join("dbt"), &context.join("wheels"))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(&name))?;
        } else {
            fs::copy(entry.path(), to.join(&name))
                .with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Removes what the builder's store holds of other versions.
async fn forget_images(layout: &Layout, progress: &Progress, image: &Image, current: &str) -> Result<()> {
    let prefix = format!("localhost/medallion/{}:", image.name);
    let known = run::output(buildah(layout)?.args(["images", "--format", "{{.Name}}:{{.Tag}}"])).await?;
    for old in known
        .lines()
        .filter(|known| known.starts_with(&prefix) && *known != current)
    {
        // It costs space, and only that, when it stays.
        if let Err(error) = run::output(buildah(layout)?.args(["rmi", old])).await {
            progress.line(format!("{old} stays in the builder's store: {error:#}"));
        }
    }
    Ok(())
}

/// Removes all but the newest exported versions of an image.
fn forget_exports(layout: &Layout, name: &str, current: &Path) -> Result<()> {
    // Its time says when it was last wanted.
    let used = fs::File::open(current)?;
    used.set_modified(SystemTime::now())?;
    let prefix = format!("{name}-");
    let ours = |file: &OsStr| {
        file.to_string_lossy()
            .strip_prefix(&prefix)
            .is_some_and(|rest| rest.len() == 12)
    };
    let mut versions = fs::read_dir(layout.cache.join("parts"))?
        .flatten()
        .filter(|entry| ours(&entry.file_name()))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect::<Vec<_>>();
    versions.sort();
    for (_, old) in versions.iter().rev().skip(KEPT) {
        cache::clear(old)?;
    }
    Ok(())
}
