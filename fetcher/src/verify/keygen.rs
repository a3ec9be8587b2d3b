//! Runs ssh-keygen to check one signature: in its own process group, with a deadline and a limit on its
//! output.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::NamedTempFile;

use super::error::VerifyError;
use crate::process::ask::{CommandOutput, ask};

/// How ssh-keygen is run.
#[derive(Debug, Clone)]
pub(crate) struct Keygen {
    /// The program to run.
    pub program: PathBuf,
    /// Longest time for one run; after it the whole process group is killed.
    pub deadline: Duration,
}

impl Default for Keygen {
    fn default() -> Self {
        Self {
            program: "ssh-keygen".into(),
            // A run takes some 15 ms; the rest is for a host that is very busy.
            deadline: Duration::from_secs(20),
        }
    }
}

/// A signature that ssh-keygen is asked about.
pub(crate) struct SignatureCheck<'a> {
    keygen: &'a Keygen,
    payload: &'a [u8],
    /// The signature in a temporary file, because ssh-keygen reads it from a file only. The file is private,
    /// and is removed when this value is dropped.
    signature: NamedTempFile,
}

impl Keygen {
    /// Prepares the questions to ssh-keygen about `signature` on `payload`.
    ///
    /// # Errors
    /// No temporary file can be written.
    pub(crate) fn ask<'a>(
        &'a self,
        signature: &[u8],
        payload: &'a [u8],
    ) -> Result<SignatureCheck<'a>, VerifyError> {
        let unclear = |error: std::io::Error| VerifyError::NoRoom(error);
        let mut file = NamedTempFile::new().map_err(unclear)?;
        file.write_all(signature).map_err(unclear)?;
        Ok(SignatureCheck {
            keygen: self,
            payload,
            signature: file,
        })
    }
}

impl SignatureCheck<'_> {
    /// Runs `find-principals`: which principals the file of allowed signers gives for the key of this
    /// signature.
    ///
    /// # Errors
    /// ssh-keygen gave no answer.
    pub(crate) fn principals(&self, allowed: &Path) -> Result<CommandOutput, VerifyError> {
        let words = ["find-principals", "-f"].map(OsStr::new);
        self.run(&[&words[..], &[allowed.as_os_str()]].concat(), b"")
    }

    /// Runs `verify`: whether `principal` may sign, and made this signature, in git's namespace.
    ///
    /// # Errors
    /// ssh-keygen gave no answer.
    pub(crate) fn signed_by(
        &self,
        principal: &str,
        allowed: &Path,
    ) -> Result<CommandOutput, VerifyError> {
        let words = ["verify", "-n", "git", "-I", principal, "-f"].map(OsStr::new);
        let words = [&words[..], &[allowed.as_os_str()]].concat();
        self.run(&words, self.payload)
    }

    /// Runs `check-novalidate`: whether the signature belongs to its text, made by any key at all. Only for
    /// the message: the answer does not show whether the signer is allowed.
    ///
    /// # Errors
    /// ssh-keygen gave no answer.
    pub(crate) fn check_by_any_key(&self) -> Result<CommandOutput, VerifyError> {
        let words = ["check-novalidate", "-n", "git"].map(OsStr::new);
        self.run(&words, self.payload)
    }

    fn run(&self, words: &[&OsStr], input: &[u8]) -> Result<CommandOutput, VerifyError> {
        let mut command = Command::new(&self.keygen.program);
        command.arg("-Y").args(words);
        command.arg("-s").arg(self.signature.path());
        Ok(ask(&command, input, self.keygen.deadline)?)
    }
}
