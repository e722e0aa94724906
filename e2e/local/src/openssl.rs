//! Keys, certificates and who signs them, by the `openssl` program. Touches no network.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::run::output_blocking;

/// A certificate to be issued, named by its files: `<name>.crt` and `<name>.key`.
pub struct Certificate {
    pub name: &'static str,
    pub subject: String,
    /// Alternative names, as OpenSSL writes them; empty: none.
    pub names: String,
    pub validity: Validity,
}

/// When a certificate is good.
pub enum Validity {
    /// For a year from now on.
    Year,
    /// For a day of the past.
    Over,
}

/// What `openssl ca` wants, which alone can say from when to when a certificate is good.
const CA_CONFIGURATION: &str = "[ca]
default_ca = default
[default]
database = ca.index
serial = ca.serial
rand_serial = yes
new_certs_dir = .
policy = policy
unique_subject = no
[policy]
commonName = supplied
";

/// A folder that only its owner may read.
pub fn folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    Ok(())
}

/// An authority with a certificate of its own signing.
pub fn authority(folder: &Path, name: &str, subject: &str) -> Result<()> {
    key(folder, name)?;
    let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
    run(
        folder,
        &[
            "req",
            "-x509",
            "-new",
            "-key",
            &key,
            "-sha256",
            "-days",
            "365",
            "-subj",
            subject,
            "-out",
            &certificate,
        ],
    )
}

/// A certificate for servers and clients, signed by an authority in the same folder.
pub fn issue(folder: &Path, authority: &str, wanted: &Certificate) -> Result<()> {
    let name = wanted.name;
    let mut extensions =
        "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n"
            .to_owned();
    if !wanted.names.is_empty() {
        extensions += "subjectAltName=";
        extensions += &wanted.names;
        extensions += "\n";
    }
    fs::write(folder.join(format!("{name}.ext")), extensions)?;
    key(folder, name)?;
    let (key, request) = (format!("{name}.key"), format!("{name}.csr"));
    run(
        folder,
        &["req", "-new", "-key", &key, "-subj", &wanted.subject, "-out", &request],
    )?;
    let (signer, signers_key) = (format!("{authority}.crt"), format!("{authority}.key"));
    let (extensions, certificate) = (format!("{name}.ext"), format!("{name}.crt"));
    match wanted.validity {
        Validity::Year => run(
            folder,
            &[
                "x509",
                "-req",
                "-in",
                &request,
                "-CA",
                &signer,
                "-CAkey",
                &signers_key,
                "-CAcreateserial",
                "-days",
                "365",
                "-sha256",
                "-extfile",
                &extensions,
                "-out",
                &certificate,
            ],
        ),
        Validity::Over => {
            fs::write(folder.join("ca.cnf"), CA_CONFIGURATION)?;
            fs::write(folder.join("ca.index"), "")?;
            run(
                folder,
                &[
                    "ca",
                    "-batch",
                    "-notext",
                    "-config",
                    "ca.cnf",
                    "-md",
                    "sha256",
                    "-startdate",
                    "20240101000000Z",
                    "-enddate",
                    "20240102000000Z",
                    "-cert",
                    &signer,
                    "-keyfile",
                    &signers_key,
                    "-in",
                    &request,
                    "-extfile",
                    &extensions,
                    "-out",
                    &certificate,
                ],
            )
        }
    }
}

fn key(folder: &Path, name: &str) -> Result<()> {
    let out = format!("{name}.key");
    run(
        folder,
        &[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-out",
            &out,
        ],
    )
}

/// Any other command, in a folder.
pub fn run(folder: &Path, arguments: &[&str]) -> Result<()> {
    output_blocking(Command::new("openssl").args(arguments).current_dir(folder)).map(drop)
}
