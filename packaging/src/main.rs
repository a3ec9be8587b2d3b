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
    for command in programs() {
        render::manual_pages(command.clone(), man)?;
        render::completions(command, completions)?;
    }
    Ok(())
}

/// The programs that people type. pp-restarter is systemd's to start: its page is written by hand.
fn programs() -> Vec<Command> {
    Vec::new()
}
