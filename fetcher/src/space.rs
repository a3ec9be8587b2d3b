//! Room on the disk, looked at before anything is written there.
//!
//! The look is a courtesy, not a guarantee: somebody else may fill the disk a moment later. It turns a
//! deploy that would have failed half-way, with the disk full for everybody, into one that did not begin.

use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};
use thiserror::Error;

use crate::mounts::{self, Mount};

/// What is to stay free beside what is needed: the app that serves writes to the same disk.
const RESERVE: Need = Need {
    bytes: 32 << 20,
    inodes: 256,
};

/// What is about to be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Need {
    /// Bytes of content.
    pub bytes: u64,
    /// Files, links and directories.
    pub inodes: u64,
}

/// There is not enough room.
#[derive(Debug, Error)]
pub(crate) enum NoRoom {
    /// Bytes are short.
    #[error(
        "{} has {} MiB free and {} MiB are needed (32 MiB of them stay free): nothing was written\n  \
         make room, or deploy with a smaller `keep`",
        path.display(), free >> 20, (need >> 20) + 1
    )]
    Bytes {
        /// Where.
        path: PathBuf,
        /// What is needed, with the reserve.
        need: u64,
        /// What is free for us.
        free: u64,
    },
    /// Inodes are short.
    #[error(
        "{} has {free} inodes free and {need} are needed (256 of them stay free): nothing was written\n  \
         there are very many small files on it: `df -i` and `du --inodes` show where",
        path.display()
    )]
    Inodes {
        /// Where.
        path: PathBuf,
        /// What is needed, with the reserve.
        need: u64,
        /// What is free for us.
        free: u64,
    },
}

/// Whether the file system of `path`, which is there, has room for `need` and the reserve.
///
/// # Errors
/// [`NoRoom`]. A file system that cannot be asked is taken at its word when it is written to.
pub(crate) fn check(path: &Path, need: Need) -> Result<(), NoRoom> {
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
    // btrfs and others have no fixed number of inodes and say that there are none at all.
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

/// What to do about an error of the disk itself: lines to put after what the system said, or
/// nothing.
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

/// Whether systemd started us, or whoever started us, as a unit (systemd.exec(5)); cron and a login do not
/// hand this on.
#[must_use]
pub(crate) fn in_a_unit() -> bool {
    std::env::var_os("INVOCATION_ID").is_some()
}

/// Why nothing can be written below `path`, which is there, whoever asks; none if it is not mounted
/// read-only.
#[must_use]
pub(crate) fn read_only(path: &Path) -> Option<String> {
    let stat = statvfs(path).ok()?;
    if !stat.flags().contains(FsFlags::ST_RDONLY) {
        return None;
    }
    let shown = path.display();
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    Some(if for_us_alone(&mounts::all(), &real) {
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

/// Whether the mount that `path` is on is read-only while its file system is not. Of two mounts at one
/// point the later one is seen.
fn for_us_alone(mounts: &[Mount], path: &Path) -> bool {
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.point));
    let closest = above.max_by_key(|mount| mount.point.as_os_str().len());
    closest.is_some_and(|mount| mount.read_only_here)
}

/// Whether there is less room around `path` than is always to stay free.
#[must_use]
pub(crate) fn is_full(path: &Path) -> Option<NoRoom> {
    check(path, Need::default()).err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_32_what_does_not_fit_is_told_with_figures() {
        let here = std::env::temp_dir();
        assert!(check(&here, Need::default()).is_ok());
        let vast = check(
            &here,
            Need {
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
                Need {
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
