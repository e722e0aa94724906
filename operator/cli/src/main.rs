//! The program `medallion`, also called `kubectl-medallion`. No network.

use std::process::ExitCode;

/// As clap's for a command line that it does not understand: nothing was done, and what is wrong stands on standard error.
const REFUSED: u8 = 2;

fn main() -> ExitCode {
    match medallion_cli::run(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(REFUSED)
        }
    }
}
