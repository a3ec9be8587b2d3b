//! The fingerprint of a pinned host key: ssh prints only the offered key's fingerprint and the pinned key's line.

use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::ask::ask;

/// The most bytes read of a file of pinned keys.
const LONGEST_FILE: u64 = 1 << 20;

/// Returns the fingerprint of the key in line `number` of `file`, as `ssh-keygen -l` prints it. `None` if it
/// cannot be found, which is no error of its own: the caller reports a changed key already.
pub(super) fn fingerprint(file: &Path, number: u64) -> Option<String> {
    let mut text = String::new();
    let opened = std::fs::File::open(file).ok()?;
    opened.take(LONGEST_FILE).read_to_string(&mut text).ok()?;
    let index = usize::try_from(number.checked_sub(1)?).ok()?;
    let line = text.lines().nth(index)?;
    let single = tempfile::NamedTempFile::new().ok()?;
    std::fs::write(single.path(), format!("{line}\n")).ok()?;
    let mut command = Command::new("ssh-keygen");
    command.arg("-lf").arg(single.path());
    let ran = ask(&command, b"", Duration::from_secs(5)).ok()?;
    let output = String::from_utf8(ran.stdout).ok()?;
    // The output is `256 SHA256:… comment (ED25519)`.
    let fingerprint = output.split_whitespace().nth(1)?;
    fingerprint
        .starts_with("SHA256:")
        .then(|| fingerprint.to_owned())
}
