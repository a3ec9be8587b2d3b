//! Notices, by inotify, that the policy's files or the host's lists of users and groups have changed on disk.
//! The service then finishes what is under way and exits, and the next request starts it with the new files.
//! So no administrator has to remember a reload command, and no client can trigger a reload.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tokio::io::unix::AsyncFd;

use super::Changes;

/// The watched directories, and the names in each whose changes count. With an empty list, every name counts.
const PLACES: [(&str, &[&str]); 3] = [
    ("/etc", &["passwd", "group", "subuid", "pp-restarter"]),
    ("/etc/pp-restarter", &["policy.d"]),
    ("/etc/pp-restarter/policy.d", &[]),
];

/// An armed watch. It is armed before the policy is read, so that no change goes unnoticed in between.
#[derive(Debug)]
pub(crate) struct Watch {
    inotify: Inotify,
    /// A duplicate of the inotify descriptor, registered with the event loop.
    ready: OnceCell<AsyncFd<OwnedFd>>,
    places: Vec<(WatchDescriptor, &'static [&'static str])>,
}

impl Watch {
    /// Arms the watch. If a directory does not exist yet, the watch of its parent directory notices when it is
    /// created.
    ///
    /// # Errors
    /// The kernel has no inotify instance or watch left.
    pub(crate) fn arm() -> nix::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        // Not IN_MODIFY: a change of a file counts only when the writer has closed the file.
        let events = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_ONLYDIR
            | AddWatchFlags::IN_DONT_FOLLOW;
        let mut places = Vec::new();
        for (directory, names) in PLACES {
            match inotify.add_watch(Path::new(directory), events) {
                Ok(watch) => places.push((watch, names)),
                Err(Errno::ENOSPC) => return Err(Errno::ENOSPC),
                // The directory does not exist or is no directory: loading the policy reports that.
                Err(_) => {}
            }
        }
        let ready = OnceCell::new();
        Ok(Self {
            inotify,
            ready,
            places,
        })
    }

    /// Returns whether a change of `name` in a watched directory counts. An event of an unknown directory
    /// counts too: the kernel sends it when events were lost.
    fn counts(&self, watch: WatchDescriptor, name: Option<&OsStr>) -> bool {
        let Some((_, names)) = self.places.iter().find(|(known, _)| *known == watch) else {
            return true;
        };
        // An event without a name is about the directory itself, such as its owner or mode.
        name.is_none_or(|name| names.is_empty() || names.iter().any(|known| name == *known))
    }
}

impl Changes for Watch {
    fn are_there(&self) -> bool {
        let mut have = false;
        loop {
            match self.inotify.read_events() {
                Ok(events) => {
                    let counts =
                        |event: &InotifyEvent| self.counts(event.wd, event.name.as_deref());
                    have = have || events.iter().any(counts);
                }
                Err(error) => return have || error != Errno::EAGAIN,
            }
        }
    }

    async fn wait(&self) {
        #[allow(
            deprecated,
            reason = "unsound for a type that lies about its descriptor, which std's OwnedFd does not; its successor is unsafe"
        )]
        let ready =
            || -> std::io::Result<_> { AsyncFd::new(self.inotify.as_fd().try_clone_to_owned()?) };
        if self.ready.get().is_none()
            && let Ok(ready) = ready()
        {
            let _ = self.ready.set(ready);
        }
        match self.ready.get() {
            // The readiness can be cleared before `are_there` reads the events: that call reads all of them, and
            // the next event makes the descriptor ready again.
            Some(ready) => match ready.readable().await {
                Ok(mut guard) => guard.clear_ready(),
                Err(_) => std::future::pending().await,
            },
            // The descriptor could not be registered. The front's question before each connection still finds
            // every change.
            None => std::future::pending().await,
        }
    }
}
