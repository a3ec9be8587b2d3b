//! Starting the service: read the policy, take systemd's socket, start the front, give everything
//! up, serve.
//!
//! ```text
//! systemd ── fd 3 ──▶ pp-restarter (root)                    = the monitor
//!                      │ reads the policy
//!                      │ starts itself again as user pp-restarter, with
//!                      │   fd 0 = the listening socket, fd 1 = its end of a socket pair
//!                      ├──▶ pp-restarter front               = the front
//!                      │ sends it the policy, gives up capabilities, exec, fork
//!                      └ serves the front until it leaves
//! ```

pub mod activation;
#[cfg(feature = "selftest")]
pub mod selftest;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use nix::sys::prctl;
use nix::unistd::User;
use sd_notify::NotifyState;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use crate::monitor::bus::Systemd;
use crate::pair::handover;
use crate::policy::files::{self, Trust};
use crate::policy::{Policy, names};
use crate::{audit, front, monitor, sandbox};

/// The user that the front runs as; the package creates it.
pub const USER: &str = "pp-restarter";

/// What the program fails with; the text is for the administrator.
pub type Failure = Box<dyn std::error::Error>;

/// The service, from its start to its end, as the monitor.
///
/// A policy that is refused does not end it: it stays, allows nobody anything and says why. Ending
/// would have systemd start it again for each connection until it gives up on the socket, and then mending
/// the policy would not be enough.
///
/// # Errors
/// It could not start, the front failed, or (at the very end) the policy was refused.
pub fn monitor() -> Result<(), Failure> {
    let loaded = files::load(
        &Trust::default(),
        Path::new(files::DIRECTORY),
        &names::System,
    );
    audit::open();
    let (policy, refused) = match loaded {
        Ok(loaded) => {
            loaded
                .warnings
                .iter()
                .for_each(|warning| audit::alarm("policy", warning));
            (loaded.policy, None)
        }
        Err(problem) => {
            let text = format!("policy refused, nobody may do anything: {problem}");
            audit::alarm("policy", &text);
            (Policy::default(), Some(text))
        }
    };
    let listener = activation::listener()?;
    sandbox::privileges::prepare()?;
    let (ours, theirs) = UnixStream::pair()?;
    let mut front = start_front("front", USER, listener.into(), theirs)?;
    handover::send(&ours, &policy, refused.is_some())?;
    ours.set_nonblocking(true)?;
    // Before the sandbox: both want descriptors that it no longer gives out.
    let runtime = runtime()?;
    let _context = runtime.enter();
    let mut terminate = signal(SignalKind::terminate())?;
    let pair = tokio::net::UnixStream::from_std(ours)?;
    sandbox::monitor()?;
    let status = refused
        .clone()
        .unwrap_or_else(|| format!("{} units allowed", policy.units.len()));
    // Without NOTIFY_SOCKET (not started by systemd) there is nobody to tell.
    let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
    let stop = async move {
        terminate.recv().await;
    };
    let served = runtime.block_on(monitor::serve(pair, &policy, Arc::new(Systemd), stop));
    let left = front.wait()?;
    served?;
    match refused {
        _ if !left.success() => Err(format!("the front failed: {left}").into()),
        Some(text) => Err(text.into()),
        None => Ok(()),
    }
}

/// This program again, as the front. The descriptor behind `/proc/self/exe` is this very file, even
/// while a package is being upgraded.
fn start_front(
    word: &str,
    user: &str,
    listener: OwnedFd,
    pair: UnixStream,
) -> Result<Child, Failure> {
    let found = User::from_name(user)?;
    let found =
        found.ok_or_else(|| format!("there is no user {user}: install the package again"))?;
    if found.uid.is_root() || found.gid.as_raw() == 0 {
        return Err(format!("user {user} is root").into());
    }
    // Supplementary groups are gone already; the standard library sets the gid, then the uid.
    let child = Command::new("/proc/self/exe")
        .arg0("pp-restarter")
        .arg(word)
        .env_clear()
        .current_dir("/")
        .gid(found.gid.as_raw())
        .uid(found.uid.as_raw())
        .stdin(Stdio::from(listener))
        .stdout(Stdio::from(OwnedFd::from(pair)))
        .spawn()
        .map_err(|error| format!("the front cannot be started: {error}"))?;
    Ok(child)
}

/// The front, from its start to its end. Started by [`monitor()`] alone: the listening socket is its
/// standard input, its end of the pair its standard output.
///
/// # Errors
/// It could not be contained, or the monitor is gone.
pub fn front() -> Result<(), Failure> {
    sandbox::privileges::assert_unprivileged()?;
    let _ = prctl::set_name(c"pp-front");
    audit::open();
    let listener = UnixListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    let pair = UnixStream::from(io::stdout().as_fd().try_clone_to_owned()?);
    let handed = handover::receive(&pair)?;
    listener.set_nonblocking(true)?;
    pair.set_nonblocking(true)?;
    let runtime = runtime()?;
    let _context = runtime.enter();
    let listener = tokio::net::UnixListener::from_std(listener)?;
    let pair = tokio::net::UnixStream::from_std(pair)?;
    if let Some(lacking) = sandbox::front()? {
        audit::alarm("sandbox", &lacking);
    }
    let settings = front::Settings::for_policy(&handed.0);
    let served = runtime.block_on(front::serve(listener, pair, handed, settings));
    Ok(served?)
}

/// One thread, and none to come.
fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
