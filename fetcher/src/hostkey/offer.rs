//! Asks a server for its host keys. ssh itself connects, in the way that git would: alias, port, jump host.
//!
//! One connection is made for each kind of key, up to the key exchange and no further: no login is tried.

use std::fmt;
use std::fs;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::HostKeyError;
use super::known;
use super::pinned;
use super::place::Target;
use crate::git::SshOptions;
use crate::process::ask::ask;
use crate::util::text;

/// Kinds of host keys, as values of `HostKeyAlgorithms`, in ssh's own order of preference.
const KINDS: [&str; 3] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521",
    "rsa-sha2-512,rsa-sha2-256",
];

/// Longest time for one connection.
const DEADLINE: Duration = Duration::from_secs(40);

/// What ssh prints if the server has no key of the requested kind. The log level that pp-fetcher usually sets
/// for ssh hides this line.
const NO_SUCH_KIND: &str = "no matching host key type";

/// Options that make ssh write the server's key into an empty temporary file and go no further. They come
/// first on the command line, so they take precedence over the configuration and over the options that are
/// always set.
const ONLY_THE_KEY: [&str; 13] = [
    "StrictHostKeyChecking=accept-new",
    "GlobalKnownHostsFile=/dev/null",
    "KnownHostsCommand=none",
    "VerifyHostKeyDNS=no",
    "HashKnownHosts=no",
    "CheckHostIP=no",
    // A connection that is already open would show no key.
    "ControlMaster=no",
    "ControlPath=none",
    "PreferredAuthentications=none",
    "PubkeyAuthentication=no",
    "PasswordAuthentication=no",
    "KbdInteractiveAuthentication=no",
    "LogLevel=INFO",
];

/// A host key that the server offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offered {
    /// The kind of the key: `ED25519`, `ECDSA`, `RSA`.
    pub kind: String,
    /// The fingerprint of the key: `SHA256:…`
    pub fingerprint: String,
    /// The key's line for a file of pinned keys.
    pub line: String,
}

impl Offered {
    /// Checks a key that was read from a process that is not trusted: makes it anew from nothing but the kind
    /// and the key in its line, for the server `name`. `None` if the line has another form or the fingerprint
    /// is not that of the key.
    #[must_use]
    pub(crate) fn proven(&self, name: &str) -> Option<Self> {
        let fit = |b: u8| b.is_ascii_alphanumeric() || b"._-:[]".contains(&b);
        let (_, rest) = self.line.split_once(' ')?;
        let (kind, key) = rest.trim().split_once(' ')?;
        let key = key.split_ascii_whitespace().next()?;
        let named = !name.is_empty() && name.bytes().all(fit);
        let kind_fits = kind
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-@.".contains(&b));
        let proven = known::fingerprint(key).filter(|print| *print == self.fingerprint)?;
        (named && kind_fits).then(|| Self {
            kind: known::short_kind(kind),
            fingerprint: proven,
            line: format!("{name} {kind} {key}"),
        })
    }
}

impl fmt::Display for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.fingerprint)
    }
}

/// Asks the server for its host keys, one of each kind that it has.
///
/// # Errors
/// The server does not answer, or has no key. If one kind cannot be asked for, no keys are given: a missing
/// key would be taken for one that the server no longer offers.
pub(crate) fn offered(ssh: &SshOptions, target: Target<'_>) -> Result<Vec<Offered>, HostKeyError> {
    let mut all = Vec::new();
    for kind in KINDS {
        all.extend(of_kind(ssh, target, kind)?);
    }
    if all.is_empty() {
        return Err(HostKeyError::Silent {
            host: target.host.to_owned(),
            said: "it has none that we know".to_owned(),
        });
    }
    Ok(all)
}

fn of_kind(
    ssh: &SshOptions,
    target: Target<'_>,
    kind: &str,
) -> Result<Option<Offered>, HostKeyError> {
    let directory = tempfile::tempdir().map_err(HostKeyError::NoRoom)?;
    let file = directory.path().join("known_hosts");
    let ssh = SshOptions {
        known_hosts: Some(file.clone()),
        identity: None,
        agent: None,
        ..ssh.clone()
    };
    let kind = format!("HostKeyAlgorithms={kind}");
    let mut switches = vec!["-n", "-T", "-o", &kind];
    switches.extend(ONLY_THE_KEY.iter().flat_map(|option| ["-o", option]));
    let mut command = ssh.towards(&switches, target.user, target.host, target.port)?;
    // A command that does nothing, in case the server lets ssh in without any login.
    command.arg("true");
    let ran = ask(&command, b"", DEADLINE)?;
    let written = fs::read_to_string(&file).unwrap_or_default();
    let Some(line) = written.lines().find(|line| !line.trim().is_empty()) else {
        let said = text::lines(&ran.stderr);
        if said.iter().any(|line| line.contains(NO_SUCH_KIND)) {
            return Ok(None);
        }
        return Err(HostKeyError::Silent {
            host: target.host.to_owned(),
            said: said.join("; "),
        });
    };
    let name = line.split(' ').next().unwrap_or_default();
    let read = pinned::look(&file, name)?.pop();
    let read = read.ok_or_else(|| HostKeyError::Silent {
        host: target.host.to_owned(),
        said: "its key cannot be read".to_owned(),
    })?;
    Ok(Some(Offered {
        kind: read.kind,
        fingerprint: read.fingerprint,
        line: line.to_owned(),
    }))
}
