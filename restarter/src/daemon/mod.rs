//! Starts the service: reads the policy, takes over systemd's socket, starts the fronts, gives up all rights
//! that are not needed any more, and serves.
//!
//! ```text
//! systemd ── fd 3 ──▶ pp-restarter (root)                    = the monitor
//!                      │ watches the policy's directory, reads the policy
//!                      │ starts itself again, three times, as user pp-restarter, with
//!                      │   fd 0 = the listening socket, fd 1 = its end of a socket pair
//!                      ├──▶ pp-restarter front               = the front, and two spare ones that wait
//!                      │ gives up capabilities, exec, fork; sends the policy to the first front
//!                      └ serves that front until it leaves; after a crash, serves the next front
//! ```

pub(crate) mod activation;
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
use pp_trusted::Refused;
use sd_notify::NotifyState;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use crate::monitor::Service;
use crate::monitor::bus::Systemd;
use crate::monitor::fronts::Fronts;
use crate::monitor::stored_limits::{self, StoredLimits};
use crate::monitor::watch::Watch;
use crate::pair::handover;
use crate::policy::files::{self, Loaded, PolicyDirectories};
use crate::policy::{Policy, names};
use crate::{audit, front, monitor, sandbox};

/// The user that the front runs as; the package creates it.
pub const USER: &str = "pp-restarter";

/// The error with which the program fails; its text is for the administrator.
pub type Failure = Box<dyn std::error::Error>;

/// How many fronts are started: one serves callers, and two wait to take its place if it crashes while a
/// restart is under way. With no restart under way, the next connection can simply start the service again.
const FRONTS: usize = 3;

/// Runs the service as the monitor, from its start to its end. Returns a sentence about what was wrong with
/// the policy, if anything was.
///
/// A policy that is refused does not end the service: the service stays, allows nobody anything and logs
/// why. If it ended, systemd would start it again for each connection until systemd gives up on the socket,
/// and then correcting the policy would not be enough.
///
/// # Errors
/// The service could not start, or the front failed.
pub fn monitor() -> Result<Option<String>, Failure> {
    let watch = Watch::arm().map_err(|error| {
        format!("changes of the policy cannot be seen ({error}): is fs.inotify.max_user_instances used up?")
    })?;
    let places = PolicyDirectories::with_policy(Path::new(files::DIRECTORY));
    let loaded = files::load(&places, &names::System);
    audit::open();
    let (policy, refused, wrong) = read(loaded);
    let listener = activation::listener()?;
    let limits = StoredLimits::open(Path::new(stored_limits::FILE), &policy).map_err(|error| {
        format!(
            "the limits cannot be kept in {}: {error}",
            stored_limits::FILE
        )
    })?;
    sandbox::privileges::prepare()?;
    let (mut children, mut pairs) = (Vec::new(), Vec::new());
    for _ in 0..FRONTS {
        let (ours, theirs) = UnixStream::pair()?;
        let listener = listener.try_clone()?.into();
        children.push(start_front("front", USER, listener, theirs)?);
        ours.set_nonblocking(true)?;
        pairs.push(ours);
    }
    let bytes = handover::encode(&policy, refused)?;
    // Before the sandbox is entered: the runtime and the signal handler open descriptors in ways that the
    // sandbox forbids.
    let runtime = runtime()?;
    let _context = runtime.enter();
    let mut terminate = signal(SignalKind::terminate())?;
    let pairs: Result<Vec<_>, _> = pairs
        .into_iter()
        .map(tokio::net::UnixStream::from_std)
        .collect();
    let service = Service::new(&policy, limits, Fronts::new(pairs?, bytes));
    sandbox::monitor()?;
    let status = wrong
        .clone()
        .unwrap_or_else(|| format!("{} units allowed", policy.units.len()));
    // Without NOTIFY_SOCKET (the program was not started by systemd) there is nobody to notify.
    let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
    let stop = async move {
        terminate.recv().await;
    };
    let served = runtime.block_on(monitor::serve(
        service,
        Arc::new(Systemd::default()),
        stop,
        watch,
    ));
    // After an error the monitor does not wait for the fronts: systemd ends them when this process has ended.
    served?;
    for mut child in children {
        child.wait()?;
    }
    Ok(wrong)
}

/// Logs what is wrong with the loaded policy. Returns the policy to serve, whether all of the policy's files
/// were refused, and a sentence about what is wrong, if anything is.
fn read(loaded: Result<Loaded, Refused>) -> (Policy, bool, Option<String>) {
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(problem) => {
            let text = format!("policy refused, nobody may do anything: {problem}");
            audit::alarm("policy", &text);
            return (Policy::default(), true, Some(text));
        }
    };
    for warning in &loaded.warnings {
        audit::alarm("policy", warning);
    }
    for problem in &loaded.left_out {
        let text = format!("nothing of this file is allowed, the other files hold: {problem}");
        audit::alarm("policy", &text);
    }
    let units = loaded.policy.units.len();
    let wrong = loaded.left_out.first().map(|problem| {
        let files = loaded.left_out.len();
        format!("{units} units allowed, {files} files of the policy left out: {problem}")
    });
    (loaded.policy, false, wrong)
}

/// Starts this program again, as the front. `/proc/self/exe` leads to the very file that this process runs,
/// even while a package is being upgraded.
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
    // Supplementary groups are dropped already (`prepare`); the standard library sets the gid, then the uid.
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

/// Runs the front, from its start to its end. Only [`monitor()`] starts this process: its standard input is
/// the listening socket, and its standard output is the front's end of the pair.
///
/// # Errors
/// The front could not be contained, or the monitor is gone.
pub fn front() -> Result<(), Failure> {
    sandbox::privileges::assert_unprivileged()?;
    let _ = prctl::set_name(c"pp-spare");
    audit::open();
    let listener = UnixListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    let pair = UnixStream::from(io::stdout().as_fd().try_clone_to_owned()?);
    let Ok(handed) = handover::receive(&pair) else {
        // The monitor has ended while this front waited to take the place of another.
        return Ok(());
    };
    let _ = prctl::set_name(c"pp-front");
    listener.set_nonblocking(true)?;
    pair.set_nonblocking(true)?;
    let runtime = runtime()?;
    let _context = runtime.enter();
    let pair = tokio::net::UnixStream::from_std(pair)?;
    if let Some(lacking) = sandbox::front()? {
        audit::alarm("sandbox", &lacking);
    }
    let settings = front::Settings::for_policy(&handed.0);
    let served = runtime.block_on(front::serve(listener, pair, handed, settings));
    Ok(served?)
}

/// Creates a runtime of one thread. The sandbox allows no further threads.
fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
