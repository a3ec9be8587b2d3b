//! `pp-fetcher logs APP [N]`: the output of an attempt's build script and hooks.

use std::fs::File;
use std::io;

use super::args::Arguments;
use super::{FAILED, OK, load, select};
use crate::state::StateDir;

/// Prints the output of attempt `number`, or of the latest that has any.
pub fn logs(arguments: &Arguments, app: &str, number: Option<u64>) -> u8 {
    if let Err(code) = load(&arguments.config).and_then(|c| select(c, &[app.to_owned()])) {
        return code;
    }
    let dir = StateDir::new(&arguments.state, app);
    let all = dir.history().read().unwrap_or_default();
    let latest = || {
        all.iter()
            .rev()
            .map(|a| a.attempt)
            .find(|n| dir.log(*n).exists())
    };
    let Some(number) = number.or_else(latest) else {
        println!("{app}: no attempt has left any output");
        return OK;
    };
    let path = dir.log(number);
    let copied = File::open(&path).and_then(|mut log| io::copy(&mut log, &mut io::stdout().lock()));
    match copied {
        Ok(_) => OK,
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
