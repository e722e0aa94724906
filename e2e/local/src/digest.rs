//! SHA-256 over files and folders, the keys of the cache and the tags of the images. Touches no network.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// A digest in the making.
#[derive(Default)]
pub struct Digester(Sha256);

impl Digester {
    /// Adds a text; the length in front keeps neighbours apart.
    pub fn text(mut self, text: &str) -> Self {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
        self
    }

    pub fn file(mut self, path: &Path) -> Result<Self> {
        let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let meta = file.metadata()?;
        self.0.update(meta.len().to_le_bytes());
        self.0.update([u8::from(meta.permissions().mode() & 0o111 != 0)]);
        let mut buffer = vec![0_u8; 1 << 20];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok(self);
            }
            self.0.update(&buffer[..read]);
        }
    }

    /// Adds every file below a folder with its relative name, in order.
    pub fn folder(mut self, folder: &Path) -> Result<Self> {
        let mut entries = fs::read_dir(folder)
            .with_context(|| format!("cannot read {}", folder.display()))?
            .collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            self = self.text(&entry.file_name().to_string_lossy());
            self = if entry.file_type()?.is_dir() {
                self.folder(&entry.path())?.text("..")
            } else {
                self.file(&entry.path())?
            };
        }
        Ok(self)
    }

    /// The digest in 64 hexadecimal digits.
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }

    /// The first 12 digits, enough for a folder or a tag.
    pub fn short(self) -> String {
        let mut all = self.finish();
        all.truncate(12);
        all
    }
}

/// The SHA-256 of some bytes.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The SHA-256 of a file's bytes, as `sha256sum` prints it.
pub fn of_file(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_digest_as_sha256sum_does() {
        assert_eq!(
            of_bytes(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn folder_digest_sees_names_contents_and_modes() {
        let folder = tempfile::tempdir().unwrap();
        let digest = || Digester::default().folder(folder.path()).unwrap().finish();
        let empty = digest();
        let file = folder.path().join("a");
        fs::write(&file, "1").unwrap();
        let one = digest();
        fs::write(&file, "2").unwrap();
        let two = digest();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let executable = digest();
        fs::rename(&file, folder.path().join("b")).unwrap();
        let renamed = digest();
        let mut all = vec![empty, one, two, executable, renamed];
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 5);
    }
}
