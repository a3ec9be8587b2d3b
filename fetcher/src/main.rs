//! `pp-fetcher`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    pp_fetcher::cli::run(&pp_fetcher::cli::args::Arguments::parse())
}
