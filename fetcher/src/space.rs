//! Checks the room on a disk before files are written to it.
//!
//! The check is no guarantee: another process may fill the disk a moment later. It prevents a deploy that
//! would fail half-way, and leave the disk full for every other program.

use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};
use thiserror::Error;

use crate::mounts::{self, Mount};

/// The room that stays free in addition to what is needed: the app that is serving writes to the same disk.
const RESERVE: SpaceNeed = SpaceNeed {
    bytes: 32 << 20,
    inodes: 256,
};

/// The room that is needed for the files that are about to be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SpaceNeed {
    /// Bytes of content.
    pub bytes: u64,
    /// Files, links and directories.
    pub inodes: u64,
}

/// The error for a disk without enough room.
#[derive(Debug, Error)]
pub(crate) enum NoRoom {
    /// Too few bytes are free.
    #[error(
        "{} has {} MiB free and {} MiB are needed (32 MiB of them stay free): nothing was written\n  \
         make room, or deploy with a smaller `keep`",
        path.display(), free >> 20, (need >> 20) + 1
    )]
    Bytes {
        /// The path that was checked.
        path: PathBuf,
        /// The bytes that are needed, with the reserve.
        need: u64,
        /// The bytes that are free for this user.
        free: u64,
    },
    /// Too few inodes are free.
    #[error(
        "{} has {free} inodes free and {need} are needed (256 of them stay free): nothing was written\n  \
         there are very many small files on it: `df -i` and `du --inodes` show where",
        path.display()
    )]
    Inodes {
        /// The path that was checked.
        path: PathBuf,
        /// The inodes that are needed, with the reserve.
        need: u64,
        /// The inodes that are free for this user.
        free: u64,
    },
}

/// Checks that the file system of `path`, which exists, has room for `need` and the reserve.
///
/// # Errors
/// [`NoRoom`]. If the file system gives no figures, the check passes; the later write shows whether there is
/// room.
pub(crate) fn check(path: &Path, need: SpaceNeed) -> Result<(), NoRoom> {
    let Ok(stat) = statvfs(path) else {
        return Ok(());
    };
    let free = stat.blocks_available().saturating_mul(stat.fragment_size());
    let bytes = need.bytes.saturating_add(RESERVE.bytes);
    if free < bytes {
        return Err(NoRoom::Bytes {
            path: path.to_owned(),
            need: bytes,
            free,
        });
    }
    let inodes = need.inodes.saturating_add(RESERVE.inodes);
    // btrfs and others have no fixed number of inodes, and report a total of 0.
    if stat.files() > 0 && stat.files_available() < inodes {
        let free = stat.files_available();
        return Err(NoRoom::Inodes {
            path: path.to_owned(),
            need: inodes,
            free,
        });
    }
    Ok(())
}

/// Gives advice about an error of the disk itself: lines to print after the error of the operating system, or
/// nothing for other errors.
#[must_use]
pub(crate) fn advice(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error.kind() {
        StorageFull => {
            "\n  make room there: `df -h` and `df -i` show whether bytes or inodes are used up"
        }
        QuotaExceeded => "\n  the quota of the user that pp-fetcher runs as is used up",
        ReadOnlyFilesystem if in_a_unit() => {
            "\n  a service sees everything read-only but for the ReadWritePaths= of its unit: `systemctl edit \
             pp-fetcher`, there [Service] and ReadWritePaths= with the directory, then `systemctl restart pp-fetcher`"
        }
        ReadOnlyFilesystem => {
            "\n  that file system is mounted read-only: `dmesg` says whether the kernel did it after an error"
        }
        _ => "",
    }
}

/// Whether this process runs in a systemd unit, directly or as a child (systemd.exec(5)); cron and a login do
/// not pass this variable on.
#[must_use]
pub(crate) fn in_a_unit() -> bool {
    std::env::var_os("INVOCATION_ID").is_some()
}

/// Gives the reason why no user can write below `path`, which exists; `None` if it is not mounted read-only.
#[must_use]
pub(crate) fn read_only(path: &Path) -> Option<String> {
    let stat = statvfs(path).ok()?;
    if !stat.flags().contains(FsFlags::ST_RDONLY) {
        return None;
    }
    let shown = path.display();
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    Some(if is_read_only_mount_point(&mounts::all(), &real) {
        format!(
            "{shown} is read-only in here: the unit of this service lets it write to its ReadWritePaths= alone\n  \
             as root: systemctl edit pp-fetcher, there [Service] and ReadWritePaths={shown}, then systemctl restart \
             pp-fetcher; if the unit has that path already, it was made after the service had started, and the \
             restart alone does"
        )
    } else {
        format!(
            "{shown} is on a file system that is mounted read-only\n  `dmesg` says whether the kernel did it after an \
             error"
        )
    })
}

/// Whether the mount that `path` is on is read-only while its file system is not. Of two mounts at one point
/// the later one is in effect.
fn is_read_only_mount_point(mounts: &[Mount], path: &Path) -> bool {
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.point));
    let closest = above.max_by_key(|mount| mount.point.as_os_str().len());
    closest.is_some_and(|mount| mount.read_only_here)
}

/// Gives the error if there is less room on the disk of `path` than the reserve that always stays free.
#[must_use]
pub(crate) fn is_full(path: &Path) -> Option<NoRoom> {
    check(path, SpaceNeed::default()).err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_32_what_does_not_fit_is_told_with_figures() {
        let here = std::env::temp_dir();
        assert!(check(&here, SpaceNeed::default()).is_ok());
        let vast = check(
            &here,
            SpaceNeed {
                bytes: u64::MAX,
                inodes: 0,
            },
        )
        .unwrap_err()
        .to_string();
        assert!(
            vast.contains("MiB free") && vast.contains("nothing was written"),
            "{vast}"
        );
        if statvfs(&here).unwrap().files() > 0 {
            let many = check(
                &here,
                SpaceNeed {
                    bytes: 0,
                    inodes: u64::MAX,
                },
            )
            .unwrap_err()
            .to_string();
            assert!(many.contains("inodes free"), "{many}");
        }
    }
}
