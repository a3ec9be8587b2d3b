//! `pp-git-worker MIRROR`: the process in which data from outside is unpacked. Packs are indexed and read in Rust, by
//! gitoxide's gix-pack. libgit2, which is C, runs in this process and in no other: it keeps the refs, and makes one pack of
//! many.
//!
//! ```text
//!                    pp-fetcher (safe Rust)                             pp-git-worker (libgit2)
//!  forge ◀──ssh──▶ listing, wire protocol ──── pack, requests ────▶ stdin   index, hash, complete ──▶ mirror
//!                  keys, configuration, state
//!                  signatures, hashes   ◀───── answers, objects ─── stdout  read objects by id ◀───── mirror
//!  release ◀────── trees walked, files written
//! ```
//!
//! The worker takes packs into the mirror and hands out objects by their ids. It does nothing else: it never sees
//! a release, and with Landlock it can write only to the mirror. The worker is contained before it opens anything. It
//! ends when its pipe is closed or `pp-fetcher` dies; `pp-fetcher` kills it at a deadline. `tests/contained.rs` tries from
//! inside what a break-in into the worker would get, and `CONTAINMENT.md` lists it.
//!
//! - [`sandbox`]: the rights that the worker gives up. [`serve`]: its main loop. [`objects`]: reading objects by
//!   several threads. [`output`]: frames to the parent.
//! - [`mirror`]: the bare repository.

mod mirror;
mod objects;
mod output;
mod sandbox;
#[cfg(feature = "selftest")]
mod selftest;
mod serve;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use nix::sys::stat::{Mode, umask};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    #[cfg(feature = "selftest")]
    if std::env::args_os().nth(1).is_some_and(|a| a == "selftest") {
        return selftest::main(&arguments.skip(1).collect::<Vec<_>>());
    }
    let (Some(mirror), None) = (arguments.next().map(PathBuf::from), arguments.next()) else {
        print_error("this is for pp-fetcher itself to run");
        return ExitCode::from(2);
    };
    // The mirror belongs to the state: only its user may write to it.
    umask(Mode::from_bits_truncate(0o027));
    let lacking = match sandbox::enter(&mirror) {
        Ok(lacking) => lacking,
        Err(error) => {
            print_error(&format!("nothing was looked at: {error}"));
            return ExitCode::from(3);
        }
    };
    match serve::Worker::new().run(&mirror, lacking) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Prints a message to standard error, which the parent reads too.
fn print_error(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}
