//! Notices that the policy, or what it rests on, has changed on disk. The service then leaves in order, and
//! the next request starts it with what is there now: nobody has to remember a command, and no client's
//! word leads to it.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tokio::io::unix::AsyncFd;

use super::Changes;

/// Names that count in each directory; none: every name does.
const PLACES: [(&str, &[&str]); 3] = [
    ("/etc", &["passwd", "group", "subuid", "pp-restarter"]),
    ("/etc/pp-restarter", &["policy.d"]),
    ("/etc/pp-restarter/policy.d", &[]),
];

/// An armed watch. Armed before the policy is read, so that no change falls between.
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
    /// The same, for the event loop.
    ready: OnceCell<AsyncFd<OwnedFd>>,
    places: Vec<(WatchDescriptor, &'static [&'static str])>,
}

impl Watch {
    /// Arms it. A directory that is not there is seen to come by the one above it.
    ///
    /// # Errors
    /// The kernel has no watch left.
    pub fn arm() -> nix::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        // Not IN_MODIFY: a file counts when whoever writes it has closed it.
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
                // Not there, or no directory: loading says so.
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

    /// Whether a change of `name` in a watched directory counts. An event that is of no known directory says that
    /// some were lost.
    fn counts(&self, watch: WatchDescriptor, name: Option<&OsStr>) -> bool {
        let Some((_, names)) = self.places.iter().find(|(known, _)| *known == watch) else {
            return true;
        };
        // Without a name it is of the directory itself: its owner or mode.
        name.is_none_or(|name| names.is_empty() || names.iter().any(|known| name == *known))
    }
}

impl Changes for Watch {
    fn have_come(&self) -> bool {
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

    async fn come(&self) {
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
            // What is read by `have_come` now is all there is: the next event makes it ready again.
            Some(ready) => match ready.readable().await {
                Ok(mut guard) => guard.clear_ready(),
                Err(_) => std::future::pending().await,
            },
            // Then it is asked before each connection, and that must do.
            None => std::future::pending().await,
        }
    }
}
