//! `pp-pages MAN COMPLETIONS`: manual pages and completions, from the definitions the programs
//! parse with, so that neither can say anything else than `--help`.

mod render;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Command;

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [man, completions] = arguments.as_slice() else {
        bail!("usage: pp-pages MAN-DIRECTORY COMPLETIONS-DIRECTORY");
    };
    for (command, see_also) in programs() {
        render::manual_pages(command.clone(), see_also, man)?;
        render::completions(command, completions)?;
    }
    Ok(())
}

/// The programs that people type, and where to read on. pp-restarter is systemd's to start: its
/// page is written by hand.
fn programs() -> [(Command, &'static str); 3] {
    [
        (
            pp_restarter::cli::client_command(),
            "pp-restarter(8), pp-restarter-policy(5), pp-restarter-protocol(7), systemctl(1)",
        ),
        (
            pp_fetcher::command(),
            "pp-fetcher(1), pp-fetcher.toml(5), pp-restarter(8), pp-restart(1)",
        ),
        (
            pp_notify::command(),
            "pp-notify(1), pp-notify.toml(5), pp-fetcher(1)",
        ),
    ]
}
