//! Parses the output of ssh-keygen. Pure: the tests use the real texts of OpenSSH 9.2.

use std::fmt;

use crate::process::ask::CommandOutput;
use crate::util::text;

/// The signer of a commit or tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signer {
    /// The principal, as the file of allowed signers has it: often an address, possibly a pattern of
    /// addresses.
    pub principal: String,
    /// The key that the signature was made with.
    pub key: Key,
}

/// A key, as ssh-keygen prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// The kind of the key: `ED25519`, `RSA`, `ED25519-CERT`…
    pub kind: String,
    /// The fingerprint of the key: `SHA256:…`
    pub fingerprint: String,
}

/// Why a signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignatureFault {
    /// The signature does not belong to the text that it is attached to.
    Bad(String),
    /// The signature may be good, but the principal is not allowed to make it.
    NotAllowed(String),
}

/// How ssh-keygen begins its line about a good signature in the namespace that git signs in.
const GOOD: &str = "Good \"git\" signature ";

/// Parses the output of `find-principals`: the principals that the key belongs to, in the file's order; none
/// if the command failed.
#[must_use]
pub(crate) fn principals(ran: &CommandOutput) -> Vec<String> {
    if ran.code != 0 {
        return Vec::new();
    }
    // Principals are left unchanged, because they are passed to ssh-keygen again; a line that cannot be an
    // argument is left out.
    let lines = ran.stdout.split(|b| *b == b'\n');
    let lines = lines.filter_map(|line| std::str::from_utf8(line).ok());
    lines
        .map(|line| line.trim_end_matches('\r'))
        .filter(|line| !line.is_empty() && !line.contains('\0'))
        .map(str::to_owned)
        .collect()
}

/// Parses the output of `verify`: the signer. Both the exit code and the text must confirm the signature.
///
/// # Errors
/// Why the signature is not accepted.
pub(crate) fn signer(ran: &CommandOutput, principal: &str) -> Result<Signer, SignatureFault> {
    match parse_good_line(ran, &format!("{GOOD}for {principal} with ")) {
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
                SignatureFault::Bad(said)
            } else {
                SignatureFault::NotAllowed(said)
            })
        }
    }
}

/// Parses the output of `check-novalidate`: the key of a signature that belongs to its text, whichever
/// principal the key belongs to.
#[must_use]
pub(crate) fn key(ran: &CommandOutput) -> Option<Key> {
    parse_good_line(ran, &format!("{GOOD}with "))
}

fn parse_good_line(ran: &CommandOutput, before: &str) -> Option<Key> {
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

/// Gives the error messages of ssh-keygen, fit for a terminal, without the message that it prints at every
/// failure.
#[must_use]
pub(crate) fn remarks(ran: &CommandOutput) -> String {
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
#[path = "keygen_output_tests.rs"]
mod tests;
