//! The listening socket. systemd creates it and hands it over; the restarter never creates a socket to listen on.

use std::env;
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;
use nix::sys::socket::{getsockopt, sockopt};
use thiserror::Error;

/// Why there is no socket to serve.
#[derive(Debug, Error)]
pub(crate) enum NotActivated {
    /// The program was started by hand, or by a unit without its socket.
    #[error("not started by its socket ({0}): run `systemctl start pp-restarter.socket`")]
    Environment(&'static str),
    /// The descriptor that was handed over is not a listening Unix stream socket.
    #[error("descriptor 3 is not the listening stream socket of pp-restarter.socket: {0}")]
    Socket(String),
}

/// Returns the one socket that systemd has handed over.
///
/// # Errors
/// [`NotActivated`]: systemd handed over no socket, several sockets, or one of the wrong kind.
pub(crate) fn listener() -> Result<UnixListener, NotActivated> {
    use NotActivated::{Environment, Socket};
    let is = |name, value: &str| env::var_os(name).is_some_and(|seen| seen == value);
    if !is("LISTEN_PID", &std::process::id().to_string()) {
        return Err(Environment("LISTEN_PID is not this process"));
    }
    if !is("LISTEN_FDS", "1") {
        return Err(Environment("LISTEN_FDS is not 1"));
    }
    if env::var_os("LISTEN_FDS_FIRST_FD").is_some() {
        return Err(Environment(
            "LISTEN_FDS_FIRST_FD is set, which systemd never does",
        ));
    }
    // `take_unix_listener` checks the socket's family and type.
    let listener = ListenFd::from_env().take_unix_listener(0);
    let listener = listener.map_err(|error| Socket(error.to_string()))?;
    let listener = listener.ok_or(Environment("there is no descriptor"))?;
    match getsockopt(&listener, sockopt::AcceptConn) {
        Ok(true) => Ok(listener),
        Ok(false) => Err(Socket("it does not listen (Accept=yes?)".to_owned())),
        Err(error) => Err(Socket(error.to_string())),
    }
}
