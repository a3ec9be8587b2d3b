//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// One mistake in one file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Line and column, counted from 1, where known.
    pub position: Option<(usize, usize)>,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub mend: Option<String>,
}

impl ConfigError {
    /// A mistake with no place in the file's text.
    pub(crate) fn new(path: &Path, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            position: None,
            what: what.into(),
            mend: None,
        }
    }

    /// Adds what would be right.
    #[must_use]
    pub(crate) fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    /// Turns a TOML error into one with line, column and, for an unknown key, the nearest known.
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

/// Line and column, counted from 1, of a byte offset.
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
