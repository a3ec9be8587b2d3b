//! `pp-fetcher logs APP [N]`: the output of an attempt's build script and hooks.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use super::args::Arguments;
use super::output::{print_error, say};
use super::{FAILED, OK, one_app};
use crate::sanitize;
use crate::state::StateDir;
use crate::util::text;

/// Most bytes shown of a log: more than the scripts of an attempt are allowed to write.
const MOST: u64 = 64 * 1024 * 1024;

/// Longest line that is shown as one line, in bytes.
const LINE: u64 = 64 * 1024;

/// Prints the output of attempt `number`, or of the latest attempt that has any.
pub(crate) fn logs(arguments: &Arguments, app: &str, number: Option<u64>) -> u8 {
    if let Err(code) = one_app(arguments, app) {
        return code;
    }
    let dir = StateDir::new(&arguments.state(), app);
    let all = dir.history().read().unwrap_or_default();
    let latest = || {
        let mut numbers = all.iter().rev().map(|ended| ended.attempt.number);
        numbers.find(|n| dir.output(*n, 0).is_ok())
    };
    let Some(number) = number.or_else(latest) else {
        say(&format!("{app}: no attempt has left any output\n"));
        return OK;
    };
    let shown = dir.output(number, MOST).and_then(|(log, before)| {
        if before > 0 {
            print_error(&format!(
                "the first {before} bytes of this log are not shown"
            ));
        }
        show(log)
    });
    match shown {
        Ok(()) => OK,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            print_error(&format!(
                "attempt {number} of {app} has no output\n  \
                 `pp-fetcher history {app}` shows the attempts"
            ));
            FAILED
        }
        // The reader has closed the pipe, such as `| head`: that is no error.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => OK,
        Err(error) => {
            print_error(&format!("{}: {error}", dir.log(number).display()));
            FAILED
        }
    }
}

/// Prints a log line by line, each line cleaned: a script may write anything, and a terminal may be at the
/// end of every pipe. The file itself keeps every byte.
fn show(log: impl Read) -> io::Result<()> {
    let mut log = BufReader::new(log);
    let mut out = BufWriter::new(io::stdout().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = Read::by_ref(&mut log)
            .take(LINE)
            .read_until(b'\n', &mut line)?;
        if read == 0 {
            return out.flush();
        }
        writeln!(out, "{}", sanitize::sanitize(&text::kept(&line), false))?;
    }
}
