//! Container images without a registry: two hand-made ones, and the product's from its shipped Dockerfiles. Touches the network only for the Debian base.

pub mod archive;
pub mod base;
pub mod build;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::cache;
use crate::digest::Digester;
use crate::layout::Layout;
use crate::run;
use crate::stack::Stack;

/// The image that holds a pod's namespaces, compiled here.
pub async fn pause(layout: &Layout, reference: &str) -> Result<PathBuf> {
    let source = include_str!("pause.c");
    let digest = Digester::default().text(source).text(reference).short();
    let made = cache::once(layout, "image-pause", &digest, |making| async move {
        let (text, program) = (making.join("pause.c"), making.join("pause"));
        fs::write(&text, source)?;
        let mut cc = tokio::process::Command::new("cc");
        run::output(cc.args(["-static", "-Os", "-s", "-o"]).arg(&program).arg(&text)).await?;
        archive::write(&making.join(archive::FILE), reference, &program, "pause")
    });
    Ok(made.await?.join(archive::FILE))
}

/// The image of the cluster's DNS.
pub async fn coredns(layout: &Layout, part: &Path, reference: &str) -> Result<PathBuf> {
    let digest = Digester::default()
        .text(&part.to_string_lossy())
        .text(reference)
        .short();
    let made = cache::once(layout, "image-coredns", &digest, |making| async move {
        archive::write(&making.join(archive::FILE), reference, &part.join("coredns"), "coredns")
    });
    Ok(made.await?.join(archive::FILE))
}

/// Brings an archive into the stack's containerd unless it is there.
pub fn import(stack: &Stack, archive: &Path, reference: &str) -> Result<()> {
    let known = run::output_blocking(ctr(stack).args(["images", "list", "--quiet"]))?;
    if known.lines().any(|line| line == reference) {
        return Ok(());
    }
    run::output_blocking(ctr(stack).args(["images", "import"]).arg(archive)).map(drop)
}

/// As `import`; kubelet never removes it.
pub fn import_pinned(stack: &Stack, archive: &Path, reference: &str) -> Result<()> {
    import(stack, archive, reference)?;
    run::output_blocking(ctr(stack).args(["images", "label", reference, "io.cri-containerd.pinned=pinned"])).map(drop)
}

fn ctr(stack: &Stack) -> Command {
    let mut ctr = Command::new(stack.fetched.containerd.join("ctr"));
    ctr.arg("--address")
        .arg(stack.containerd_socket())
        .args(["--namespace", "k8s.io"]);
    ctr
}
