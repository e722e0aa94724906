//! The Debian base of the product's images, made with mmdebstrap. Touches the network through apt.

use std::path::{Path, PathBuf};

use anyhow::Result;
use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs};
use tokio::process::Command;

use crate::cache;
use crate::digest::Digester;
use crate::layout::Layout;
use crate::pins::Pins;
use crate::progress::Progress;
use crate::run;

/// No more than was asked for, and nothing that no container reads. The hook spares the image Perl.
const OPTIONS: [&str; 7] = [
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    "--aptopt=APT::Install-Recommends \"false\"",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--dpkgopt=path-exclude=/usr/share/info/*",
];

/// The base's name among the builder's images.
#[derive(Clone, Debug)]
pub struct Base {
    pub reference: String,
}

/// Makes the base unless it is there.
pub async fn make(layout: &Layout, pins: &Pins, progress: &Progress) -> Result<Base> {
    let wanted = &pins.base_image;
    let packages = wanted.packages.join(",");
    let digest = Digester::default()
        .text(&wanted.suite)
        .text(&packages)
        .text(&OPTIONS.join(" "))
        .short();
    let reference = format!("localhost/medallion/base:{digest}");
    let folder = cache::once(layout, "base", &digest, |making| {
        let packages = &packages;
        async move {
            progress
                .step(format!("Debian {} base image", wanted.suite), |step| async move {
                    let mut bootstrap = Command::new("mmdebstrap");
                    bootstrap
                        .args(["--variant=minbase", "--include", packages])
                        .args(OPTIONS);
                    bootstrap.arg(&wanted.suite).arg(making.join("root.tar"));
                    run::logged(&bootstrap, &layout.build_log("base"), &step).await
                })
                .await
        }
    })
    .await?;
    let known = run::output(
        buildah(layout)?
            .args(["images", "--quiet", "--filter"])
            .arg(format!("reference={reference}")),
    )
    .await;
    if known.is_ok_and(|list| !list.trim().is_empty()) {
        return Ok(Base { reference });
    }
    let container = run::output(buildah(layout)?.args(["from", "scratch"])).await?;
    let container = container.trim();
    run::output(
        buildah(layout)?
            .args(["add", "--quiet", container])
            .arg(folder.join("root.tar"))
            .arg("/"),
    )
    .await?;
    run::output(buildah(layout)?.args(["commit", "--quiet", "--rm", container, &reference])).await?;
    Ok(Base { reference })
}

/// Removes the working containers that an interrupted build left; who calls this builds alone.
pub async fn forget_containers(layout: &Layout) -> Result<()> {
    run::output(buildah(layout)?.args(["rm", "--all"])).await.map(drop)
}

/// The builder with a store of its own in the cache, so that no other store on the machine is touched.
pub fn buildah(layout: &Layout) -> Result<Command> {
    let store: PathBuf = layout.cache.join("containers");
    std::fs::create_dir_all(&store)?;
    let mut buildah = Command::new("buildah");
    buildah
        .arg("--root")
        .arg(store.join("storage"))
        .arg("--runroot")
        .arg(store.join("run"))
        .args(["--storage-driver", driver(&store)?])
        .env("TMPDIR", &layout.cache);
    Ok(buildah)
}

fn driver(store: &Path) -> Result<&'static str> {
    Ok(if statfs(store)?.filesystem_type() == OVERLAYFS_SUPER_MAGIC {
        "vfs"
    } else {
        "overlay"
    })
}
