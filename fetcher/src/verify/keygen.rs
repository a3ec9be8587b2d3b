//! ssh-keygen, asked about one signature: its own process group, a deadline, a bounded answer.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::NamedTempFile;

use super::error::VerifyError;
use crate::process::ask::{Ran, ask};

/// How ssh-keygen is run.
#[derive(Debug, Clone)]
pub(crate) struct Keygen {
    /// The program.
    pub program: PathBuf,
    /// Time for one question; then its whole group is killed.
    pub deadline: Duration,
}

impl Default for Keygen {
    fn default() -> Self {
        Self {
            program: "ssh-keygen".into(),
            // It takes some 15 ms; the rest is for a host that is very busy.
            deadline: Duration::from_secs(20),
        }
    }
}

/// A signature that is being asked about.
pub(crate) struct Asked<'a> {
    keygen: &'a Keygen,
    payload: &'a [u8],
    /// ssh-keygen takes a signature from a file only. Private, gone when this is dropped.
    signature: NamedTempFile,
}

impl Keygen {
    /// Makes ready to ask about `signature` on `payload`.
    ///
    /// # Errors
    /// No temporary file can be written.
    pub(crate) fn ask<'a>(
        &'a self,
        signature: &[u8],
        payload: &'a [u8],
    ) -> Result<Asked<'a>, VerifyError> {
        let unclear = |error: std::io::Error| VerifyError::NoRoom(error);
        let mut file = NamedTempFile::new().map_err(unclear)?;
        file.write_all(signature).map_err(unclear)?;
        Ok(Asked {
            keygen: self,
            payload,
            signature: file,
        })
    }
}

impl Asked<'_> {
    /// `find-principals`: whom the file of allowed signers gives the key of this signature to.
    ///
    /// # Errors
    /// It gave no answer.
    pub(crate) fn principals(&self, allowed: &Path) -> Result<Ran, VerifyError> {
        let words = ["find-principals", "-f"].map(OsStr::new);
        self.run(&[&words[..], &[allowed.as_os_str()]].concat(), b"")
    }

    /// `verify`: whether `principal` may make it and made it, in git's namespace.
    ///
    /// # Errors
    /// It gave no answer.
    pub(crate) fn signed_by(&self, principal: &str, allowed: &Path) -> Result<Ran, VerifyError> {
        let words = ["verify", "-n", "git", "-I", principal, "-f"].map(OsStr::new);
        let words = [&words[..], &[allowed.as_os_str()]].concat();
        self.run(&words, self.payload)
    }

    /// `check-novalidate`: whether anybody at all made it. Only for the message: it says nothing
    /// about who may.
    ///
    /// # Errors
    /// It gave no answer.
    pub(crate) fn whoever(&self) -> Result<Ran, VerifyError> {
        let words = ["check-novalidate", "-n", "git"].map(OsStr::new);
        self.run(&words, self.payload)
    }

    fn run(&self, words: &[&OsStr], input: &[u8]) -> Result<Ran, VerifyError> {
        let mut command = Command::new(&self.keygen.program);
        command.arg("-Y").args(words);
        command.arg("-s").arg(self.signature.path());
        Ok(ask(&command, input, self.keygen.deadline)?)
    }
}
