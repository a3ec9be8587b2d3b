//! Finds out whether a key may push, without pushing: the server is asked for `git-receive-pack`, which greets whoever
//! may push with the list of refs, and the connection is closed after the greeting.

use std::time::Duration;

use super::options::RemoteOptions;
use super::pipe::Pipe;
use super::ssh::PathRefused;
use super::url::RepositoryUrl;
use super::wire::{Packet, Wire};
use crate::process::ending::Exit;
use crate::util::text;

/// The longest time for the greeting.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most bytes of the greeting; the first line of it is all that counts.
const BUDGET: u64 = 1 << 20;

/// A capability that every server of pushes announces (gitprotocol-capabilities(5)), and no server of fetches.
const OF_PUSHES: &[u8] = b"report-status";

/// The server's answer to somebody who asks to push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PushAccess {
    /// The server would take a push.
    Granted,
    /// The server refuses, with these words.
    Refused(String),
}

/// Asks the server of `url`, which is reached by ssh, whether the key of `options` may push.
///
/// # Errors
/// A sentence: ssh cannot be run, or the server does not answer in time.
pub(crate) fn push_access(
    url: &RepositoryUrl,
    options: &RemoteOptions,
) -> Result<PushAccess, String> {
    let RepositoryUrl::Ssh {
        user,
        host,
        port,
        path,
    } = url
    else {
        return Err("only ssh has keys".to_owned());
    };
    let command = options
        .ssh
        .service(&[], "git-receive-pack", user.as_deref(), host, *port, path);
    let command = command.map_err(|error: PathRefused| error.to_string())?;
    let pipe = Pipe::spawn(&command, PATIENCE, BUDGET);
    let mut wire = Wire::new(pipe.map_err(|error| format!("ssh cannot be run: {error}"))?);
    let greeted = wire.receive().map(|packet| match packet {
        Packet::Data(line) => line.windows(OF_PUSHES.len()).any(|part| part == OF_PUSHES),
        Packet::Flush | Packet::Delimiter => false,
    });
    match greeted {
        Ok(true) => Ok(PushAccess::Granted),
        // A key that is bound to one command on the server: the command serves fetches, whatever is asked for.
        Ok(false) => Ok(PushAccess::Refused("it serves fetches only".to_owned())),
        Err(_) if wire.stream().abort_reason().is_some() => {
            Err(format!("no answer within {} s", PATIENCE.as_secs()))
        }
        Err(error) => {
            let words = wire.stream().last_words();
            let said = text::lines(&words.stderr);
            let said = said.into_iter().find(|line| !line.trim().is_empty());
            let said = said.unwrap_or_else(|| error.to_string());
            match words.exit {
                // ssh ends with the exit code of the server's program; 255 is an error of ssh's own (ssh(1)).
                Some(Exit::Code(code)) if code != 255 => Ok(PushAccess::Refused(said)),
                _ => Err(said),
            }
        }
    }
}
