//! `pp-restarter selftest`: shows what an attacker who runs code in either process could do. Only in test
//! builds.
//!
//! Both processes are started and contained as in the service. Then, instead of serving, each process tries
//! what such an attacker would try, and writes one line for each attempt to standard error:
//! `front open-file refused EPERM` or `front open-file ALLOWED`.

use std::fmt::Display;
use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::Command;

use caps::{CapSet, Capability};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::stat::{self, Mode, SFlag};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::{Gid, Pid, Uid, execv, getppid, setgid, setgroups, setuid};

use super::{Failure, USER, start_front};
use crate::sandbox;

/// Starts and contains both processes and makes the attempts in each. This process is the monitor.
///
/// # Errors
/// A process could not be started or contained.
pub fn monitor() -> Result<(), Failure> {
    let user = nix::unistd::User::from_name(USER)?.map_or("nobody", |_| USER);
    sandbox::privileges::prepare()?;
    let (mut ours, theirs) = UnixStream::pair()?;
    let socket = UnixListener::bind(format!("/run/pp-selftest-{}.sock", std::process::id()))?;
    std::fs::remove_file(format!("/run/pp-selftest-{}.sock", std::process::id()))?;
    let mut child = start_front("selftest-front", user, OwnedFd::from(socket), theirs)?;
    sandbox::monitor()?;
    // The front makes its attempts first, because it attacks this process, which must still be alive.
    let mut done = [0];
    ours.read_exact(&mut done)?;
    attempts("monitor", Pid::from_raw(i32::try_from(child.id())?));
    beyond_landlock("monitor");
    ours.write_all(&done)?;
    child.wait()?;
    Ok(())
}

/// Contains this process as the front and makes the attempts in it.
///
/// # Errors
/// The process could not be contained.
pub fn front() -> Result<(), Failure> {
    let monitor = getppid();
    let pair = UnixStream::from(std::os::fd::AsFd::as_fd(&std::io::stdout()).try_clone_to_owned()?);
    // Landlock first, alone: each layer must hold without the others.
    if let Some(lacking) = sandbox::files::none()? {
        eprintln!("front landlock lacking: {lacking}");
    }
    attempts("landlock", monitor);
    sandbox::front()?;
    attempts("front", monitor);
    beyond_landlock("front");
    (&pair).write_all(&[1])?;
    (&pair).read_exact(&mut [0])?;
    Ok(())
}

fn tell(who: &str, what: &str, error: Option<String>) {
    match error {
        Some(error) => eprintln!("{who} {what} refused {error}"),
        None => eprintln!("{who} {what} ALLOWED"),
    }
}

fn failed<T, E: Display>(result: Result<T, E>) -> Option<String> {
    result
        .err()
        .map(|error| error.to_string().replace('\n', " "))
}

/// Tries what Landlock forbids by itself: access to files, programs, TCP and the process `other`.
fn attempts(who: &str, other: Pid) {
    let tell = |what: &str, error: Option<String>| tell(who, what, error);
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    tell("open-file", failed(File::open("/etc/passwd")));
    tell("open-own-program", failed(File::open("/proc/self/exe")));
    tell("create-file", failed(File::create("/tmp/pp-selftest")));
    tell("list-directory", failed(std::fs::read_dir("/")));
    tell(
        "make-directory",
        failed(std::fs::create_dir("/tmp/pp-selftest.d")),
    );
    tell(
        "remove-file",
        failed(std::fs::remove_file("/tmp/pp-selftest")),
    );
    tell(
        "make-device",
        failed(stat::mknod(
            "/tmp/pp-null",
            SFlag::S_IFCHR,
            Mode::S_IRWXU,
            0x103,
        )),
    );
    tell(
        "change-mode",
        failed(std::fs::set_permissions("/etc/passwd", all)),
    );
    tell(
        "mount",
        failed(mount(
            None::<&str>,
            "/tmp",
            Some("tmpfs"),
            MsFlags::empty(),
            None::<&str>,
        )),
    );
    tell("chroot", failed(nix::unistd::chroot("/tmp")));
    tell("exec", failed(execv(c"/bin/true", &[c"true"])));
    tell("tcp", failed(TcpStream::connect("127.0.0.1:22")));
    tell(
        "listen",
        failed(UnixListener::bind("/tmp/pp-selftest.sock")),
    );
    tell("set-uid", failed(setuid(Uid::from_raw(0))));
    tell("set-gid", failed(setgid(Gid::from_raw(0))));
    tell("set-groups", failed(setgroups(&[Gid::from_raw(0)])));
    tell(
        "capability",
        failed(caps::raise(
            None,
            CapSet::Effective,
            Capability::CAP_SYS_ADMIN,
        )),
    );
    tell("signal-other", failed(kill(other, Some(Signal::SIGCONT))));
    tell("signal-init", failed(kill(Pid::from_raw(1), None)));
    tell("ptrace-other", failed(ptrace::attach(other)));
    let mut buffer = [0; 8];
    let base = 0x40_0000;
    let remote = RemoteIoVec {
        base,
        len: buffer.len(),
    };
    let read = process_vm_readv(other, &mut [IoSliceMut::new(&mut buffer)], &[remote]);
    tell("read-memory-of-other", failed(read));
    tell(
        "open-memory-of-other",
        failed(File::open(format!("/proc/{other}/mem"))),
    );
}

/// Tries what only seccomp forbids.
fn beyond_landlock(who: &str) {
    let tell = |what: &str, error: Option<String>| tell(who, what, error);
    tell("fork-and-exec", failed(Command::new("/bin/true").status()));
    tell("thread", failed(std::thread::Builder::new().spawn(|| ())));
    tell("user-namespace", failed(unshare(CloneFlags::CLONE_NEWUSER)));
    tell("udp", failed(UdpSocket::bind("127.0.0.1:0")));
    for (name, family) in [
        ("netlink", AddressFamily::Netlink),
        ("packet", AddressFamily::Packet),
        ("vsock", AddressFamily::Vsock),
    ] {
        let opened = socket(family, SockType::Raw, SockFlag::empty(), None);
        tell(name, failed(opened));
    }
    tell("unix-socket", failed(UnixDatagram::unbound()));
    tell(
        "system-bus",
        failed(UnixStream::connect("/run/dbus/system_bus_socket")),
    );
}
