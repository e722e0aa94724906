//! PostgreSQL, the engine below the Redshift stand-in, as a user of its own because it refuses root. Touches only the stack's own network.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use nix::mount::MntFlags;

use super::part::{Part, Run};
use super::probe::Probe;
use crate::mount;
use crate::run;
use crate::stack::{DATABASE, POSTGRES_PASSWORD, POSTGRES_USER, Stack};
use crate::toolchains::on_path;

/// `nobody`: a user that is not root and that the machine knows, as initdb wants it.
const USER: u32 = 65534;
/// Root's folders are closed to that user: the same folders, seen from an open place.
const PROGRAMS: &str = "/run/postgres/programs";
const DATA: &str = "/run/postgres/data";

pub fn part(stack: &Stack) -> Part {
    let mut command = Run::new(format!("{PROGRAMS}/bin/postgres"))
        .args(&["-D", DATA, "-p", "5432", "-k", "", "-h"])
        .arg(stack.node_ip())
        // A stack that the machine's end interrupts is thrown away, so nothing waits for the disk.
        .args(&[
            "-c",
            "fsync=off",
            "-c",
            "synchronous_commit=off",
            "-c",
            "full_page_writes=off",
        ])
        .args(&[
            "-c",
            "max_connections=200",
            "-c",
            "timezone=UTC",
            "-c",
            "log_timezone=UTC",
        ]);
    command.user = Some(USER);
    let probe = Probe::Program {
        program: on_path("psql").unwrap_or_else(|| "psql".into()),
        arguments: vec![
            "--dbname".to_owned(),
            stack.postgres_url(),
            "--command".to_owned(),
            "SELECT 1".to_owned(),
        ],
        environment: vec![("HOME", "/run/home".to_owned())],
    };
    Part {
        setup: Some(setup),
        endpoint: Some(stack.postgres_url()),
        ..Part::new("postgres", Some(command), probe)
    }
}

fn setup(stack: &Stack) -> Result<()> {
    let kept = stack.data("postgres");
    fs::create_dir_all(&kept)?;
    chown(&kept, Some(USER), Some(USER))?;
    for (from, to) in [(stack.fetched.postgres.as_path(), PROGRAMS), (kept.as_path(), DATA)] {
        fs::create_dir_all(to)?;
        // Of an earlier start; absent the first time.
        let _ = nix::mount::umount2(to, MntFlags::MNT_DETACH);
        mount::bind(from, Path::new(to))?;
    }
    if kept.join("PG_VERSION").exists() {
        return Ok(());
    }
    let password = Path::new("/run/postgres/password");
    fs::write(password, POSTGRES_PASSWORD)?;
    chown(password, Some(USER), Some(USER))?;
    let mut initdb = Command::new(format!("{PROGRAMS}/bin/initdb"));
    initdb.args([
        "-D",
        DATA,
        "-U",
        POSTGRES_USER,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
        "--pwfile",
    ]);
    run::output_blocking(as_user(&mut initdb).arg(password))?;
    fs::remove_file(password)?;
    let mut rules = fs::read_to_string(kept.join("pg_hba.conf"))?;
    rules.push_str("host all all 0.0.0.0/0 scram-sha-256\n");
    fs::write(kept.join("pg_hba.conf"), rules)?;
    // The server is not up yet: the single-user mode reads SQL from its input.
    let script = Path::new("/run/postgres/create.sql");
    fs::write(script, format!("CREATE DATABASE {DATABASE}\n"))?;
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$0\" --single -D \"$1\" postgres < \"$2\""]);
    shell.arg(format!("{PROGRAMS}/bin/postgres")).arg(DATA).arg(script);
    run::output_blocking(as_user(&mut shell)).map(drop)
}

fn as_user(command: &mut Command) -> &mut Command {
    command.uid(USER).gid(USER).current_dir("/run/postgres")
}
