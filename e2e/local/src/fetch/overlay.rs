//! Lets Go compile modules with some files of ours instead of theirs, so that what nobody here uses is neither fetched nor compiled.
//! Touches the network through `go`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::process::Command;

use crate::run;

/// A module, and which of its files are replaced.
pub struct Instead {
    pub module: &'static str,
    pub files: &'static [&'static str],
}

impl Instead {
    /// Our file, in a folder beside that of the part's `go.mod`: parts share it.
    pub fn ours(&self, pins: &Path, file: &str) -> PathBuf {
        pins.with_file_name("instead").join(self.module).join(file)
    }
}

/// The file for Go's `-overlay`, in a folder that is made here and must live as long as the build.
pub async fn write(pins: &Path, instead: &[Instead], folder: &Path) -> Result<PathBuf> {
    let names = || instead.iter().map(|one| one.module);
    // It compares with go.sum, which nobody does any more once they are replaced.
    run::output(go(pins, &["mod", "download"]).args(names())).await?;
    let said = run::output(go(pins, &["list", "-m", "-f", "{{.Dir}}"]).args(names())).await?;
    fs::create_dir_all(folder)?;
    let overlay = folder.join("overlay.json");
    fs::write(&overlay, lay(pins, instead, &said, folder)?)?;
    Ok(overlay)
}

fn go(pins: &Path, arguments: &[&str]) -> Command {
    let mut go = Command::new("go");
    go.args(arguments)
        .current_dir(pins)
        .env("GOFLAGS", "")
        .env("GOWORK", "off");
    go
}

/// Go refuses to replace a file in its cache of modules, so the modules are replaced by links to their folders there, a line each.
fn lay(pins: &Path, instead: &[Instead], cached: &str, folder: &Path) -> Result<String> {
    let go_mod = pins.join("go.mod");
    let mut text = fs::read_to_string(&go_mod)?;
    let mut replace = BTreeMap::new();
    let mut cached = cached.lines();
    for (number, one) in instead.iter().enumerate() {
        let link = folder.join(number.to_string());
        let place = cached.next().with_context(|| format!("go brought no {}", one.module))?;
        symlink(place, &link)?;
        writeln!(text, "replace {} => \"{}\"", one.module, link.display())?;
        for file in one.files {
            let theirs = link.join(file);
            ensure!(theirs.is_file(), "{} has no {file} any more", one.module);
            replace.insert(theirs, one.ours(pins, file));
        }
    }
    let with_links = folder.join("go.mod");
    fs::write(&with_links, text)?;
    replace.insert(go_mod, with_links);
    Ok(json!({ "Replace": replace }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [Instead; 1] = [Instead {
        module: "example.org/much",
        files: &["list/all.go"],
    }];

    fn write_file(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_file_is_replaced_through_a_link_and_the_module_is_that_link() {
        let home = tempfile::tempdir().unwrap();
        let [pins, cached, folder] = ["pins", "cached", "making"].map(|name| home.path().join(name));
        write_file(&pins.join("go.mod"), "module example.org/parts\n");
        write_file(&cached.join("list/all.go"), "package list\n");
        fs::create_dir(&folder).unwrap();
        let text = lay(&pins, &OURS, cached.to_str().unwrap(), &folder).unwrap();
        let overlay: serde_json::Value = serde_json::from_str(&text).unwrap();
        let link = folder.join("0");
        let (theirs, go_mod) = (link.join("list/all.go"), pins.join("go.mod"));
        assert_eq!(
            overlay,
            json!({"Replace": {
                theirs.to_str().unwrap(): home.path().join("instead/example.org/much/list/all.go"),
                go_mod.to_str().unwrap(): folder.join("go.mod"),
            }})
        );
        assert_eq!(
            fs::read_to_string(folder.join("go.mod")).unwrap(),
            format!(
                "module example.org/parts\nreplace example.org/much => \"{}\"\n",
                link.display()
            )
        );
        assert_eq!(fs::read_link(link).unwrap(), cached);
    }

    #[test]
    fn a_file_that_a_new_version_has_no_longer_is_named() {
        let home = tempfile::tempdir().unwrap();
        write_file(&home.path().join("go.mod"), "module example.org/parts\n");
        let error = lay(home.path(), &OURS, home.path().to_str().unwrap(), home.path()).unwrap_err();
        assert_eq!(error.to_string(), "example.org/much has no list/all.go any more");
    }
}
