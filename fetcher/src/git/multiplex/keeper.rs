//! The thread that starts masters, and ends those that nobody uses. The kernel ends a master when the thread that has
//! started it ends (`PR_SET_PDEATHSIG`), so that no master outlives pp-fetcher; the threads that poll end sooner.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::slot::Slot;
use crate::process::tied;
use crate::util::sync::lock;

/// The time between two looks for masters that nobody uses.
const SWEEP: Duration = Duration::from_secs(30);

/// A command, and where the started process is wanted.
type Order = Box<(Command, Sender<io::Result<Child>>)>;

/// The thread, as the others see it.
#[derive(Debug)]
pub(super) struct Keeper {
    orders: Mutex<Option<Sender<Order>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    /// Starts the thread, which looks after these slots.
    pub(super) fn start(slots: Vec<Arc<Mutex<Slot>>>) -> io::Result<Self> {
        let (orders, received) = channel();
        let thread = thread::Builder::new().name("ssh masters".into());
        let thread = thread.spawn(move || keep(&received, &slots))?;
        Ok(Self {
            orders: Mutex::new(Some(orders)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Has the thread start `command`.
    ///
    /// # Errors
    /// The kernel's error, or the thread has ended.
    pub(super) fn spawn(&self, command: Command) -> io::Result<Child> {
        let ended = || io::Error::other("no thread starts masters any more");
        let (answer, started) = channel();
        let orders = lock(&self.orders).clone();
        let order = Box::new((command, answer));
        orders
            .and_then(|to| to.send(order).ok())
            .ok_or_else(ended)?;
        started.recv().map_err(|_| ended())?
    }

    /// Ends the thread.
    pub(super) fn end(&self) {
        lock(&self.orders).take();
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

fn keep(orders: &Receiver<Order>, slots: &[Arc<Mutex<Slot>>]) {
    loop {
        match orders.recv_timeout(SWEEP) {
            Ok(order) => {
                let (command, answer) = *order;
                let _ = answer.send(tied::background(&command));
            }
            Err(RecvTimeoutError::Timeout) => {
                // A slot that is locked is in use.
                for mut slot in slots.iter().filter_map(|slot| slot.try_lock().ok()) {
                    slot.end_if_idle();
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
