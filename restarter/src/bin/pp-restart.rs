//! The command-line client, `pp-restart`. All of its code is in [`pp_restarter::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    pp_restarter::cli::main()
}
