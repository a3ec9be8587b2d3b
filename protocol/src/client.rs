//! A blocking client of the restarter. It checks the server's uid before it sends anything, so that no
//! other process can pose as the restarter.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use thiserror::Error;

use crate::codec::{self, CodecError};
use crate::message::{Ask, Grant, Reply, Request, Verb};
use crate::report::Report;
use crate::unit::UnitName;
use crate::{SOCKET, VERSION};

/// How long a client waits for the end of a restart by default: systemd's default time-outs for
/// stopping and for starting a unit (90 s each) and some room.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(200);

/// Largest number of supplementary groups that the restarter reads of a caller. A caller in more groups gets
/// the same denial as every other denied caller, which gives no reason. A client can find out this reason by
/// itself, with [`groups_beyond_reading`].
pub const MOST_GROUPS: usize = 64;

/// Returns the number of this process's supplementary groups, if it is greater than [`MOST_GROUPS`].
#[must_use]
pub fn groups_beyond_reading() -> Option<usize> {
    let groups = nix::unistd::getgroups().ok()?.len();
    (groups > MOST_GROUPS).then_some(groups)
}

/// Most entries that a client reads of a list, so that a faulty server cannot make it read forever.
const MAX_GRANTS: usize = 4096;

/// The restarter's answer to [`Client::act`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Not allowed.
    Denied,
    /// Not before this time has passed. Nothing was done.
    Busy(Duration),
    /// The request was carried out, or at least tried, with this result.
    Finished(Report),
}

/// Why the client has no valid answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nothing listens on the socket, or this process may not connect to it.
    #[error("cannot reach the restarter at {}: {source}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// The error that the kernel returned.
        source: std::io::Error,
    },
    /// The process that serves the socket runs as another user than expected (root). Nothing was sent.
    #[error("{} is served by uid {uid}, not by root: nothing was sent", path.display())]
    Untrusted {
        /// The socket.
        path: PathBuf,
        /// The uid of the process that serves the socket, as the kernel reports it.
        uid: u32,
    },
    /// No answer came in time. A restart that has begun goes on all the same.
    #[error("no answer from the restarter within {} s (what it has begun goes on)", .0.as_secs())]
    Timeout(Duration),
    /// The connection ended before the answer was complete: the restarter refused the message or stopped.
    #[error("the restarter closed the connection without an answer")]
    Closed,
    /// The connection broke.
    #[error("the connection to the restarter broke: {0}")]
    Io(#[source] std::io::Error),
    /// The answer is not a valid message of this protocol.
    #[error("the restarter's answer cannot be read: {0}")]
    Codec(#[from] CodecError),
    /// The answer is a valid message, but not one that can follow the request that was sent.
    #[error("the restarter answered something that was not asked")]
    Unexpected,
}

impl ClientError {
    /// Returns whether the request may have reached the restarter, so that its outcome is unknown.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        !matches!(self, Self::Unreachable { .. } | Self::Untrusted { .. })
    }
}

/// A client of the restarter: the path of the socket, the uid that must serve it, and how long to wait.
#[derive(Debug, Clone)]
pub struct Client {
    path: PathBuf,
    server_uid: u32,
    timeout: Duration,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            path: SOCKET.into(),
            server_uid: 0,
            timeout: DEFAULT_TIMEOUT,
        }
    }
}

impl Client {
    /// Creates a client of another socket than [`SOCKET`]; the server must still be root.
    #[must_use]
    pub fn at(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            ..Self::default()
        }
    }

    /// Sets the longest time for a whole request, from connecting to the end of the answer, in place of
    /// [`DEFAULT_TIMEOUT`].
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the uid that must serve the socket, in place of root: for tests that cannot run as root.
    #[must_use]
    pub fn served_by(mut self, uid: u32) -> Self {
        self.server_uid = uid;
        self
    }

    /// Asks the restarter to do `verb` to `unit` and waits for the outcome. Sends the request once and
    /// never again: a restart whose outcome is unknown must not become two restarts.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::outcome_unknown`] says whether the request may have been carried
    /// out all the same.
    pub fn act(&self, verb: Verb, unit: &UnitName) -> Result<Answer, ClientError> {
        let mut call = self.send(Ask::Act {
            verb,
            unit: unit.as_str().to_owned(),
        })?;
        match call.reply()? {
            Reply::Denied => Ok(Answer::Denied),
            Reply::Busy { retry_after_ms } => {
                Ok(Answer::Busy(Duration::from_millis(retry_after_ms)))
            }
            Reply::Finished(report) => Ok(Answer::Finished(report)),
            Reply::Grant(_) | Reply::End => Err(ClientError::Unexpected),
        }
    }

    /// Returns the list of what the caller may do; empty if the caller may do nothing.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn list(&self) -> Result<Vec<Grant>, ClientError> {
        let mut call = self.send(Ask::List)?;
        let mut grants = Vec::new();
        while grants.len() < MAX_GRANTS {
            match call.reply()? {
                Reply::Grant(grant) => grants.push(grant),
                Reply::End | Reply::Denied => return Ok(grants),
                Reply::Busy { .. } | Reply::Finished(_) => break,
            }
        }
        Err(ClientError::Unexpected)
    }

    fn send(&self, ask: Ask) -> Result<Call, ClientError> {
        let deadline = Instant::now() + self.timeout;
        let unreachable = |errno: Errno| ClientError::Unreachable {
            path: self.path.clone(),
            source: errno.into(),
        };
        let stream = self.connect().map_err(unreachable)?;
        let server = getsockopt(&stream, sockopt::PeerCredentials)
            .map_err(unreachable)?
            .uid();
        if server != self.server_uid {
            return Err(ClientError::Untrusted {
                path: self.path.clone(),
                uid: server,
            });
        }
        let payload = codec::encode_request(&Request {
            version: VERSION,
            ask,
        })?;
        let mut call = Call {
            stream,
            deadline,
            timeout: self.timeout,
            buffer: BytesMut::new(),
        };
        call.write(&codec::frame(payload)?)?;
        Ok(call)
    }

    /// Connects to the socket. `connect(2)` blocks while the server's backlog is full; the send time-out
    /// bounds that wait, so it is set before.
    fn connect(&self) -> nix::Result<UnixStream> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        let seconds = i64::try_from(self.timeout.as_secs().max(1)).unwrap_or(i64::MAX);
        setsockopt(&fd, sockopt::SendTimeout, &TimeVal::new(seconds, 0))?;
        connect(fd.as_raw_fd(), &UnixAddr::new(&self.path)?)?;
        Ok(fd.into())
    }
}

/// One request under way, on its own connection.
struct Call {
    stream: UnixStream,
    deadline: Instant,
    timeout: Duration,
    buffer: BytesMut,
}

impl Call {
    fn write(&mut self, frame: &[u8]) -> Result<(), ClientError> {
        self.stream
            .set_write_timeout(Some(self.left()?))
            .map_err(ClientError::Io)?;
        match self.stream.write_all(frame) {
            Ok(()) => Ok(()),
            // A restarter that answers `Busy` or `Denied` before it reads the request closes the connection,
            // so this write fails. The answer can still be read.
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            Err(e) => Err(self.broken(e)),
        }
    }

    fn reply(&mut self) -> Result<Reply, ClientError> {
        let mut framing = codec::framing();
        loop {
            if let Some(payload) = codec::unframe(&mut framing, &mut self.buffer)? {
                return Ok(codec::decode_reply(&payload)?);
            }
            let mut chunk = [0; codec::MAX_FRAME];
            self.stream
                .set_read_timeout(Some(self.left()?))
                .map_err(ClientError::Io)?;
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(ClientError::Closed),
                Ok(n) => self
                    .buffer
                    .extend_from_slice(chunk.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => {
                    return Err(ClientError::Closed);
                }
                Err(e) => return Err(self.broken(e)),
            }
        }
    }

    fn left(&self) -> Result<Duration, ClientError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Err(ClientError::Timeout(self.timeout))
        } else {
            Ok(left)
        }
    }

    fn broken(&self, error: std::io::Error) -> ClientError {
        use std::io::ErrorKind::{TimedOut, WouldBlock};
        match error.kind() {
            TimedOut | WouldBlock => ClientError::Timeout(self.timeout),
            _ => ClientError::Io(error),
        }
    }
}
