//! The ssh command line: OpenSSH with the user's own configuration, and never with an interactive question.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use thiserror::Error;

/// How ssh is run. An option that is not set is left to ssh's own defaults and `ssh_config(5)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SshOptions {
    /// The private key (`-i`, with `IdentitiesOnly=yes`).
    pub identity: Option<PathBuf>,
    /// The file of pinned host keys (`UserKnownHostsFile`).
    pub known_hosts: Option<PathBuf>,
    /// The configuration file with host aliases (`-F`).
    pub config: Option<PathBuf>,
    /// The socket of an ssh-agent. Without it ssh sees no agent, whatever pp-fetcher's environment says.
    pub agent: Option<PathBuf>,
    /// The ssh program.
    pub program: PathBuf,
    /// The seconds that ssh may take to reach the server (`ConnectTimeout`).
    pub connect_timeout: u16,
}

impl Default for SshOptions {
    fn default() -> Self {
        Self {
            identity: None,
            known_hosts: None,
            config: None,
            agent: None,
            program: "ssh".into(),
            connect_timeout: 20,
        }
    }
}

/// A path that cannot be handed to ssh unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the [ssh] {option} path {} is refused: ssh would expand or split it; use a path without quotes, $ and control characters",
    path.display()
)]
pub(crate) struct PathRefused {
    /// The option's name in pp-fetcher's configuration.
    pub option: &'static str,
    /// The path.
    pub path: PathBuf,
}

/// Options that are always given to ssh, and that outrank any configuration file: nothing interactive, no
/// unknown host, no endless silence, nothing forwarded, and errors on stderr whatever the file's
/// `LogLevel` (a banner of the server would be shown above ERROR and could be taken for an error).
const ALWAYS: [&str; 13] = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=3",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "EscapeChar=none",
    "RequestTTY=no",
    "LogLevel=ERROR",
    "SendEnv=GIT_PROTOCOL",
];

/// The program of git's that sends refs and packs.
pub(crate) const UPLOAD_PACK: &str = "git-upload-pack";

impl SshOptions {
    /// Returns the command that runs `git-upload-pack` for `path` at the host.
    ///
    /// # Errors
    /// [`PathRefused`] for a path that ssh's own expansion would change.
    pub(crate) fn command(
        &self,
        user: Option<&str>,
        host: &str,
        port: Option<u16>,
        path: &str,
    ) -> Result<Command, PathRefused> {
        self.service(&[], UPLOAD_PACK, user, host, port, path)
    }

    /// Returns the command that runs `service`, a program of git's, for `path` at the host; `switches` as of
    /// [`Self::towards`].
    ///
    /// # Errors
    /// [`PathRefused`] for a path that ssh's own expansion would change.
    pub(crate) fn service(
        &self,
        switches: &[&str],
        service: &str,
        user: Option<&str>,
        host: &str,
        port: Option<u16>,
        path: &str,
    ) -> Result<Command, PathRefused> {
        let mut command = self.towards(switches, user, host, port)?;
        command.arg(at_server(service, path));
        Ok(command)
    }

    /// Returns the ssh command without the command to run at the host. `switches` come first: if an option is
    /// given twice, ssh takes the first.
    ///
    /// # Errors
    /// [`PathRefused`] for a path that ssh's own expansion would change.
    pub(crate) fn towards(
        &self,
        switches: &[&str],
        user: Option<&str>,
        host: &str,
        port: Option<u16>,
    ) -> Result<Command, PathRefused> {
        let mut command = Command::new(&self.program);
        command.args(switches);
        if let Some(config) = &self.config {
            command.arg("-F").arg(config);
        }
        for option in ALWAYS {
            command.arg("-o").arg(option);
        }
        command
            .arg("-o")
            .arg(format!("ConnectTimeout={}", self.connect_timeout));
        if let Some(identity) = &self.identity {
            command.arg("-i").arg(escaped("identity", identity)?);
            command.args(["-o", "IdentitiesOnly=yes"]);
        }
        if let Some(known_hosts) = &self.known_hosts {
            let mut option = OsString::from("UserKnownHostsFile=\"");
            option.push(escaped("known_hosts", known_hosts)?);
            option.push("\"");
            command.arg("-o").arg(option);
        }
        if let Some(port) = port {
            command.arg("-p").arg(port.to_string());
        }
        if let Some(user) = user {
            command.arg("-l").arg(user);
        }
        command.arg("--").arg(host);
        if let Some(agent) = &self.agent {
            command.env("SSH_AUTH_SOCK", agent);
        }
        Ok(command)
    }
}

/// Returns the command line by which the server runs `service`, a program of git's, for `path`.
#[must_use]
pub(crate) fn at_server(service: &str, path: &str) -> String {
    format!("{service} {}", quoted(path))
}

/// Returns the path that ssh means by `path`, as it stands in a configuration or in the output of `ssh -G`.
pub(crate) fn expanded(path: &str, home: &Path) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => path.into(),
    }
}

/// Returns `path` in single quotes for the server's shell. `!` is left outside of the quotes as git does, for
/// shells that expand history.
fn quoted(path: &str) -> String {
    let inner = path.replace('\'', r"'\''").replace('!', r"'\!'");
    format!("'{inner}'")
}

/// Returns `path` with ssh's tokens made literal.
fn escaped(option: &'static str, path: &Path) -> Result<OsString, PathRefused> {
    let bytes = path.as_os_str().as_bytes();
    let refused = |b: &u8| matches!(b, b'"' | b'\'' | b'$' | b'\\') || b.is_ascii_control();
    if bytes.iter().any(refused) || bytes.starts_with(b"~") {
        return Err(PathRefused {
            option,
            path: path.to_owned(),
        });
    }
    let mut out = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        out.push(byte);
        if byte == b'%' {
            out.push(b'%');
        }
    }
    Ok(OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(options: &SshOptions) -> Vec<String> {
        let command = options
            .command(Some("git"), "alias", Some(2222), "me/it's.git")
            .unwrap();
        let args = command.get_args();
        args.map(|a| a.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn rule_24_and_25_are_asked_of_ssh_whatever_the_configuration() {
        let args = args(&SshOptions::default());
        for wanted in [
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "ConnectTimeout=20",
            "ServerAliveInterval=15",
            "ServerAliveCountMax=3",
        ] {
            let at = args.iter().position(|a| a == wanted).unwrap();
            assert_eq!(args[at - 1], "-o");
        }
    }

    #[test]
    fn the_host_stands_after_the_end_of_options_and_the_path_in_quotes() {
        let args = args(&SshOptions::default());
        let end = args.iter().position(|a| a == "--").unwrap();
        assert_eq!(
            args[end + 1..],
            ["alias", r"git-upload-pack 'me/it'\''s.git'"]
        );
    }

    #[test]
    fn files_are_passed_as_they_are() {
        let options = SshOptions {
            identity: Some("/k/100%".into()),
            known_hosts: Some("/k/known hosts".into()),
            config: Some("/k/config".into()),
            ..SshOptions::default()
        };
        let args = args(&options).join(" ");
        assert!(args.starts_with("-F /k/config "), "{args}");
        assert!(args.contains("-i /k/100%% -o IdentitiesOnly=yes"), "{args}");
        assert!(
            args.contains("UserKnownHostsFile=\"/k/known hosts\""),
            "{args}"
        );
        let options = SshOptions {
            identity: Some("/k/${HOME}".into()),
            ..SshOptions::default()
        };
        let refused = options.command(None, "h", None, "p").unwrap_err();
        assert_eq!(refused.option, "identity");
    }
}
