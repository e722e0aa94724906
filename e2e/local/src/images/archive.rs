//! Writes an image of a single program as an OCI archive by hand, for parts that no registry is asked for. Touches no network.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::digest;

/// What an archive is called in the folder that holds it.
pub const FILE: &str = "image.tar";

const BLOCK: usize = 512;
/// Who runs the program: nobody in particular, never root.
const USER: &str = "65532:65532";

/// One layer with one static program at `/<name>`.
pub fn write(to: &Path, reference: &str, program: &Path, name: &str) -> Result<()> {
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let layer = Tar::default().file(name, 0o755, &bytes).finish();
    let config = serde_json::to_vec(&json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [format!("/{name}")], "User": USER, "Env": ["PATH=/"]},
        "rootfs": {"type": "layers", "diff_ids": [sha256(&layer)]},
    }))?;
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
    }))?;
    let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
    let tag = reference.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    entry["annotations"] = json!({"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": tag});
    let index = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    }))?;
    let mut archive = Tar::default()
        .file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)
        .file("index.json", 0o644, &index);
    for blob in [&config, &manifest, &layer] {
        archive = archive.file(&format!("blobs/sha256/{}", digest::of_bytes(blob)), 0o644, blob);
    }
    fs::write(to, archive.finish()).with_context(|| format!("cannot write {}", to.display()))
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", digest::of_bytes(bytes))
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": sha256(bytes), "size": bytes.len()})
}

/// A tar file in the making, in the plain old format: short names, owner root, no times.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn file(mut self, name: &str, mode: u32, content: &[u8]) -> Self {
        let mut header = [0_u8; BLOCK];
        let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        put(0, name);
        put(100, &format!("{mode:07o}"));
        put(108, "0000000");
        put(116, "0000000");
        put(124, &format!("{:011o}", content.len()));
        put(136, "00000000000");
        put(148, "        ");
        put(156, "0");
        put(257, "ustar");
        put(263, "00");
        let sum = header.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend(header);
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn tar_reads_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, vec![7_u8; 1000]).unwrap();
        let archive = folder.path().join("image.tar");
        write(&archive, "localhost/x:1", &program, "x").unwrap();
        let listed = Command::new("tar").arg("-tf").arg(&archive).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        assert_eq!(listed.lines().count(), 5, "{listed}");
        assert!(listed.starts_with("oci-layout\nindex.json\nblobs/sha256/"));
        let unpacked = Command::new("tar")
            .arg("-xf")
            .arg(&archive)
            .arg("-C")
            .arg(folder.path())
            .status()
            .unwrap();
        assert!(unpacked.success());
        for blob in fs::read_dir(folder.path().join("blobs/sha256")).unwrap() {
            let blob = blob.unwrap();
            assert_eq!(
                blob.file_name().to_str().unwrap(),
                digest::of_file(&blob.path()).unwrap()
            );
        }
    }
}
