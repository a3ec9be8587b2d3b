//! `pp-fetcher`.

use std::process::ExitCode;

fn main() -> ExitCode {
    pp_fetcher::main()
}
