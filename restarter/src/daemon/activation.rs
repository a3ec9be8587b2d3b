//! The listening socket, which is systemd's: taken over, never made.

use std::env;
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;
use nix::sys::socket::{getsockopt, sockopt};
use thiserror::Error;

/// Why there is no socket to serve.
#[derive(Debug, Error)]
pub enum NotActivated {
    /// Started by hand, or by a unit without its socket.
    #[error("not started by its socket ({0}): run `systemctl start pp-restarter.socket`")]
    Environment(&'static str),
    /// Something else was handed over.
    #[error("descriptor 3 is not the listening stream socket of pp-restarter.socket: {0}")]
    Socket(String),
}

/// The one socket that systemd has handed over.
///
/// # Errors
/// [`NotActivated`]: there is none, there are several, or it is of the wrong kind.
pub fn listener() -> Result<UnixListener, NotActivated> {
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
    // This checks the family and the type.
    let listener = ListenFd::from_env().take_unix_listener(0);
    let listener = listener.map_err(|error| Socket(error.to_string()))?;
    let listener = listener.ok_or(Environment("there is no descriptor"))?;
    match getsockopt(&listener, sockopt::AcceptConn) {
        Ok(true) => Ok(listener),
        Ok(false) => Err(Socket("it does not listen (Accept=yes?)".to_owned())),
        Err(error) => Err(Socket(error.to_string())),
    }
}
