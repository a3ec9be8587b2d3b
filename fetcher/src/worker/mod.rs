//! The parent's side of the git worker, the process in which data from outside is read by C code (`fetcher/worker`).
//!
//! A deploy has one worker, from the fetch to the last file, and another that tidies the mirror after a good
//! deploy; a poll that finds nothing new has none. The worker takes the pack into the mirror and hands out objects by their ids; it can write to the mirror and
//! nothing else, and it never sees a release. No answer of the worker is trusted: every object is hashed here,
//! texts are cleaned, lengths are bounded (`CONTAINMENT.md`).
//!
//! - [`channel`]: frames to and from the process. [`client`]: requests to the worker, and checks of its answers.
//! - [`objects`]: objects by their ids. [`transfer`]: sending a pack. [`mirror`]: making the mirror's directory and
//!   setting it aside.
//! - [`error`]: why a request failed.

pub(crate) mod channel;
mod client;
pub(crate) mod error;
pub(crate) mod mirror;
mod objects;
mod transfer;

use std::path::{Path, PathBuf};

#[cfg(test)]
pub(crate) use client::Tips;
pub(crate) use client::{Chain, Client};
pub(crate) use error::WorkerError;
pub(crate) use objects::{ObjectPiece, Objects};
pub(crate) use transfer::Transfer;

/// The file name of the worker's program.
const NAME: &str = "pp-git-worker";

/// Returns the path of the worker's program: below `lib` beside the directory of this program, as packaged
/// (`/usr/bin/pp-fetcher`, `/usr/lib/pp-fetcher/pp-git-worker`), or in this program's own directory, as built.
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
