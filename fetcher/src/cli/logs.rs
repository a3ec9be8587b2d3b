//! `pp-fetcher logs APP [N]`: the output of an attempt's build script and hooks.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};

use super::args::Arguments;
use super::output::say;
use super::{FAILED, OK, one_app};
use crate::git::text;
use crate::state::StateDir;

/// Prints the output of attempt `number`, or of the latest that has any.
pub fn logs(arguments: &Arguments, app: &str, number: Option<u64>) -> u8 {
    if let Err(code) = one_app(arguments, app) {
        return code;
    }
    let dir = StateDir::new(arguments.state(), app);
    let all = dir.history().read().unwrap_or_default();
    let latest = || {
        all.iter()
            .rev()
            .map(|a| a.attempt)
            .find(|n| dir.log(*n).exists())
    };
    let Some(number) = number.or_else(latest) else {
        say(&format!("{app}: no attempt has left any output\n"));
        return OK;
    };
    let path = dir.log(number);
    let copied = File::open(&path).and_then(show);
    match copied {
        Ok(()) => OK,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            eprintln!(
                "pp-fetcher: attempt {number} of {app} has no output\n  \
                 `pp-fetcher history {app}` shows the attempts"
            );
            FAILED
        }
        // `| head` has seen enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => OK,
        Err(error) => {
            eprintln!("pp-fetcher: {}: {error}", path.display());
            FAILED
        }
    }
}

/// Byte for byte into a file or a pipe. What a script wrote may say anything to a terminal, so there
/// it is made fit line by line.
fn show(mut log: File) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    if !stdout.is_terminal() {
        return io::copy(&mut log, &mut stdout).map(drop);
    }
    for line in BufReader::new(log).split(b'\n') {
        writeln!(stdout, "{}", text::kept(&line?))?;
    }
    Ok(())
}
