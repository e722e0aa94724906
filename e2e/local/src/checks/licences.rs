//! Licences against an allow-list, and crates that must not be compiled. Touches no network.

use anyhow::{Result, bail};

use crate::cargo::{self, Metadata, Package};
use crate::context::Context;

const ALLOWED: [&str; 15] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// One TLS stack: rustls with aws-lc-rs. librdkafka brings OpenSSL, nobody else does.
const NEVER: [&str; 3] = ["ring", "native-tls", "openssl"];
const ONLY_BELOW: [(&str, &str); 1] = [("openssl-sys", "rdkafka-sys")];

pub async fn check(context: &Context) -> Result<()> {
    let metadata = Metadata::read(context).await?;
    let mut wrong = metadata.packages.iter().filter_map(refused).collect::<Vec<_>>();
    for name in NEVER {
        let users = cargo::users_of(context, name).await?;
        if !users.is_empty() {
            wrong.push(format!("{name} must not be compiled; used by {users:?}"));
        }
    }
    for (name, allowed) in ONLY_BELOW {
        let mut users = cargo::users_of(context, name).await?;
        users.remove(allowed);
        if !users.is_empty() {
            wrong.push(format!("{name} may be used by {allowed} only; used by {users:?}"));
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    println!("{} crates, all with an allowed licence", metadata.packages.len());
    Ok(())
}

fn refused(package: &Package) -> Option<String> {
    let named = format!("{} {}", package.name, package.version);
    match (&package.license, &package.license_file) {
        (Some(expression), _) if allows(expression) => None,
        (Some(expression), _) => Some(format!("{named}: licence {expression} is not on the list")),
        (None, Some(file)) => Some(format!("{named}: has only a licence file, {file}")),
        (None, None) => Some(format!("{named}: has no licence")),
    }
}

/// Whether an SPDX expression can be met with allowed licences alone.
fn allows(expression: &str) -> bool {
    // The old way to write OR.
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words = expression.split_whitespace().collect::<Vec<_>>();
    let mut at = 0;
    any(&words, &mut at) && at == words.len()
}

fn any(words: &[&str], at: &mut usize) -> bool {
    let mut met = all(words, at);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all(words, at);
    }
    met
}

fn all(words: &[&str], at: &mut usize) -> bool {
    let mut met = one(words, at);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at);
    }
    met
}

fn one(words: &[&str], at: &mut usize) -> bool {
    match words.get(*at) {
        Some(&"(") => {
            *at += 1;
            let met = any(words, at);
            let closed = words.get(*at) == Some(&")");
            *at += 1;
            met && closed
        }
        Some(licence) => {
            *at += 1;
            if words.get(*at) == Some(&"WITH") {
                let exception = words.get(*at + 1).copied().unwrap_or_default();
                *at += 2;
                // An exception only ever allows more.
                return ALLOWED.contains(licence) || ALLOWED.contains(&format!("{licence} WITH {exception}").as_str());
            }
            ALLOWED.contains(licence)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_met_or_not() {
        for good in [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        ] {
            assert!(allows(good), "{good}");
        }
        for bad in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR Apache-2.0) AND AGPL-3.0",
            "",
            "(MIT",
            "MIT )",
        ] {
            assert!(!allows(bad), "{bad}");
        }
    }
}
