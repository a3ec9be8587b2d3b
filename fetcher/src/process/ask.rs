//! One question to a program: input, answer, exit code; its own process group, a deadline.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bytes::BytesMut;
use thiserror::Error;

use super::ending::{AbortReason, Exit};
use super::tied;

/// Most bytes of an answer.
const ANSWER: u64 = 256 * 1024;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandOutput {
    /// Its exit code.
    pub code: i32,
    /// What it wrote.
    pub stdout: Vec<u8>,
    /// What it complained about.
    pub stderr: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum AskError {
    /// The program is not there or cannot be run.
    #[error("{} cannot be run: {source}\n  install openssh-client", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// It did not answer in time. Everything started for it was killed.
    #[error(
        "{} did not answer within {} s and was ended",
        program.display(),
        deadline.as_secs_f64()
    )]
    TimedOut {
        /// The program.
        program: PathBuf,
        /// Its time.
        deadline: Duration,
    },
    /// It did not end as it should.
    #[error("{} gave no answer: {why}", program.display())]
    Unclear {
        /// The program.
        program: PathBuf,
        /// What it did instead.
        why: String,
    },
}

/// Runs `command` to its end with `input`. Nothing of our environment reaches it but HOME and PATH.
///
/// # Errors
/// [`AskError`]; any exit code is an answer, an end by a signal is none.
pub(crate) fn ask(
    command: &Command,
    input: &[u8],
    deadline: Duration,
) -> Result<CommandOutput, AskError> {
    let program = || PathBuf::from(command.get_program());
    let unclear = |why: String| AskError::Unclear {
        program: program(),
        why,
    };
    let child = tied::spawn(command, deadline, ANSWER);
    let mut child = child.map_err(|source| AskError::Program {
        program: program(),
        source,
    })?;
    let mut stdout = BytesMut::new();
    // The program may end before it has read all of the input: how it ends is what counts.
    let _ = child.write_all(input, &mut stdout, usize::MAX);
    child.close_input();
    let read = loop {
        match child.read(&mut stdout) {
            Ok(0) => break Ok(()),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    match (child.abort_reason(), read) {
        (Some(AbortReason::Deadline), _) => {
            return Err(AskError::TimedOut {
                program: program(),
                deadline,
            });
        }
        (Some(AbortReason::Stopped), _) => {
            return Err(unclear("pp-fetcher was told to stop".to_owned()));
        }
        (Some(AbortReason::Budget), _) => {
            return Err(unclear("it does not stop talking".to_owned()));
        }
        (None, Err(error)) => return Err(unclear(error.to_string())),
        (None, Ok(())) => {}
    }
    let words = child.last_words();
    let code = match words.exit {
        Some(Exit::Code(code)) => code,
        Some(Exit::Signal(_)) => return Err(unclear("it was ended by a signal".to_owned())),
        None => {
            return Err(unclear(
                "it has closed its output and does not end".to_owned(),
            ));
        }
    };
    Ok(CommandOutput {
        code,
        stdout: stdout.to_vec(),
        stderr: words.stderr,
    })
}
