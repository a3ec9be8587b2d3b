//! ssh-keygen, asked about one signature: its own process group, a deadline, a bounded answer.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::NamedTempFile;

use super::error::VerifyError;
use super::said::Ran;
use crate::git::pipe::{Cut, Pipe};

/// Most bytes of an answer: a line, or a line for each principal of a key.
const ANSWER: u64 = 256 * 1024;

/// How ssh-keygen is run.
#[derive(Debug, Clone)]
pub struct Keygen {
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
pub struct Asked<'a> {
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
    pub fn ask<'a>(
        &'a self,
        signature: &[u8],
        payload: &'a [u8],
    ) -> Result<Asked<'a>, VerifyError> {
        let unclear = |error: std::io::Error| VerifyError::Unclear {
            why: format!("no temporary file for the signature: {error}"),
        };
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
    pub fn principals(&self, allowed: &Path) -> Result<Ran, VerifyError> {
        let words = ["find-principals", "-f"].map(OsStr::new);
        self.run(&[&words[..], &[allowed.as_os_str()]].concat(), b"")
    }

    /// `verify`: whether `principal` may make it and made it, in git's namespace.
    ///
    /// # Errors
    /// It gave no answer.
    pub fn signed_by(&self, principal: &str, allowed: &Path) -> Result<Ran, VerifyError> {
        let words = ["verify", "-n", "git", "-I", principal, "-f"].map(OsStr::new);
        let words = [&words[..], &[allowed.as_os_str()]].concat();
        self.run(&words, self.payload)
    }

    /// `check-novalidate`: whether anybody at all made it. Only for the message: it says nothing
    /// about who may.
    ///
    /// # Errors
    /// It gave no answer.
    pub fn whoever(&self) -> Result<Ran, VerifyError> {
        let words = ["check-novalidate", "-n", "git"].map(OsStr::new);
        self.run(&words, self.payload)
    }

    fn run(&self, words: &[&OsStr], input: &[u8]) -> Result<Ran, VerifyError> {
        let deadline = self.keygen.deadline;
        let mut command = Command::new(&self.keygen.program);
        command.arg("-Y").args(words);
        command.arg("-s").arg(self.signature.path());
        let mut pipe = Pipe::spawn(&command, deadline, ANSWER).map_err(|source| {
            let program = self.keygen.program.clone();
            VerifyError::Program { program, source }
        })?;
        // It may end before it has read all of it: how it ends is what counts.
        let _ = pipe.write_all(input);
        pipe.close_input();
        let mut stdout = Vec::new();
        let read = pipe.read_to_end(&mut stdout);
        match (pipe.cut(), read) {
            (Some(Cut::Deadline), _) => return Err(VerifyError::TimedOut { deadline }),
            (Some(Cut::Budget), _) => {
                let why = "it does not stop talking".to_owned();
                return Err(VerifyError::Unclear { why });
            }
            (None, Err(error)) => {
                let why = error.to_string();
                return Err(VerifyError::Unclear { why });
            }
            (None, Ok(_)) => {}
        }
        let words = pipe.last_words();
        if words.code.is_none() {
            let why = "it was ended by a signal".to_owned();
            return Err(VerifyError::Unclear { why });
        }
        Ok(Ran {
            code: words.code,
            stdout,
            stderr: words.stderr,
        })
    }
}
