//! The program: see [`pp_notify`].

use std::process::ExitCode;

fn main() -> ExitCode {
    pp_notify::main()
}
