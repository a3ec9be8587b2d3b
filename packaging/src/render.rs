//! One command to files.

use std::fs::{create_dir_all, write};
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use clap::Command;
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

/// The project as manual pages name it in their footer.
const SOURCE: &str = concat!("Pull and Pray ", env!("CARGO_PKG_VERSION"));

/// Writes `NAME.1`, and `NAME-SUBCOMMAND.1` for each subcommand and for those below it.
///
/// # Errors
/// A file or directory that cannot be written.
pub(crate) fn manual_pages(command: Command, see_also: &str, directory: &Path) -> Result<()> {
    create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    pages(&command, see_also, directory)
}

fn pages(command: &Command, see_also: &str, directory: &Path) -> Result<()> {
    page(command, see_also, directory)?;
    command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
        .try_for_each(|sub| pages(sub, see_also, directory))
}

fn page(command: &Command, see_also: &str, directory: &Path) -> Result<()> {
    let page = Man::new(command.clone())
        .source(SOURCE)
        .manual("Pull and Pray");
    let path = directory.join(page.get_filename());
    let mut text = Vec::new();
    sections(command, &page, see_also, &mut text)
        .and_then(|()| write(&path, text))
        .with_context(|| format!("writing {}", path.display()))
}

fn sections(
    command: &Command,
    page: &Man,
    see_also: &str,
    text: &mut dyn io::Write,
) -> io::Result<()> {
    page.render_title(text)?;
    page.render_name_section(text)?;
    page.render_synopsis_section(text)?;
    page.render_description_section(text)?;
    page.render_options_section(text)?;
    if command.has_subcommands() {
        page.render_subcommands_section(text)?;
    }
    let mut rest = Roff::new();
    if let Some(after) = command.get_after_long_help().or(command.get_after_help()) {
        after_help(&after.to_string(), &mut rest);
    }
    rest.control("SH", ["SEE ALSO"]);
    rest.text([roman(see_also)]);
    rest.to_writer(text)
}

/// The text below `--help`, line by line as it stands there. A first line that ends in a colon,
/// such as `Exit status:`, is the section's name.
fn after_help(text: &str, out: &mut Roff) {
    let text = text.trim_end();
    let (heading, body) = match text.split_once('\n') {
        Some((first, body)) if first.ends_with(':') => (first.trim_end_matches(':'), body),
        _ => ("NOTES", text),
    };
    out.control("SH", [heading.to_uppercase().as_str()]);
    out.control("nf", []);
    for line in body.lines() {
        out.text([roman(line)]);
    }
    out.control("fi", []);
}

/// Writes the completions of bash, zsh and fish, named as each shell looks for them.
///
/// # Errors
/// A file or directory that cannot be written.
pub(crate) fn completions(mut command: Command, directory: &Path) -> Result<()> {
    create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    let name = command.get_name().to_owned();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let made = generate_to(shell, &mut command, &name, directory)
            .and_then(|path| Ok((std::fs::read_to_string(&path)?, path)))
            .and_then(|(text, path)| write(path, with_names_of_the_host(&name, shell, &text)));
        made.with_context(|| format!("writing the completions of {name} for {shell}"))?;
    }
    Ok(())
}

macro_rules! own {
    ($file:literal) => {
        include_str!(concat!("../completions/", $file))
    };
}

/// What only the host knows on which a person types: the units that the caller may have restarted, and the apps that
/// are configured. `../completions/` says it in the language of each shell.
fn with_names_of_the_host(name: &str, shell: Shell, generated: &str) -> String {
    let own = match (name, shell) {
        ("pp-restart", Shell::Bash) => own!("pp-restart.bash"),
        ("pp-restart", Shell::Fish) => own!("pp-restart.fish"),
        ("pp-restart", Shell::Zsh) => own!("_pp-restart"),
        ("pp-fetcher", Shell::Bash) => own!("pp-fetcher.bash"),
        ("pp-fetcher", Shell::Fish) => own!("pp-fetcher.fish"),
        ("pp-fetcher", Shell::Zsh) => own!("_pp-fetcher"),
        _ => "",
    };
    if shell != Shell::Zsh {
        return format!("{generated}{own}");
    }
    // zsh runs the file's last command when it completes for the first time, so functions come before it.
    let (head, tail) = generated
        .rsplit_once("\nif [ \"$funcstack[1]\"")
        .unwrap_or((generated, ""));
    let arguments = |line: &str| {
        let function = match name {
            "pp-restart" if line.starts_with("'*::units ") => "_pp_restart_units",
            "pp-fetcher"
                if ["':app ", "'::app ", "'*::apps "]
                    .iter()
                    .any(|argument| line.starts_with(argument)) =>
            {
                "_pp_fetcher_apps"
            }
            _ => return format!("{line}\n"),
        };
        format!("{}\n", line.replace(":_default'", &format!(":{function}'")))
    };
    let head: String = head.lines().map(arguments).collect();
    format!("{head}{own}\nif [ \"$funcstack[1]\"{tail}")
}
