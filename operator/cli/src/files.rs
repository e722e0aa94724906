//! Files that are written whole or not at all. No network.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tempfile::{Builder, NamedTempFile};

/// What everybody may do with a file, less what the umask takes.
const MODE: u32 = 0o666;

/// A file by its name, and its text.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) name: &'static str,
    pub(crate) text: String,
}

/// Writes files into a folder, which is made if it is missing. Nothing is written if one of them stands there with another text and may not
/// be overwritten, and each appears only once all of them are on the disk.
pub(crate) fn write(folder: &Path, files: &[File], overwrite: bool) -> anyhow::Result<()> {
    let others: Vec<String> = files
        .iter()
        .map(|file| (folder.join(file.name), file))
        .filter(|(path, file)| path.symlink_metadata().is_ok() && !holds(path, &file.text))
        .map(|(path, _)| path.display().to_string())
        .collect();
    ensure!(
        overwrite || others.is_empty(),
        "{} there already, with another text; --force overwrites, or name another folder by --into",
        stand(&others)
    );
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut ready: Vec<(NamedTempFile, PathBuf)> = Vec::new();
    for file in files {
        let path = folder.join(file.name);
        let temporary = laid_down(folder, &file.text).with_context(|| format!("cannot write {}", path.display()))?;
        ready.push((temporary, path));
    }
    for (temporary, path) in ready {
        temporary
            .persist(&path)
            .map_err(|error| error.error)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn stand(paths: &[String]) -> String {
    let verb = if paths.len() == 1 { "stands" } else { "stand" };
    format!("{} {verb}", paths.join(" and "))
}

fn holds(path: &Path, text: &str) -> bool {
    fs::read(path).is_ok_and(|found| found == text.as_bytes())
}

/// Beside its later place, so that giving it its name is one step.
fn laid_down(folder: &Path, text: &str) -> std::io::Result<NamedTempFile> {
    let mut file = Builder::new()
        .permissions(Permissions::from_mode(MODE))
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &'static str, text: &str) -> File {
        File {
            name,
            text: text.to_owned(),
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn files_that_are_there_stay_as_they_are_and_none_is_written_beside_them() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("environments/dev");
        write(&folder, &[file("b.yaml", "mine")], false).unwrap();
        let both = [file("a.yaml", "new"), file("b.yaml", "other")];
        let refused = write(&folder, &both, false).unwrap_err().to_string();
        assert!(refused.contains("b.yaml stands there already"), "{refused}");
        assert!(refused.contains("--force"), "{refused}");
        assert_eq!(names(&folder), ["b.yaml"]);
        assert_eq!(fs::read_to_string(folder.join("b.yaml")).unwrap(), "mine");

        write(&folder, &both, true).unwrap();
        assert_eq!(names(&folder), ["a.yaml", "b.yaml"], "and no temporary files");
        assert_eq!(fs::read_to_string(folder.join("b.yaml")).unwrap(), "other");
    }

    #[test]
    fn the_same_text_again_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let again = [file("a.yaml", "text")];
        write(folder.path(), &again, false).unwrap();
        write(folder.path(), &again, false).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let in_the_way = folder.path().join("dev");
        fs::write(&in_the_way, "a file").unwrap();
        let refused = write(&in_the_way, &[file("a.yaml", "text")], false).unwrap_err();
        assert!(refused.to_string().contains("cannot make the folder"), "{refused}");
    }
}
