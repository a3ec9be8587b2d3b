//! Syncs the file system, at the end of a checkout and, if the tree is large, from time to time while it is written.
//! The disk then works while files are hashed, and less is left to be written at the end: a sync of everything at once
//! would also be waited for by each `fsync` of another program.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use nix::errno::Errno;

/// Bytes that are written from one sync to the next. A sync writes what other programs have changed as well, so that
/// many would cost them more than they gain.
const EACH: u64 = 64 << 20;

/// Counts the bytes of the files that are complete, and has the file system synced each time that [`EACH`] more are.
pub(super) struct Written {
    bytes: AtomicU64,
    due: SyncSender<()>,
}

impl Written {
    /// Counts a file of `bytes` bytes.
    pub(super) fn add(&self, bytes: u64) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before / EACH != before.saturating_add(bytes) / EACH {
            // Fails while a sync is waiting to be made, which then counts for both, and where there is none (`sync_along`).
            let _ = self.due.try_send(());
        }
    }
}

/// Runs `write`, which writes `total` bytes, and calls `sync` after it and, if there is as much as [`EACH`], meanwhile.
///
/// # Errors
/// Those of `write`. The error of a sync, converted by `failed`: of an early one as well, since the kernel tells a
/// file system's write error to one sync only.
pub(super) fn sync_along<T, E>(
    total: u64,
    sync: impl Fn() -> Result<(), Errno> + Sync,
    failed: impl FnOnce(Errno) -> E,
    write: impl FnOnce(&Written) -> Result<T, E>,
) -> Result<T, E> {
    let (due, syncs) = sync_channel(1);
    let written = Written {
        bytes: AtomicU64::new(0),
        due,
    };
    let trouble = OnceLock::new();
    let done = std::thread::scope(|scope| {
        if total >= EACH {
            scope.spawn(|| {
                if let Err(error) = syncs.into_iter().try_for_each(|()| sync()) {
                    let _ = trouble.set(error);
                }
            });
        }
        let done = write(&written);
        // The thread ends when nothing can be due any more.
        drop(written);
        done
    })?;
    let synced = trouble.into_inner().map_or_else(sync, Err);
    synced.map_err(failed)?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::{Duration, Instant};

    use super::*;

    /// Writes these files, waits for each early sync that is due, and counts the syncs; the sync of this number fails.
    fn syncs(files: &[u64], fails: Option<usize>) -> (usize, Result<(), Errno>) {
        let count = AtomicUsize::new(0);
        let sync = || match count.fetch_add(1, Ordering::SeqCst) + 1 {
            now if Some(now) == fails => Err(Errno::EIO),
            _ => Ok(()),
        };
        let write = |written: &Written| {
            let (mut bytes, mut due) = (0, 0);
            for file in files {
                due += usize::from(bytes / EACH != (bytes + file) / EACH);
                bytes += file;
                written.add(*file);
                let ended = |made| made >= due || fails.is_some_and(|fails| made >= fails);
                let given_up = Instant::now() + Duration::from_secs(30);
                while !ended(count.load(Ordering::SeqCst)) && Instant::now() < given_up {
                    std::thread::yield_now();
                }
            }
            Ok(())
        };
        let done = sync_along(files.iter().sum(), sync, |error| error, write);
        (count.into_inner(), done)
    }

    #[test]
    fn a_small_tree_is_synced_once_and_a_large_one_meanwhile() {
        assert_eq!(syncs(&[], None), (1, Ok(())));
        assert_eq!(syncs(&[EACH / 2, EACH / 2 - 1], None), (1, Ok(())));
        assert_eq!(syncs(&[EACH / 2, EACH / 2], None), (2, Ok(())));
        assert_eq!(syncs(&[EACH - 1, 1, 1, EACH, 5], None), (3, Ok(())));
        assert_eq!(syncs(&[5 * EACH], None), (2, Ok(())));
    }

    #[test]
    fn a_sync_that_fails_fails_the_checkout_whenever_it_was_made() {
        let files = [EACH, EACH, 1];
        for at in 1..=3 {
            assert_eq!(syncs(&files, Some(at)).1, Err(Errno::EIO), "sync {at}");
        }
        assert_eq!(syncs(&files, Some(4)), (3, Ok(())));
    }

    #[test]
    fn what_was_not_written_is_not_synced_at_the_end() {
        let sync = || Err(Errno::EIO);
        let failed = sync_along(1, sync, |error| error, |_| Err::<(), _>(Errno::ENOSPC));
        assert_eq!(failed, Err(Errno::ENOSPC));
    }
}
