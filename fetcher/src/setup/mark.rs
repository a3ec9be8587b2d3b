//! The first line of every file that a set-up writes: it names the app, and tells whether somebody has changed the file
//! since. A file that a person has made or changed is never replaced.

use sha2::{Digest, Sha256};

/// What stands between the first line's words and the digest.
const SEAL: &str = " [as written: ";

/// Who has written a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    /// Setup, for this app.
    Setup,
    /// Setup, for this app, and somebody has changed the text since.
    SetupAndAnother,
    /// Somebody else.
    Another,
}

/// The first words of every file that setup writes.
#[must_use]
pub(crate) fn mark(app: &str) -> String {
    format!("# Written by pp-fetcher setup for {app}.")
}

/// Gives the text with a digest of all that follows its first line in that line.
#[must_use]
pub(super) fn seal(text: &str) -> String {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    format!("{first}{SEAL}{}]\n{rest}", digest(first, rest))
}

/// Finds out who has written `text`, which stands where a file of `app` is to be.
#[must_use]
pub(crate) fn author(text: &str, app: &str) -> Author {
    if !text.starts_with(&mark(app)) {
        return Author::Another;
    }
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let sealed = first.rsplit_once(SEAL);
    match sealed.and_then(|(words, seal)| Some((words, seal.strip_suffix(']')?))) {
        Some((words, seal)) if seal == digest(words, rest) => Author::Setup,
        _ => Author::SetupAndAnother,
    }
}

/// Enough of a SHA-256 to notice a change: nobody is kept from changing the text and its digest.
fn digest(first: &str, rest: &str) -> String {
    let hash = Sha256::new().chain_update(first).chain_update("\n");
    let hash = hash.chain_update(rest).finalize();
    hash.iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_somebody_has_changed_is_no_longer_setups_alone() {
        let text =
            seal("# Written by pp-fetcher setup for todo. Yours to change.\nbranch = \"main\"\n");
        assert_eq!(author(&text, "todo"), Author::Setup, "{text}");
        assert_eq!(author(&text, "tod"), Author::Another);
        for changed in [
            text.replace("main", "next"),
            text.replace("Yours", "Mine"),
            text.replace(" [as", ""),
            format!("{text}interval = \"1m\"\n"),
        ] {
            assert_eq!(
                author(&changed, "todo"),
                Author::SetupAndAnother,
                "{changed}"
            );
        }
        assert_eq!(author(&format!("#\n{text}"), "todo"), Author::Another);
        assert_eq!(author("", "todo"), Author::Another);
    }
}
