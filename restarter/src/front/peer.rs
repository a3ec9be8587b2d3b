//! Who the kernel says is at the other end of a connection.
//!
//! `SO_PEERCRED` is fixed when the caller connects: effective ids. Supplementary groups are only in
//! `SO_PEERGROUPS`. Any error is a denial.

use nix::errno::Errno;
use nix::sys::socket::sockopt::{GetStruct, PeerCredentials};
use nix::sys::socket::{GetSockOpt, getsockopt};
use std::os::fd::AsFd;
use thiserror::Error;

use crate::policy::Caller;

/// Why nobody knows who the caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unknown {
    /// The kernel would not say.
    #[error("its credentials cannot be read ({0})")]
    Kernel(#[from] Errno),
    /// More supplementary groups than can be read here.
    #[error("it is in more than {MOST} supplementary groups")]
    TooManyGroups,
}

/// Most supplementary groups of a caller. A member of more is denied; the log says why, and so does the client.
pub const MOST: usize = pp_protocol::client::MOST_GROUPS;

/// The caller's credentials.
///
/// # Errors
/// [`Unknown`]: the caller is to be denied.
pub fn caller(stream: &impl AsFd) -> Result<Caller, Unknown> {
    let credentials = getsockopt(stream, PeerCredentials)?;
    Ok(Caller {
        uid: credentials.uid(),
        gid: credentials.gid(),
        groups: groups(stream)?,
        pid: credentials.pid(),
    })
}

/// Asks with room for 0, 1, 2, … groups. The kernel answers `ERANGE` as long as the room is too
/// small, so the first answer fills it exactly: nix insists on that, and no buffer of unknown
/// length has to be handled here.
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
