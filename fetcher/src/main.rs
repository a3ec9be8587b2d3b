//! `pp-fetcher`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    if let Some(code) = pp_fetcher::process::keeper::main() {
        return code;
    }
    #[cfg(feature = "failpoints")]
    let _from_the_environment = fail::FailScenario::setup();
    pp_fetcher::cli::run(&pp_fetcher::cli::args::Arguments::parse())
}
