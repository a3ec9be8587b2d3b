//! The keys that a file of pinned ones holds for a server. `ssh-keygen -F` looks, so that hashed
//! names and patterns count as they do for ssh.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::error::HostKeyError;
use crate::process::ask::ask;

const DEADLINE: Duration = Duration::from_secs(20);

/// A line of a file of pinned keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pinned {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What its key is other than the server's own.
    pub marker: Option<Marker>,
    /// `ED25519`, `ECDSA`, `RSA`.
    pub kind: String,
    /// `SHA256:…`
    pub fingerprint: String,
}

/// What a line begins with that holds another thing than a server's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    /// `@cert-authority`: it signs servers' keys.
    Authority,
    /// `@revoked`: it is never to be accepted.
    Revoked,
}

/// The lines of `file` that are about the server `name`; none where there is no file.
///
/// # Errors
/// The file cannot be read, or ssh-keygen not be asked.
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
    // Not found is an exit code other than 0, and nothing on stdout.
    Ok(read(&String::from_utf8_lossy(&ran.stdout), file))
}

/// Reads `# Host NAME found: line 3 REVOKED`, then `NAME ED25519 SHA256:… comment`.
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
