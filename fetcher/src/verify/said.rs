//! What ssh-keygen says, read. Pure: the tests feed it the real texts of OpenSSH 9.2.

use std::fmt;

use crate::process::ask::Ran;
use crate::util::text;

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signer {
    /// As the allowed signers name them: often an address, possibly a pattern of addresses.
    pub principal: String,
    /// The key.
    pub key: Key,
}

/// A key, as ssh-keygen names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// `ED25519`, `RSA`, `ED25519-CERT`…
    pub kind: String,
    /// `SHA256:…`
    pub fingerprint: String,
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It does not belong to what it stands on.
    Bad(String),
    /// It may be good, but this principal may not make it.
    NotAllowed(String),
}

/// The namespace that git signs in, as ssh-keygen puts it.
const GOOD: &str = "Good \"git\" signature ";

/// Of `find-principals`: whose key it is, in the file's order; nobody where it failed.
#[must_use]
pub(crate) fn principals(ran: &Ran) -> Vec<String> {
    if ran.code != 0 {
        return Vec::new();
    }
    // Unchanged, since they are handed back; only what cannot be an argument is left out.
    let lines = ran.stdout.split(|b| *b == b'\n');
    let lines = lines.filter_map(|line| std::str::from_utf8(line).ok());
    lines
        .map(|line| line.trim_end_matches('\r'))
        .filter(|line| !line.is_empty() && !line.contains('\0'))
        .map(str::to_owned)
        .collect()
}

/// Of `verify`: the signer. Both the exit code and the text must say so.
///
/// # Errors
/// Why it does not count.
pub(crate) fn signer(ran: &Ran, principal: &str) -> Result<Signer, Doubt> {
    match good(ran, &format!("{GOOD}for {principal} with ")) {
        Some(key) => Ok(Signer {
            principal: principal.to_owned(),
            key,
        }),
        None => {
            let said = remarks(ran);
            let bad = [
                "incorrect signature",
                "namespace does not match",
                "invalid format",
            ];
            Err(if bad.iter().any(|text| said.contains(text)) {
                Doubt::Bad(said)
            } else {
                Doubt::NotAllowed(said)
            })
        }
    }
}

/// Of `check-novalidate`: the key of a signature that belongs to its text, whosever it is.
#[must_use]
pub(crate) fn key(ran: &Ran) -> Option<Key> {
    good(ran, &format!("{GOOD}with "))
}

fn good(ran: &Ran, before: &str) -> Option<Key> {
    let said = std::str::from_utf8(&ran.stdout).ok()?;
    let mut lines = said.lines();
    let (kind, fingerprint) = lines.next()?.strip_prefix(before)?.split_once(" key ")?;
    let token = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    let whole = ran.code == 0 && lines.next().is_none();
    let told = token(kind) && token(fingerprint) && fingerprint.starts_with("SHA256:");
    (whole && told).then(|| Key {
        kind: kind.to_owned(),
        fingerprint: fingerprint.to_owned(),
    })
}

/// What it complained about, fit for a terminal, without what it says at every failure.
#[must_use]
pub(crate) fn remarks(ran: &Ran) -> String {
    let lines = text::lines(&ran.stderr);
    let telling = lines
        .into_iter()
        .filter(|line| line != "No principal matched.");
    let said = telling.collect::<Vec<_>>().join("; ");
    match (said.is_empty(), ran.code) {
        (false, _) => said,
        (true, 0 | 255) => String::new(),
        (true, code) => format!("exit code {code}"),
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Key { kind, fingerprint } = &self.key;
        let principal = text::line(self.principal.as_bytes());
        write!(f, "{principal} ({kind} {fingerprint})")
    }
}

#[cfg(test)]
#[path = "said_tests.rs"]
mod tests;
