//! The ssh process that holds a connection, and lets others in by its control socket.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::destination::Destination;
use super::files::Files;
use crate::stop::stop_requested;

/// The time between two looks for the control socket of a master that is connecting.
const LOOK: Duration = Duration::from_millis(5);

/// The time for the login, in addition to the time for the connection.
const LOGIN: Duration = Duration::from_secs(10);

/// The time in which a master ends that was told to.
const END: Duration = Duration::from_secs(1);

/// What a master sends to the server with each session: the request for version 2 of git's protocol, and messages in
/// English. Of whoever asks for a session a master has no environment.
const ENVIRONMENT: &str = "SetEnv=GIT_PROTOCOL=version=2 LANG=C";

/// How soon a master notices that the network is gone, or that the host has slept: after three answers that do not come.
const ALIVE: [&str; 2] = ["ServerAliveInterval=5", "ServerAliveCountMax=3"];

/// A master that has logged in. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Master {
    child: Child,
    socket: PathBuf,
    files: Files,
}

impl Master {
    /// Opens a connection, and waits until it takes sessions at `socket`. `spawn` starts ssh, on a thread that lives as long
    /// as the connection may.
    ///
    /// # Errors
    /// There is no connection, for a reason that ssh tells whoever connects without a master.
    pub(super) fn start(
        destination: &Destination,
        socket: &Path,
        spawn: &dyn Fn(Command) -> io::Result<Child>,
    ) -> io::Result<Self> {
        let failed = |why: &str| io::Error::other(why.to_owned());
        // Before ssh reads them: a change from here on is noticed.
        let files =
            Files::of(destination).ok_or_else(|| failed("ssh cannot read its configuration"))?;
        let path = format!("ControlPath={}", socket.display());
        let mut switches = vec!["-M", "-N", "-o", "ControlPersist=no", "-o", &path];
        let environment = environment(&files.environment)
            .ok_or_else(|| failed("SetEnv of the configuration cannot be repeated"))?;
        switches.extend(["-o", &environment]);
        switches.extend(ALIVE.iter().flat_map(|option| ["-o", option]));
        let command = destination.ssh(&switches).map_err(io::Error::other)?;
        let mut master = Self {
            child: spawn(command)?,
            socket: socket.to_owned(),
            files,
        };
        let give_up =
            Instant::now() + Duration::from_secs(destination.ssh.connect_timeout.into()) + LOGIN;
        while !socket.exists() {
            if master.has_ended() {
                return Err(failed("ssh has ended"));
            }
            if Instant::now() > give_up || stop_requested() {
                return Err(failed("no login in time"));
            }
            sleep(LOOK);
        }
        Ok(master)
    }

    /// Whether the socket is there, and nothing has changed that the connection depends on.
    pub(super) fn is_as_it_was(&self) -> bool {
        !self.files.have_changed() && self.socket.exists()
    }

    /// Whether the ssh process has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(pid), signal);
        }
    }
}

/// Returns the option that sends [`ENVIRONMENT`] and the configuration's own assignments, of which ssh takes the first option
/// alone; `None` if one of them would have to be quoted.
fn environment(configured: &[String]) -> Option<String> {
    let mut option = ENVIRONMENT.to_owned();
    for assignment in configured {
        if !assignment.bytes().all(needs_no_quotes) {
            return None;
        }
        option.push(' ');
        option.push_str(assignment);
    }
    Some(option)
}

/// Whether a byte of an assignment stands for itself in an option of ssh.
fn needs_no_quotes(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_=./:@+,-".contains(&byte)
}

impl Drop for Master {
    fn drop(&mut self) {
        let give_up = Instant::now() + END;
        // Not after it was waited for: its number may be another process's by then.
        if !self.has_ended() {
            self.signal(Signal::SIGTERM);
        }
        while !self.has_ended() {
            if Instant::now() > give_up {
                self.signal(Signal::SIGKILL);
                let _ = self.child.wait();
                break;
            }
            sleep(LOOK);
        }
        let _ = std::fs::remove_file(&self.socket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_configuration_sends_is_sent_too_or_there_is_no_master() {
        let of = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            environment(&words)
        };
        assert_eq!(of(&[]).as_deref(), Some(ENVIRONMENT));
        let both = format!("{ENVIRONMENT} TERM=xterm-256color A=b");
        assert_eq!(of(&["TERM=xterm-256color", "A=b"]), Some(both));
        assert_eq!(of(&["A=b c"]), None);
        assert_eq!(of(&["A=\"b\""]), None);
    }
}
