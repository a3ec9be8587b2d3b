//! The error type of the configuration: which file is wrong, where in its text, and how to fix it.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// One mistake in one configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) struct ConfigError {
    /// The configuration file that has the mistake.
    pub path: PathBuf,
    /// Line and column of the mistake, counted from 1; `None` where it has no place in the text.
    pub position: Option<(usize, usize)>,
    /// What is wrong, as a message.
    pub what: String,
    /// What to write instead, printed on a line of its own.
    pub mend: Option<String>,
}

impl ConfigError {
    /// Makes an error for the file `path` without a position in its text.
    pub(crate) fn new(path: &Path, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            position: None,
            what: what.into(),
            mend: None,
        }
    }

    /// Adds the text that explains what to write instead.
    #[must_use]
    pub(crate) fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    /// Converts a TOML error: adds line and column and, for an unknown key, the nearest known key.
    #[must_use]
    pub(crate) fn from_toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let message = error.message().trim().to_owned();
        let mut names = backticked(&message);
        let (what, mend) = if message.starts_with("unknown field") && !names.is_empty() {
            let wrong = names.remove(0);
            let mend = super::keys::mend(&wrong, &names);
            (format!("unknown key `{wrong}`"), Some(mend))
        } else {
            (message.replacen("field", "key", 1), None)
        };
        let position = error.span().map(|span| position(text, span.start));
        Self {
            path: path.to_owned(),
            position,
            what,
            mend,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.what)?;
        self.mend
            .as_ref()
            .map_or(Ok(()), |mend| write!(f, "\n  {mend}"))
    }
}

/// Gives the line and the column, both counted from 1, of the byte offset `offset` in `text`.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (line, column)
}

fn backticked(message: &str) -> Vec<String> {
    message
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}
