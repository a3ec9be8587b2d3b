//! Authenticates the peer of a connection: asks the kernel for the peer's credentials.
//!
//! `SO_PEERCRED` holds the effective ids that the caller had when it connected. Supplementary groups are only
//! in `SO_PEERGROUPS`. After any error the caller is denied.

use nix::errno::Errno;
use nix::sys::socket::sockopt::{GetStruct, PeerCredentials};
use nix::sys::socket::{GetSockOpt, getsockopt};
use std::os::fd::AsFd;
use thiserror::Error;

use crate::policy::Caller;

/// Why the caller's credentials are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unknown {
    /// The kernel returned an error.
    #[error("its credentials cannot be read ({0})")]
    Kernel(#[from] Errno),
    /// The caller is in more than [`MOST`] supplementary groups.
    #[error("it is in more than {MOST} supplementary groups")]
    TooManyGroups,
}

/// Most supplementary groups of a caller. A caller in more groups is denied. The log names this reason; the
/// denial does not, but the client finds it out by itself.
pub const MOST: usize = pp_protocol::client::MOST_GROUPS;

/// Returns the credentials of the peer of `stream`.
///
/// # Errors
/// [`Unknown`]: the credentials cannot be read; the caller is to be denied.
pub fn caller(stream: &impl AsFd) -> Result<Caller, Unknown> {
    let credentials = getsockopt(stream, PeerCredentials)?;
    Ok(Caller {
        uid: credentials.uid(),
        gid: credentials.gid(),
        groups: groups(stream)?,
        pid: credentials.pid(),
    })
}

/// Returns the peer's supplementary groups. Asks the kernel with a buffer for 0, 1, 2, … groups. The kernel
/// answers `ERANGE` as long as the buffer is too small, so the first other answer fills the buffer exactly.
/// nix requires an exact size, and in this way no buffer of unknown length has to be handled here.
fn groups(stream: &impl AsFd) -> Result<Vec<u32>, Unknown> {
    macro_rules! ask {
        ($($n:literal)*) => { $({
            #[derive(Clone, Copy)]
            struct Groups;
            nix::getsockopt_impl!(Groups, libc::SOL_SOCKET, libc::SO_PEERGROUPS, [u32; $n], GetStruct<[u32; $n]>);
            match Groups.get(stream) {
                Ok(groups) => return Ok(groups.to_vec()),
                Err(Errno::ERANGE) => {}
                Err(error) => return Err(error.into()),
            }
        })* };
    }
    ask!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
    ask!(33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61);
    ask!(62 63 64);
    Err(Unknown::TooManyGroups)
}
