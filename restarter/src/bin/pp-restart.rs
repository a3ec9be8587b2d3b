//! The client. All of it is in [`pp_restarter::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    pp_restarter::cli::main()
}
