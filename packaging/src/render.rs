//! One command to files.

use std::fs::create_dir_all;
use std::path::Path;

use anyhow::{Context, Result};
use clap::Command;
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;

/// The project as manual pages name it in their footer.
const SOURCE: &str = concat!("Pull and Pray ", env!("CARGO_PKG_VERSION"));

/// Writes `NAME.1`, and `NAME-SUBCOMMAND.1` for each subcommand.
///
/// # Errors
/// A file or directory that cannot be written.
pub(crate) fn manual_pages(command: Command, directory: &Path) -> Result<()> {
    create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    page(&command, directory)?;
    command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set())
        .try_for_each(|sub| page(sub, directory))
}

fn page(command: &Command, directory: &Path) -> Result<()> {
    let page = Man::new(command.clone())
        .source(SOURCE)
        .manual("Pull and Pray");
    page.generate_to(directory)
        .with_context(|| format!("writing {}", page.get_filename()))?;
    Ok(())
}

/// Writes the completions of bash, zsh and fish, named as each shell looks for them.
///
/// # Errors
/// A file or directory that cannot be written.
pub(crate) fn completions(mut command: Command, directory: &Path) -> Result<()> {
    create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    let name = command.get_name().to_owned();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command, &name, directory)
            .with_context(|| format!("writing the completions of {name} for {shell}"))?;
    }
    Ok(())
}
