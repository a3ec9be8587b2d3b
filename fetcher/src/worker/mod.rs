//! The parent's side of the git worker: the process in which foreign data meets C (`fetcher/worker`).
//!
//! One worker for a deploy, from the fetch to the last file; none for a poll that finds nothing new. The
//! worker takes the pack into the mirror and hands out objects by their ids; it can write the mirror and
//! nothing else, and it never sees a release. Nothing that it says is believed: every object is hashed here,
//! texts are cleaned, lengths are bounded (`CONTAINMENT.md`).
//!
//! - [`channel`]: frames to and from the process. [`client`]: what is asked, and what is taken for an answer.
//! - [`objects`]: objects by their ids. [`transfer`]: a pack handed over. [`mirror`]: the directory of the mirror, made and set aside.
//! - [`error`]: why nothing came of it.

pub(crate) mod channel;
mod client;
pub(crate) mod error;
pub(crate) mod mirror;
mod objects;
mod transfer;

use std::path::{Path, PathBuf};

pub(crate) use client::Client;
pub(crate) use error::WorkerError;
pub(crate) use objects::{ObjectPiece, Objects};

/// The name of the worker's program.
const NAME: &str = "pp-git-worker";

/// Where the worker's program is: below `lib` beside the directory of this program, as the package has both
/// (`/usr/bin/pp-fetcher`, `/usr/lib/pp-fetcher/pp-git-worker`), or in the same directory, where they were built.
pub(crate) fn program() -> PathBuf {
    let ours = std::env::current_exe().unwrap_or_default();
    let here = ours.parent().unwrap_or(Path::new("/usr/bin"));
    let packaged = here
        .parent()
        .map(|above| above.join("lib/pp-fetcher").join(NAME));
    packaged
        .filter(|path| path.is_file())
        .unwrap_or_else(|| here.join(NAME))
}
