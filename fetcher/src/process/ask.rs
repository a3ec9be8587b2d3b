//! Runs a program once with an input and gives its output and exit code; with its own process group, a deadline.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::BytesMut;
use thiserror::Error;

use super::ending::{AbortReason, Exit};
use super::tied;

/// Most bytes of output that a program may write.
const ANSWER: u64 = 256 * 1024;

/// The result of a program that ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandOutput {
    /// The program's exit code.
    pub code: i32,
    /// The program's standard output.
    pub stdout: Vec<u8>,
    /// The program's standard error.
    pub stderr: Vec<u8>,
}

/// Why a program gave no result.
#[derive(Debug, Error)]
pub(crate) enum AskError {
    /// The program does not exist or cannot be run.
    #[error("{} cannot be run: {source}{}", program.display(), package(program))]
    Program {
        /// The program.
        program: PathBuf,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// The program did not end in time. Its whole process group was killed.
    #[error(
        "{} did not answer within {} s and was ended",
        program.display(),
        deadline.as_secs_f64()
    )]
    TimedOut {
        /// The program.
        program: PathBuf,
        /// The time that the program was given.
        deadline: Duration,
    },
    /// The program did not end as it should.
    #[error("{} gave no answer: {why}", program.display())]
    Unclear {
        /// The program.
        program: PathBuf,
        /// What the program did instead.
        why: String,
    },
}

/// Which of Debian's packages has the program, for those that a host may lack.
fn package(program: &Path) -> &'static str {
    match program.file_name().and_then(|name| name.to_str()) {
        Some("ssh" | "ssh-keygen") => "\n  install openssh-client",
        Some("git") => "\n  install git",
        _ => "",
    }
}

/// Runs `command` to its end with `input`. Of pp-fetcher's environment, only HOME and PATH reach the program.
///
/// # Errors
/// [`AskError`]; any exit code is a result, an end by a signal is an error.
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
    // The program may end before it has read all of the input: only its exit counts.
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
