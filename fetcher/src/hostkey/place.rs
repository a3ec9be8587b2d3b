//! Resolves the address of a server as ssh itself does, by running `ssh -G`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::HostKeyError;
use crate::git::SshOptions;
use crate::process::ask::ask;
use crate::util::text;

/// Longest time for `ssh -G`: reading its configuration takes ssh some milliseconds; a `Match exec` in it may
/// take more.
const DEADLINE: Duration = Duration::from_secs(20);

/// ssh's default port, which is not part of a server's name in a file of pinned keys.
const PORT: u16 = 22;

/// A server as a repository's address names it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    /// The login name.
    pub user: Option<&'a str>,
    /// The host name, IP address or alias.
    pub host: &'a str,
    /// The port, if the address has one.
    pub port: Option<u16>,
}

/// A server as ssh connects to it and looks up its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PinTarget {
    /// The host name or address that ssh connects to.
    pub host: String,
    /// The port that ssh connects to.
    pub port: u16,
    /// The name that the server's keys are pinned under: `host`, `[host]:port`, or a `HostKeyAlias`.
    pub name: String,
    /// The file of pinned keys that pp-fetcher changes.
    pub file: PathBuf,
    /// The other files of pinned keys that ssh looks into.
    pub others: Vec<PathBuf>,
}

/// Resolves `target` by running `ssh -G`.
///
/// # Errors
/// ssh cannot be run, or its output lacks the server's address.
pub(crate) fn resolve(ssh: &SshOptions, target: Target<'_>) -> Result<PinTarget, HostKeyError> {
    let command = ssh.towards(&["-G"], target.user, target.host, target.port)?;
    let ran = ask(&command, b"", DEADLINE)?;
    let place = read(
        &String::from_utf8_lossy(&ran.stdout),
        ssh.known_hosts.as_deref(),
    );
    place
        .filter(|_| ran.code == 0)
        .ok_or_else(|| HostKeyError::Unresolved {
            host: target.host.to_owned(),
            said: text::lines(&ran.stderr).join("; "),
        })
}

/// Parses the output of `ssh -G`: a line for each option. In that output a path with a blank looks like two
/// paths, so a configured file is taken from the configuration instead.
fn read(printed: &str, configured: Option<&Path>) -> Option<PinTarget> {
    let value = |name: &str| {
        let mut options = printed.lines().filter_map(|line| line.split_once(' '));
        let found = options.find(|(option, _)| option.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    };
    let paths = |name: &str| {
        let all = value(name)
            .unwrap_or_default()
            .split(' ')
            .map(PathBuf::from);
        all.filter(|path| path.is_absolute()).collect::<Vec<_>>()
    };
    let host = value("hostname")?.to_owned();
    let port = value("port")?.parse().ok()?;
    let name = match value("hostkeyalias").filter(|alias| *alias != "none") {
        Some(alias) => alias.to_owned(),
        None if port == PORT => host.clone(),
        None => format!("[{host}]:{port}"),
    };
    let mut others = match configured {
        Some(file) => vec![file.to_owned()],
        None => paths("userknownhostsfile"),
    };
    if others.is_empty() {
        return None;
    }
    let file = others.remove(0);
    others.extend(paths("globalknownhostsfile"));
    Some(PinTarget {
        host,
        port,
        name,
        file,
        others,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "host forge\nuser git\nhostname 127.0.0.1\nport 2222\n\
        globalknownhostsfile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2\n\
        userknownhostsfile /root/.ssh/known_hosts /root/.ssh/known_hosts2\n";

    #[test]
    fn a_server_is_known_by_its_address_and_port() {
        let place = read(PRINTED, None).unwrap();
        assert_eq!(place.name, "[127.0.0.1]:2222");
        assert_eq!(place.file, Path::new("/root/.ssh/known_hosts"));
        assert_eq!(place.others.len(), 3);
        let plain = PRINTED.replace("2222", "22");
        assert_eq!(read(&plain, None).unwrap().name, "127.0.0.1");
    }

    #[test]
    fn an_alias_for_the_key_is_the_name_whatever_the_port() {
        let printed = format!("{PRINTED}hostkeyalias forge.example\n");
        assert_eq!(read(&printed, None).unwrap().name, "forge.example");
    }

    #[test]
    fn the_configured_file_is_the_one_to_change() {
        let file = Path::new("/etc/pp-fetcher/known hosts");
        let place = read(PRINTED, Some(file)).unwrap();
        assert_eq!(place.file, file);
        assert_eq!(place.others.len(), 2, "only the system's beside it");
    }

    #[test]
    fn what_says_nothing_of_a_host_is_no_answer() {
        assert_eq!(read("", None), None);
        assert_eq!(read("hostname x\nport y\n", None), None);
    }
}
