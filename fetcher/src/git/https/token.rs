//! The token for https: read from a file that is not open to everybody, and never shown (rule 33).

use std::fmt;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::header::HeaderValue;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::util::file;

/// Size limit of a token file in bytes; a token is one line of some hundred bytes at most.
const LONGEST: u64 = 4096;

/// The permission bits that let everybody read or replace the token.
const OTHERS: u32 = 0o006;

/// A secret token. Its memory is wiped when it is dropped, and its Debug output does not show it.
pub(crate) struct Token(Zeroizing<String>);

/// Why the token cannot be used.
#[derive(Debug, Error)]
pub(crate) enum TokenError {
    /// The token file cannot be opened or read.
    #[error(
        "the token file {} cannot be read: {source}; it must exist and be readable by the user pp-fetcher runs as",
        path.display()
    )]
    Unreadable {
        /// The token file.
        path: PathBuf,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// Everybody may read or write the token file.
    #[error(
        "the token file {0} is open to everybody (mode {mode:04o}) and is not used: chmod 600 {0}, and have a new token made at the forge if others use this host",
        path.display()
    )]
    Open {
        /// The token file.
        path: PathBuf,
        /// The file's permission bits.
        mode: u32,
    },
    /// The token file does not hold exactly one token.
    #[error("the token file {} {what}: write the token into it, on one line and nothing else", path.display())]
    Content {
        /// The token file.
        path: PathBuf,
        /// What is wrong with the file.
        what: &'static str,
    },
}

impl Token {
    /// Reads the token from the one line of the file `path`.
    ///
    /// # Errors
    /// [`TokenError`]; the content of the file is not repeated in the error.
    pub(crate) fn read(path: &Path) -> Result<Self, TokenError> {
        let unreadable = |source| TokenError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let content = |what| TokenError::Content {
            path: path.to_owned(),
            what,
        };
        let Some(file) = file::open_regular(path).map_err(unreadable)? else {
            return Err(content("is no regular file"));
        };
        let about = file.metadata().map_err(unreadable)?;
        let mode = about.permissions().mode() & 0o7777;
        if mode & OTHERS != 0 {
            return Err(TokenError::Open {
                path: path.to_owned(),
                mode,
            });
        }
        let mut text = Zeroizing::new(String::new());
        let read = file.take(LONGEST + 1).read_to_string(&mut text);
        match read {
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {
                return Err(content("holds bytes that no token has"));
            }
            read => read.map_err(unreadable)?,
        };
        if text.len() as u64 > LONGEST {
            return Err(content("is too large for a token"));
        }
        let line = text.trim_end_matches(['\n', '\r']);
        if line.trim().is_empty() {
            return Err(content("is empty"));
        }
        if line.contains(['\n', '\r']) {
            return Err(content("has more than one line"));
        }
        if !line.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(content(
                "holds blanks or other characters that no token has",
            ));
        }
        Ok(Self(Zeroizing::new(line.to_owned())))
    }

    /// Returns the token itself, for a header that is never printed.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns the value of the authorization header, marked as sensitive so that it is never printed.
    pub(super) fn header(&self, username: &str) -> Option<HeaderValue> {
        let pair = Zeroizing::new(format!("{username}:{}", *self.0));
        let basic = Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(&*pair)));
        let mut value = HeaderValue::from_str(&basic).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
