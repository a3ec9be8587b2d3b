//! Finds the keys that a file of pinned keys holds for a server. `ssh-keygen -F` does the search, so that
//! hashed names and patterns count as they do for ssh.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::error::HostKeyError;
use crate::process::ask::ask;

const DEADLINE: Duration = Duration::from_secs(20);

/// A line of a file of pinned keys, with the key that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pinned {
    /// The file of pinned keys.
    pub file: PathBuf,
    /// The number of the line, from 1.
    pub line: usize,
    /// The marker of the line, if its key is not simply the server's own.
    pub marker: Option<Marker>,
    /// The kind of the key: `ED25519`, `ECDSA`, `RSA`.
    pub kind: String,
    /// The fingerprint of the key: `SHA256:…`
    pub fingerprint: String,
}

/// The marker at the beginning of a line whose key is not simply a server's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    /// `@cert-authority`: the key signs the keys of servers.
    Authority,
    /// `@revoked`: the key must never be accepted.
    Revoked,
}

/// Gives the lines of `file` that hold for the server `name`; none if the file does not exist.
///
/// # Errors
/// The file cannot be read, or ssh-keygen cannot be run.
pub(crate) fn look(file: &Path, name: &str) -> Result<Vec<Pinned>, HostKeyError> {
    match File::open(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.map_err(|source| HostKeyError::Io {
            file: file.to_owned(),
            source,
        })?,
    };
    let mut command = Command::new("ssh-keygen");
    command.args(["-l", "-F", name, "-f"]).arg(file);
    let ran = ask(&command, b"", DEADLINE)?;
    // If it finds nothing, ssh-keygen exits with a code other than 0 and prints nothing on stdout.
    Ok(read(&String::from_utf8_lossy(&ran.stdout), file))
}

/// Parses the output: `# Host NAME found: line 3 REVOKED`, then `NAME ED25519 SHA256:… comment`.
fn read(printed: &str, file: &Path) -> Vec<Pinned> {
    let mut found = Vec::new();
    let mut at = None;
    for line in printed.lines() {
        if let Some(head) = line.strip_prefix("# Host ") {
            at = head.split_once(" found: line ").and_then(|(_, place)| {
                let mut words = place.split_whitespace();
                let number: usize = words.next()?.parse().ok()?;
                let marker = match words.next() {
                    Some("CA") => Some(Marker::Authority),
                    Some("REVOKED") => Some(Marker::Revoked),
                    _ => None,
                };
                Some((number, marker))
            });
        } else if let Some((number, marker)) = at.take() {
            let mut words = line.split_whitespace().skip(1);
            if let (Some(kind), Some(fingerprint)) = (words.next(), words.next()) {
                found.push(Pinned {
                    file: file.to_owned(),
                    line: number,
                    marker,
                    kind: kind.to_owned(),
                    fingerprint: fingerprint.to_owned(),
                });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_markers_and_fingerprints_are_read_as_openssh_9_2_prints_them() {
        let printed = "# Host [127.0.0.1]:20223 found: line 2 \n\
            [127.0.0.1]:20223 ED25519 SHA256:iWRG2qv1 root@vm\n\
            # Host [127.0.0.1]:20223 found: line 5 REVOKED\n\
            [127.0.0.1]:20223 ECDSA SHA256:bgGjBrXf\n\
            # Host [127.0.0.1]:20223 found: line 6 CA\n\
            [127.0.0.1]:20223 ECDSA SHA256:bgGjBrXf x\n";
        let found = read(printed, Path::new("/k"));
        let seen: Vec<_> = found
            .iter()
            .map(|p| (p.line, p.marker, p.kind.as_str(), p.fingerprint.as_str()))
            .collect();
        let expected = [
            (2, None, "ED25519", "SHA256:iWRG2qv1"),
            (5, Some(Marker::Revoked), "ECDSA", "SHA256:bgGjBrXf"),
            (6, Some(Marker::Authority), "ECDSA", "SHA256:bgGjBrXf"),
        ];
        assert_eq!(seen, expected);
        assert!(read("", Path::new("/k")).is_empty());
        assert!(read("a b\n# Host x found: line y\nc d e\n", Path::new("/k")).is_empty());
    }
}
