//! Programs: the administrator's, and the host's sendmail. Started without a shell, with a clean environment, ended
//! with all of their processes when their time is over.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::{Again, Fault};
use crate::config::{Target, TargetKind};
use crate::message::Message;

/// The longest time that a program may take.
const WITHIN: Duration = Duration::from_secs(60);

/// The host's own program for mail (sendmail's command line is that of postfix, exim, msmtp, dma and others).
pub(super) const SENDMAIL: &str = "/usr/sbin/sendmail";

/// Runs a target's command, with the message as JSON on its standard input.
///
/// # Errors
/// [`Fault`].
pub(super) fn run_command(target: &Target, message: &Message) -> Result<(), Fault> {
    let words = target.command.as_deref().unwrap_or_default();
    let input = format!("{}\n", message.document());
    run(words, &[], input.as_bytes())
}

/// Runs the program that `words` begin with, with further arguments, and this on its standard input.
///
/// # Errors
/// [`Fault`]: the program cannot be run, did not end in time, or ended with another code than 0.
pub(super) fn run(words: &[String], more: &[&str], input: &[u8]) -> Result<(), Fault> {
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| Fault::new(Again::Late, "no program is named"))?;
    let failed = |error: std::io::Error| Fault::new(Again::Late, format!("{program}: {error}"));
    // A file, so that a program that does not read holds nothing up.
    let mut file = tempfile::tempfile().map_err(failed)?;
    file.write_all(input).map_err(failed)?;
    std::io::Seek::rewind(&mut file).map_err(failed)?;
    let said = tempfile::tempfile().map_err(failed)?;
    let mut child = Command::new(program)
        .args(arguments)
        .args(more)
        .env_clear()
        .env(
            "PATH",
            "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
        )
        .env("LANG", "C.UTF-8")
        .env("HOME", crate::STATE)
        .current_dir("/")
        .stdin(Stdio::from(file))
        .stdout(Stdio::null())
        .stderr(Stdio::from(said.try_clone().map_err(failed)?))
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or_default());
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => break Some(status),
            None if begun.elapsed() > WITHIN => break None,
            None => sleep(Duration::from_millis(20)),
        }
    };
    if status.is_none() && group.as_raw() > 1 {
        let _ = killpg(group, Signal::SIGKILL);
        let _ = child.wait();
    }
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => {
            let how = match (status.code(), status.signal()) {
                (Some(code), _) => format!("ended with exit code {code}"),
                (None, signal) => format!("was ended by signal {}", signal.unwrap_or_default()),
            };
            Err(Fault::new(
                Again::Soon,
                format!("{program} {how}{}", end_of(said)),
            ))
        }
        None => Err(Fault::new(
            Again::Soon,
            format!("{program} was ended after {} s", WITHIN.as_secs()),
        )),
    }
}

/// The last words of a program.
fn end_of(mut said: File) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let mut bytes = Vec::new();
    let length = said.metadata().map_or(0, |found| found.len());
    let read = said
        .seek(SeekFrom::Start(length.saturating_sub(300)))
        .and_then(|_| said.read_to_end(&mut bytes));
    let text = crate::clean::line(&String::from_utf8_lossy(&bytes), 300);
    match read {
        Ok(_) if !text.is_empty() => format!(": {text}"),
        _ => String::new(),
    }
}

/// Looks whether the program of a target is there.
///
/// # Errors
/// A sentence.
pub(super) fn check(target: &Target) -> Result<(), String> {
    let named = target.command.as_deref().and_then(<[_]>::first);
    let program = named.map_or(SENDMAIL, String::as_str);
    let found = std::fs::metadata(Path::new(program));
    let runs = found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    match (runs, target.kind) {
        (true, _) => Ok(()),
        (false, TargetKind::Mail) => Err(format!(
            "{program} is not there: install a package that sends mail, such as msmtp-mta (over another server) or postfix"
        )),
        (false, _) => Err(format!("{program} is no program that can be run")),
    }
}
