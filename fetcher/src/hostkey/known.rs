//! Reads the keys that the text of a known_hosts file holds for a server (sshd(8), "SSH_KNOWN_HOSTS FILE
//! FORMAT"). Pure: root checks a file this way without running a program.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::pinned::{Marker, Pinned};

/// Gives the lines of `text` that hold for the server `name`.
#[must_use]
pub(crate) fn of_text(text: &[u8], file: &Path, name: &str) -> Vec<Pinned> {
    let mut found = Vec::new();
    for (index, line) in text.split(|b| *b == b'\n').enumerate() {
        let line = String::from_utf8_lossy(line);
        let mut words = line.split_ascii_whitespace().peekable();
        let marker = match words.peek() {
            Some(&"@cert-authority") => Some(Marker::Authority),
            Some(&"@revoked") => Some(Marker::Revoked),
            _ => None,
        };
        if marker.is_some() {
            words.next();
        }
        let (Some(names), Some(kind), Some(key)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        if names.starts_with('#') || !is_named(names, name) {
            continue;
        }
        if let Some(fingerprint) = fingerprint(key) {
            found.push(Pinned {
                file: file.to_owned(),
                line: index + 1,
                marker,
                kind: short_kind(kind),
                fingerprint,
            });
        }
    }
    found
}

/// Computes the fingerprint `SHA256:…` of a key in base64, as `ssh-keygen -l` prints it.
#[must_use]
pub(crate) fn fingerprint(key: &str) -> Option<String> {
    let key = STANDARD.decode(key).ok()?;
    let digest = STANDARD_NO_PAD.encode(Sha256::digest(key));
    Some(format!("SHA256:{digest}"))
}

/// Shortens the kind of a key: `ED25519` for `ssh-ed25519`, and so on.
pub(super) fn short_kind(kind: &str) -> String {
    let short = kind.strip_prefix("ssh-").unwrap_or(kind);
    let short = short.split("-sha2-").next().unwrap_or(short);
    short.to_ascii_uppercase()
}

/// Whether the first field of a line matches `name`: one of its patterns does, and no pattern that begins
/// with `!`.
fn is_named(names: &str, name: &str) -> bool {
    if let Some(hashed) = names.strip_prefix("|1|") {
        return is_hash_of(hashed, name).unwrap_or(false);
    }
    let name = name.to_ascii_lowercase();
    let mut named = false;
    for pattern in names.split(',') {
        let pattern = pattern.to_ascii_lowercase();
        match pattern.strip_prefix('!') {
            Some(not) if fits(not.as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => named = named || fits(pattern.as_bytes(), name.as_bytes()),
        }
    }
    named
}

/// Whether `hashed` is a hash of `name`. It is written `SALT|HASH`, both in base64: the hash is the HMAC-SHA1
/// of the name, the salt its key.
fn is_hash_of(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let mut mac = Hmac::<Sha1>::new_from_slice(&STANDARD.decode(salt).ok()?).ok()?;
    mac.update(name.as_bytes());
    Some(mac.verify_slice(&STANDARD.decode(hash).ok()?).is_ok())
}

/// Whether `pattern`, with `*` and `?`, matches all of `text`. After a mismatch only the last star is tried
/// again, so no pattern takes longer than the product of both lengths.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), text.get(t)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                star = Some((p, t));
                p += 1;
            }
            (Some(b'?'), Some(_)) => (p, t) = (p + 1, t + 1),
            (Some(a), Some(b)) if a == b => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) if from < text.len() => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIAabcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP";

    #[test]
    fn lines_are_found_as_ssh_keygen_finds_them() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("known_hosts");
        let key = directory.path().join("key");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key)
            .status();
        assert!(made.unwrap().success());
        let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        let lines: String = [
            "forge.example.org",
            "other,FORGE.example.org",
            "*.example.org",
            "*.example.org,!forge.example.org",
            "@revoked forge.example.org",
            "@cert-authority *",
            "forge.example.orgx",
            "[forge.example.org]:22",
            "# forge.example.org",
            "f?rge.*",
        ]
        .map(|names| format!("{names} {public}"))
        .concat();
        std::fs::write(&file, &lines).unwrap();
        for name in ["forge.example.org", "[forge.example.org]:22", "nowhere"] {
            for hashed in [false, true] {
                if hashed {
                    let hash = Command::new("ssh-keygen")
                        .args(["-q", "-H", "-f"])
                        .arg(&file)
                        .output();
                    assert!(hash.unwrap().status.success());
                }
                let text = std::fs::read(&file).unwrap();
                let ours = of_text(&text, &file, name);
                let theirs = super::super::pinned::look(&file, name).unwrap();
                assert_eq!(ours, theirs, "{name}, hashed: {hashed}");
                std::fs::write(&file, &lines).unwrap();
            }
        }
    }

    #[test]
    fn rule_35_no_text_keeps_root_busy_or_stops_it() {
        let stars = format!("{}x ssh-ed25519 {KEY}\n", "*a".repeat(5000));
        assert!(of_text(stars.as_bytes(), Path::new("/k"), &"a".repeat(200)).is_empty());
        for text in [
            "\0\n",
            "|1|\n",
            "|1|a|b t k",
            "x",
            "x t !",
            "@revoked",
            "@revoked x y",
        ] {
            assert!(
                of_text(text.as_bytes(), Path::new("/k"), "x").is_empty(),
                "{text:?}"
            );
        }
    }
}
