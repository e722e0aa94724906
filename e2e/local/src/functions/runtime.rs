//! What Lambda's runtime for compiled programs has, against what a program wants. Touches no network.

use std::path::Path;

use anyhow::{Result, bail};
use tokio::process::Command;

use crate::pins::numbers;
use crate::run;

/// Of `provided.al2023`, which is Amazon Linux 2023.
const GLIBC: &str = "2.34";
/// Its libraries, as far as our programs are linked with them: glibc's own, GCC's, and those that its curl rests on. What is linked for an
/// older glibc wants those as well that have since become part of libc and are kept, empty, for such programs.
const LIBRARIES: [&str; 12] = [
    "ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libcrypto.so.3",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "libssl.so.3",
    "libutil.so.1",
    "libz.so.1",
];

/// What a program wants of the system that it runs on.
#[derive(Debug, Default, PartialEq)]
struct Wants {
    /// The newest version of glibc that a symbol names.
    glibc: String,
    libraries: Vec<String>,
}

/// Ends with what the runtime lacks of what the program wants; the newest glibc that it wants.
pub async fn check(program: &Path) -> Result<String> {
    let mut readelf = Command::new("readelf");
    let text = run::output(readelf.args(["--wide", "--dynamic", "--version-info"]).arg(program)).await?;
    let wants = wants(&text);
    let lacks = lacks(&wants);
    if !lacks.is_empty() {
        bail!("{} would not start on Lambda: {}", program.display(), lacks.join("; "));
    }
    Ok(wants.glibc)
}

/// Reads what `readelf` prints.
fn wants(text: &str) -> Wants {
    let mut wants = Wants::default();
    for line in text.lines() {
        if let Some((_, rest)) = line.split_once("Shared library: [") {
            wants.libraries.extend(rest.split(']').next().map(ToOwned::to_owned));
        }
        let versions = line.split("GLIBC_").skip(1);
        for version in versions.filter_map(|rest| rest.split(|c: char| !(c.is_ascii_digit() || c == '.')).next()) {
            if numbers(version) > numbers(&wants.glibc) {
                version.clone_into(&mut wants.glibc);
            }
        }
    }
    wants
}

fn lacks(wants: &Wants) -> Vec<String> {
    let libraries = wants
        .libraries
        .iter()
        .filter(|name| !LIBRARIES.contains(&name.as_str()));
    let mut lacks: Vec<String> = libraries.map(|name| format!("it has no {name}")).collect();
    if numbers(&wants.glibc) > numbers(GLIBC) {
        lacks.push(format!("it has glibc {GLIBC} and not {}", wants.glibc));
    }
    lacks
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = " 0x0000000000000001 (NEEDED)             Shared library: [libz.so.1]
 0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]
  000000: Version: 1  File: libc.so.6  Cnt: 3
  0x0010:   Name: GLIBC_2.9  Flags: none  Version: 5
  0x0020:   Name: GLIBC_2.34  Flags: none  Version: 4
  0x0030:   Name: GLIBC_2.4  Flags: none  Version: 3
";

    #[test]
    fn the_newest_version_is_no_matter_of_the_alphabet() {
        let wants = wants(TEXT);
        assert_eq!((wants.glibc.as_str(), wants.libraries.len()), ("2.34", 2));
        assert_eq!(lacks(&wants), Vec::<String>::new());
    }

    #[test]
    fn what_is_linked_for_an_older_glibc_finds_its_libraries() {
        let text = TEXT
            .replace("GLIBC_2.34", "GLIBC_2.28")
            .replace("libz.so.1", "libpthread.so.0");
        assert_eq!(lacks(&wants(&text)), Vec::<String>::new());
    }

    #[test]
    fn what_is_too_new_or_not_there_is_named() {
        let text = TEXT
            .replace("GLIBC_2.34", "GLIBC_2.36")
            .replace("libz.so.1", "libsasl2.so.2");
        assert_eq!(
            lacks(&wants(&text)),
            ["it has no libsasl2.so.2", "it has glibc 2.34 and not 2.36"]
        );
    }
}
