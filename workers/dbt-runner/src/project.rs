//! What tells one dbt project from another: a digest of all that its rows are computed by. Reads the project's folder.

use std::io;
use std::path::{Path, PathBuf};

use medallion_crds::hex::hex;
use sha2::{Digest, Sha256};

use crate::error::RunError;

/// Hexadecimal digits of a digest.
const LENGTH: usize = 16;
/// What dbt computes rows by: queries, macros, settings, seeds.
const FILES: [&str; 5] = ["sql", "py", "yml", "yaml", "csv"];
/// Folders of the project's root that dbt writes, or that no row comes from.
const NOT: [&str; 4] = ["target", "logs", "tests", "analyses"];

/// The digest of the project in a folder: the same wherever the folder lies and whenever its files were written.
pub fn digest(folder: &Path) -> Result<String, RunError> {
    let unreadable = |error: io::Error| RunError::Settings(format!("worker.projectPath {}: {error}", folder.display()));
    let mut paths = Vec::new();
    list(folder, Path::new(""), &mut Vec::new(), &mut paths).map_err(unreadable)?;
    paths.sort();
    let mut digest = Sha256::new();
    for path in paths {
        let content = std::fs::read(folder.join(&path)).map_err(unreadable)?;
        let name = path.to_string_lossy();
        // Lengths keep the end of one file apart from the beginning of the next.
        for part in [name.as_bytes(), &content] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
    }
    let mut text = hex(&digest.finalize());
    text.truncate(LENGTH);
    Ok(text)
}

/// Links are followed: dbt links the folders of local packages, and reads them as any other. `above`: the folders that this one
/// is looked at in, so that a link to one of them does not lead in a circle.
fn list(root: &Path, folder: &Path, above: &mut Vec<PathBuf>, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    let place = std::fs::canonicalize(root.join(folder))?;
    if above.contains(&place) {
        return Ok(());
    }
    above.push(place);
    for entry in std::fs::read_dir(root.join(folder))? {
        let name = entry?.file_name();
        let path = folder.join(&name);
        let name = name.to_string_lossy();
        if name.starts_with('.') || (folder.as_os_str().is_empty() && NOT.contains(&name.as_ref())) {
            continue;
        }
        let place = root.join(&path);
        if place.is_dir() {
            list(root, &path, above, paths)?;
        } else if path
            .extension()
            .is_some_and(|found| FILES.iter().any(|known| found == *known))
            && place.is_file()
        {
            paths.push(path);
        }
    }
    above.pop();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::*;

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("folder");
        for (path, content) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
            fs::write(path, content).expect("written");
        }
        folder
    }

    const FILES: [(&str, &str); 3] = [
        ("dbt_project.yml", "name: shop"),
        ("models/marts/orders.sql", "select 1"),
        ("seeds/fees.csv", "a,b"),
    ];

    fn of(files: &[(&str, &str)]) -> String {
        digest(project(files).path()).expect("a digest")
    }

    #[rstest]
    #[case::a_model(("models/marts/orders.sql", "select 2"), true)]
    #[case::a_new_macro(("macros/day.sql", "x"), true)]
    #[case::a_seed(("seeds/fees.csv", "a,c"), true)]
    #[case::settings(("dbt_project.yml", "name: shop2"), true)]
    #[case::packages(("packages.yml", "packages: []"), true)]
    #[case::a_package(("dbt_packages/utils/macros/a.sql", "x"), true)]
    #[case::what_dbt_writes(("target/compiled/orders.sql", "select 3"), false)]
    #[case::a_log(("logs/dbt.sql", "x"), false)]
    #[case::a_test(("tests/no_line.sql", "x"), false)]
    #[case::words(("README.md", "x"), false)]
    #[case::hidden(("models/.orders.sql", "x"), false)]
    #[case::hidden_folders((".git/a.sql", "x"), false)]
    fn what_rows_are_computed_by_changes_it(#[case] file: (&str, &str), #[case] changes: bool) {
        let mut files = FILES.to_vec();
        files.retain(|(path, _)| *path != file.0);
        files.push(file);
        assert_eq!(of(&files) != of(&FILES), changes);
    }

    #[test]
    fn it_does_not_depend_on_place_order_or_time_but_on_names() {
        let mut backwards = FILES.to_vec();
        backwards.reverse();
        assert_eq!(of(&backwards), of(&FILES));
        assert_eq!(of(&FILES).len(), LENGTH);
        let moved = [FILES[0], ("models/orders.sql", "select 1"), FILES[2]];
        assert_ne!(of(&moved), of(&FILES));
        assert_ne!(
            of(&[("a.sql", "b"), ("c.sql", "")]),
            of(&[("a.sql", ""), ("c.sql", "b")])
        );
    }

    #[test]
    fn a_local_package_is_part_of_it_though_dbt_only_links_its_folder() {
        let shared = project(&[("macros/fee.sql", "one")]);
        let shop = project(&FILES);
        let packages = shop.path().join("dbt_packages");
        fs::create_dir(&packages).expect("folder");
        let without = digest(shop.path()).expect("a digest");
        std::os::unix::fs::symlink(shared.path(), packages.join("shared")).expect("linked");
        let with = digest(shop.path()).expect("a digest");
        assert_ne!(with, without);
        fs::write(shared.path().join("macros/fee.sql"), "two").expect("written");
        assert_ne!(digest(shop.path()).expect("a digest"), with);
    }

    #[test]
    fn links_that_lead_in_a_circle_or_nowhere_are_passed_over() {
        let shop = project(&FILES);
        let link = |to: &Path, from: &str| std::os::unix::fs::symlink(to, shop.path().join(from)).expect("linked");
        link(shop.path(), "models/again");
        link(&shop.path().join("models"), "models/marts/above");
        link(Path::new("/nowhere/at/all"), "models/lost.sql");
        assert_eq!(digest(shop.path()).expect("a digest"), of(&FILES));
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = digest(Path::new("/nowhere/at/all")).expect_err("no project");
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
