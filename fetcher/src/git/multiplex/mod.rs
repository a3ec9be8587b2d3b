//! One ssh connection for many conversations: a master connection of OpenSSH (ssh_config(5), ControlMaster) for each
//! destination that is asked often. Nearly all of the cost of a poll over ssh is the handshake.
//!
//! - [`destination`]: what two conversations must have in common to share a connection.
//! - [`files`]: the files that a connection depends on: once one changes, the connection is ended.
//! - [`master`]: the ssh process that holds the connection. [`keeper`]: the thread that starts these processes.
//! - [`slot`]: which of a destination's conversations go through its master, and when there is none for a while.
//! - [`program`]: a program at the server, run over a master without a process of ssh.
//!
//! A master is never needed. Where there is none, or the server allows no more sessions, a conversation takes a connection
//! of its own, by a process of ssh. One that fails over a master before its listing is whole is begun again so.
//!
//! Whoever can use the control socket can use the connection, with the right of its key at its server. The socket's
//! directory is this user's alone; who is this user can read the key as well.

mod destination;
mod files;
mod keeper;
mod master;
mod program;
mod slot;

use std::collections::HashMap;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

pub(crate) use destination::Destination;
use keeper::Keeper;
pub(crate) use program::{MOST_AHEAD, NotStarted, RemoteProgram};
use slot::Slot;
pub(crate) use slot::{IDLE, MasterNumber, Session};

use super::wire::CommandCapabilities;
use crate::util::sync::lock;
use crate::util::text::is_plain;

/// The longest path of a control socket, in bytes: a socket's address has 108, and ssh appends 17 for a moment.
const LONGEST_PATH: usize = 90;

/// The connections of this process.
#[derive(Debug)]
pub(crate) struct Connections {
    slots: HashMap<Destination, Arc<Mutex<Slot>>>,
    /// What the server of a repository, by its address, announced in the last conversation, if it spoke version 2 of
    /// git's protocol: so a request can be sent before the server has greeted. `None` where that has failed once.
    announced: Mutex<HashMap<String, Option<CommandCapabilities>>>,
    keeper: Keeper,
    /// The directory of the sockets. Only its end matters: then it is removed.
    _directory: TempDir,
}

impl Connections {
    /// Provides for connections to these destinations. None is opened before it is asked for.
    ///
    /// # Errors
    /// There is no directory for sockets, or no thread can be started.
    pub(crate) fn new(
        destinations: impl IntoIterator<Item = Destination>,
    ) -> io::Result<Arc<Self>> {
        let directory = directory()?;
        let of_slot = |(at, destination): (usize, Destination)| {
            let slot = Slot::new(directory.path().join(at.to_string()));
            (destination, Arc::new(Mutex::new(slot)))
        };
        let slots: HashMap<_, _> = destinations.into_iter().enumerate().map(of_slot).collect();
        let keeper = Keeper::start(slots.values().cloned().collect())?;
        Ok(Arc::new(Self {
            slots,
            announced: Mutex::default(),
            keeper,
            _directory: directory,
        }))
    }

    /// Gives a place for one conversation on the master connection to `destination`, which is opened if there is none.
    /// `None`: the conversation takes a connection of its own.
    pub(crate) fn session(&self, destination: &Destination) -> Option<Session> {
        let slot = self.slots.get(destination)?;
        Slot::session(slot, &|socket| {
            master::Master::start(destination, socket, &|ssh| self.keeper.spawn(ssh))
        })
    }

    /// Ends the master connection `failed` to `destination`, over which a conversation has failed.
    pub(crate) fn give_up(&self, destination: &Destination, failed: MasterNumber) {
        if let Some(slot) = self.slots.get(destination) {
            lock(slot).give_up(failed);
        }
    }

    /// What the server of the repository at `address` is expected to announce; `None` if nothing is known of it.
    pub(crate) fn announced(&self, address: &str) -> Option<CommandCapabilities> {
        lock(&self.announced).get(address).copied().flatten()
    }

    /// Keeps what the server of the repository at `address` has announced; `None`: it does not speak version 2.
    pub(crate) fn heard(&self, address: &str, capabilities: Option<CommandCapabilities>) {
        let mut announced = lock(&self.announced);
        match capabilities {
            // Where asking ahead has failed, nothing is asked ahead any more.
            _ if announced.get(address) == Some(&None) => {}
            Some(capabilities) => {
                announced.insert(address.to_owned(), Some(capabilities));
            }
            None => {
                announced.remove(address);
            }
        }
    }

    /// Keeps that a conversation has failed in which something was asked for before the server had greeted: a server may
    /// drop what comes so early, and wait.
    pub(crate) fn ask_never_ahead(&self, address: &str) {
        lock(&self.announced).insert(address.to_owned(), None);
    }

    /// Ends the master connection `old` to `destination`, so that the next conversation logs in anew.
    pub(crate) fn replace(&self, destination: &Destination, old: MasterNumber) {
        if let Some(slot) = self.slots.get(destination) {
            lock(slot).replace(old);
        }
    }

    /// The directory of the sockets.
    #[cfg(test)]
    pub(crate) fn directory(&self) -> &Path {
        self._directory.path()
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        for slot in self.slots.values() {
            lock(slot).end();
        }
        // After the masters: what the thread has started ends with it. The directory goes last.
        self.keeper.end();
    }
}

/// Makes the directory of the sockets, with mode 0700: in the service's runtime directory, or a temporary one.
fn directory() -> io::Result<TempDir> {
    let runtime = std::env::var("RUNTIME_DIRECTORY").ok();
    let runtime = runtime.and_then(|all| all.split(':').next().map(PathBuf::from));
    let above = runtime.filter(|path| path.is_absolute() && path.is_dir());
    let above = above.unwrap_or_else(std::env::temp_dir);
    let directory = tempfile::Builder::new()
        .prefix("ssh-")
        // Whatever the umask.
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(above)?;
    let longest = directory.path().join("100");
    if !is_plain(directory.path()) || longest.as_os_str().len() > LONGEST_PATH {
        return Err(io::Error::other("no directory with a short, plain path"));
    }
    Ok(directory)
}
