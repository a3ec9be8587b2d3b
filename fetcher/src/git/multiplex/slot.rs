//! The place of a destination's master: which conversations go through it, and when there is none for a while.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::master::Master;
use crate::util::sync::lock;

/// The time after which a connection that nobody uses is ended.
pub(crate) const IDLE: Duration = Duration::from_secs(180);

/// The most conversations at the same time over one connection. OpenSSH's server allows 10 (`MaxSessions`).
const MOST: usize = 8;

/// The time without a master after one that was of no use; doubled each time in a row, up to [`LONGEST_WITHOUT`].
const WITHOUT: Duration = Duration::from_secs(60);

/// The longest time without a master.
const LONGEST_WITHOUT: Duration = Duration::from_secs(900);

/// A master was of use if as many conversations went through it: the first pays for the connection.
const WORTH_IT: u32 = 2;

/// The place of one destination's master.
#[derive(Debug)]
pub(super) struct Slot {
    socket: PathBuf,
    master: Option<Master>,
    /// Which master it is, or was the last.
    number: MasterNumber,
    /// Conversations that go through the master now.
    under_way: Arc<AtomicUsize>,
    /// Conversations that have gone through this master.
    served: u32,
    used: Instant,
    /// Masters in a row that were of no use.
    useless: u32,
    not_before: Option<Instant>,
}

/// The number of a master among those of its destination.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MasterNumber(u64);

/// A conversation's place on a master connection.
#[derive(Debug)]
pub(crate) struct Session {
    socket: PathBuf,
    master: MasterNumber,
    under_way: Arc<AtomicUsize>,
}

impl Session {
    /// The control socket of the master.
    #[must_use]
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The master that the conversation goes through.
    #[must_use]
    pub(crate) fn master(&self) -> MasterNumber {
        self.master
    }

    /// Whether no other conversation goes through the master now.
    #[must_use]
    pub(crate) fn is_alone(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) == 1
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Slot {
    /// An empty place, whose masters are to be reached at `socket`.
    pub(super) fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            master: None,
            number: MasterNumber::default(),
            under_way: Arc::default(),
            served: 0,
            used: Instant::now(),
            useless: 0,
            not_before: None,
        }
    }

    /// Gives a place for a conversation. `start` opens a connection where there is none; who wants the same connection
    /// meanwhile waits for it.
    pub(super) fn session(
        slot: &Mutex<Self>,
        start: &dyn Fn(&Path) -> io::Result<Master>,
    ) -> Option<Session> {
        let mut slot = lock(slot);
        slot.look_at_master();
        if slot.master.is_none() {
            if slot.not_before.is_some_and(|time| Instant::now() < time) {
                return None;
            }
            match start(&slot.socket) {
                Ok(master) => slot.master = Some(master),
                Err(_) => {
                    slot.count_useless();
                    return None;
                }
            }
            slot.number.0 += 1;
            // Conversations may still go through the master before.
            slot.under_way = Arc::default();
            slot.served = 0;
        }
        if slot.under_way.load(Ordering::Relaxed) >= MOST {
            return None;
        }
        slot.under_way.fetch_add(1, Ordering::Relaxed);
        slot.served = slot.served.saturating_add(1);
        slot.used = Instant::now();
        Some(Session {
            socket: slot.socket.clone(),
            master: slot.number,
            under_way: Arc::clone(&slot.under_way),
        })
    }

    /// Ends a master that can no longer be used. One that has ended by itself after a single conversation was of no use:
    /// the server does not keep connections.
    fn look_at_master(&mut self) {
        let Some(master) = &mut self.master else {
            return;
        };
        let ended = master.has_ended();
        if !ended && master.is_as_it_was() {
            return;
        }
        self.master = None;
        if ended && self.served < WORTH_IT {
            self.count_useless();
        } else {
            self.useless = 0;
        }
    }

    fn count_useless(&mut self) {
        let wait = WITHOUT
            .saturating_mul(1 << self.useless.min(8))
            .min(LONGEST_WITHOUT);
        self.useless = self.useless.saturating_add(1);
        self.not_before = Some(Instant::now() + wait);
    }

    /// Ends the master `failed`, over which a conversation has failed; not one that has taken its place since.
    pub(super) fn give_up(&mut self, failed: MasterNumber) {
        if self.number == failed && self.master.take().is_some() {
            self.count_useless();
        }
    }

    /// Ends the master `old`, whose login is not what a login is now; not one that has taken its place since.
    pub(super) fn replace(&mut self, old: MasterNumber) {
        if self.number == old {
            self.end();
        }
    }

    /// Ends the master.
    pub(super) fn end(&mut self) {
        self.master = None;
    }

    /// Ends the master if nobody has used it for [`IDLE`].
    pub(super) fn end_if_idle(&mut self) {
        let idle = self.under_way.load(Ordering::Relaxed) == 0 && self.used.elapsed() > IDLE;
        if idle {
            self.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_there_is_none_for_a_while_and_then_longer() {
        let slot = Mutex::new(Slot::new("/nowhere".into()));
        let tried = std::cell::Cell::new(0);
        let fail = |_: &Path| {
            tried.set(tried.get() + 1);
            Err(io::Error::other("no server"))
        };
        for _ in 0..3 {
            assert!(Slot::session(&slot, &fail).is_none());
        }
        assert_eq!(tried.get(), 1, "no storm");
        let wait = |slot: &Mutex<Slot>| lock(slot).not_before.unwrap() - Instant::now();
        assert!(wait(&slot) <= WITHOUT && wait(&slot) > WITHOUT / 2);
        for _ in 0..20 {
            lock(&slot).count_useless();
        }
        assert!(wait(&slot) <= LONGEST_WITHOUT && wait(&slot) > LONGEST_WITHOUT / 2);
        lock(&slot).not_before = Some(Instant::now());
        assert!(Slot::session(&slot, &fail).is_none());
        assert_eq!(tried.get(), 2, "and then again");
    }
}
