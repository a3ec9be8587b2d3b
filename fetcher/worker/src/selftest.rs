//! `pp-git-worker selftest LAYERS PLACE PORT MIRROR`: shows what a break-in into a worker would get.
//! Only in test builds.
//!
//! The process is contained as a worker is, or by one layer alone, or not at all. Then, instead of serving, it
//! tries the actions that an attacker who runs code in the worker would try, and writes one line for
//! each attempt: `read-ssh-key refused Permission denied (os error 13)` or `read-ssh-key ALLOWED`.
//! The files that it tries to reach are a copy of a host's directories below PLACE, made by the test.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{IoSliceMut, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, ExitCode};

use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::stat::{self, Mode, SFlag};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::{Pid, Uid, chown, execv, getppid, mkfifo, setuid};

use crate::sandbox::{self, files, syscalls};

/// Contains this process as the arguments say, and tries every action.
#[must_use]
pub(crate) fn main(arguments: &[OsString]) -> ExitCode {
    let [layers, place, port, mirror] = arguments else {
        return ExitCode::from(2);
    };
    let mirror = Path::new(mirror);
    let entered = match layers.to_str() {
        Some("none") => Ok(None),
        Some("landlock") => sandbox::bare().and_then(|()| files::only(mirror)),
        Some("seccomp") => sandbox::bare().and_then(|()| syscalls::only_files().map(|()| None)),
        _ => sandbox::enter(mirror),
    };
    match entered {
        Ok(None) => {}
        Ok(Some(lacking)) => tell_line(&format!("lacking {lacking}\n")),
        Err(error) => {
            crate::print_error(&error.to_string());
            return ExitCode::from(3);
        }
    }
    let own = mirror.to_owned();
    let place = Path::new(place);
    allowed(place, &own);
    reading(place, &own);
    writing(place, &own);
    modes(place, &own);
    network(place, port.to_str().unwrap_or_default());
    processes(getppid());
    kernel(place);
    ExitCode::SUCCESS
}

fn tell<T, E: Display>(what: &str, result: Result<T, E>) {
    let line = match result {
        Ok(_) => format!("{what} ALLOWED\n"),
        Err(error) => format!("{what} refused {error}\n"),
    };
    tell_line(&line);
}

fn tell_line(line: &str) {
    let _ = std::io::stdout().write_all(line.as_bytes());
}

/// Tries the actions that the worker needs for its task, and others beside them.
fn allowed(place: &Path, own: &Path) {
    tell("own-write", fs::write(own.join("probe"), "x"));
    tell("own-read", fs::read(own.join("probe")));
    tell(
        "own-rename",
        fs::rename(own.join("probe"), own.join("probe2")),
    );
    tell("own-remove", fs::remove_file(own.join("probe2")));
    let mirror = place.join("state/todo/mirror.git");
    tell("read-mirror", fs::read(mirror.join("HEAD")));
    tell("write-mirror", fs::write(mirror.join("FETCH_HEAD"), "x"));
    let new = place.join("root/releases/.new-x");
    tell("write-new-release", fs::write(new.join("app.py"), "x"));
    tell("thread", std::thread::Builder::new().spawn(|| ()));
}

fn reading(place: &Path, own: &Path) {
    tell("read-ssh-key", fs::read(place.join("home/.ssh/id_ed25519")));
    tell("read-deploy-key", fs::read(place.join("keys/todo")));
    tell("read-passwd", fs::read("/etc/passwd"));
    tell("read-state", fs::read(place.join("state/todo/state.json")));
    tell("read-live", fs::read(place.join("root/current/app.py")));
    tell(
        "read-shared",
        fs::read(place.join("root/shared/db.sqlite3")),
    );
    tell(
        "read-other-app",
        fs::read(place.join("state/other/mirror.git/HEAD")),
    );
    tell("list-home", fs::read_dir(place.join("home")));
    tell("read-own-program", File::open("/proc/self/exe"));
    let link = own.join("link");
    let _ = symlink(place.join("keys/todo"), &link);
    tell("read-through-link", fs::read(&link));
    let _ = fs::remove_file(&link);
}

fn writing(place: &Path, own: &Path) {
    let live = place.join("root/releases/live/app.py");
    let state = place.join("state/todo/state.json");
    let open = |path: &Path| File::options().append(true).open(path);
    tell("write-live", open(&live));
    tell("write-state", open(&state));
    tell("write-shared", open(&place.join("root/shared/db.sqlite3")));
    tell(
        "write-authorized-keys",
        open(&place.join("home/.ssh/authorized_keys")),
    );
    let current = place.join("root/current");
    tell(
        "switch-current",
        fs::rename(&current, place.join("root/.current"))
            .and_then(|()| fs::rename(place.join("root/.current"), &current)),
    );
    tell(
        "create-release",
        fs::create_dir(place.join("root/releases/forged")),
    );
    tell(
        "create-beside-state",
        File::create(place.join("state/todo/forged")),
    );
    tell("create-tmp", File::create(place.join("tmp/forged")));
    tell(
        "remove-live",
        fs::remove_file(place.join("root/releases/live/spare")),
    );
    let _ = fs::write(own.join("probe"), "x");
    tell(
        "move-out",
        fs::rename(own.join("probe"), place.join("tmp/moved")),
    );
    tell(
        "link-key-in",
        fs::hard_link(place.join("keys/todo"), own.join("key")),
    );
    for name in ["probe", "key"] {
        let _ = fs::remove_file(own.join(name));
    }
}

fn modes(place: &Path, own: &Path) {
    let live = place.join("root/releases/live/app.py");
    let mode = |mode| fs::Permissions::from_mode(mode);
    tell("close-live", fs::set_permissions(&live, mode(0o600)));
    tell(
        "open-key",
        fs::set_permissions(place.join("keys/todo"), mode(0o644)),
    );
    let made = |name: &str, mode| {
        let made = File::options()
            .create_new(true)
            .write(true)
            .mode(mode)
            .open(own.join(name));
        let _ = fs::remove_file(own.join(name));
        made
    };
    tell("make-setuid", made("setuid", 0o4755));
    tell("make-setgid", made("setgid", 0o2755));
    let plain = File::create(own.join("plain"));
    let changed = plain.and_then(|file| file.set_permissions(mode(0o4755)));
    tell("turn-setuid", changed);
    let _ = fs::remove_file(own.join("plain"));
    tell(
        "chown-live",
        chown(&live, Some(nix::unistd::getuid()), None),
    );
    let set = File::open(&live).and_then(|file| file.set_modified(std::time::UNIX_EPOCH));
    tell("touch-live", set);
    tell("make-fifo", mkfifo(&own.join("fifo"), Mode::S_IRWXU));
    let null = stat::mknod(&own.join("null"), SFlag::S_IFCHR, Mode::S_IRWXU, 0x103);
    tell("make-device", null);
    for name in ["fifo", "null"] {
        let _ = fs::remove_file(own.join(name));
    }
}

fn network(place: &Path, port: &str) {
    tell(
        "tcp-connect",
        TcpStream::connect(format!("127.0.0.1:{port}")),
    );
    tell("tcp-listen", TcpListener::bind("127.0.0.1:0"));
    tell("udp", UdpSocket::bind("127.0.0.1:0"));
    tell(
        "restarter",
        UnixStream::connect(place.join("restarter.sock")),
    );
    tell(
        "unix-listen",
        UnixListener::bind(place.join("tmp/forged.sock")),
    );
    tell("unix-datagram", UnixDatagram::unbound());
    let raw = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::empty(),
        None,
    );
    tell("netlink", raw);
}

fn processes(parent: Pid) {
    tell("signal-parent", kill(parent, Some(Signal::SIGCONT)));
    tell("signal-init", kill(Pid::from_raw(1), None));
    // Seized without stopping the parent, as the parent waits for this process.
    tell(
        "trace-parent",
        ptrace::seize(parent, ptrace::Options::empty()),
    );
    let mut buffer = [0; 8];
    let remote = RemoteIoVec {
        base: 0x40_0000,
        len: buffer.len(),
    };
    // EFAULT only means that the address is not mapped; the test is whether the memory may be asked for.
    let read = process_vm_readv(parent, &mut [IoSliceMut::new(&mut buffer)], &[remote]);
    let read = read.or_else(|error| match error {
        nix::errno::Errno::EFAULT => Ok(0),
        other => Err(other),
    });
    tell("read-memory-of-parent", read);
    tell(
        "open-memory-of-parent",
        File::open(format!("/proc/{parent}/mem")),
    );
    tell(
        "read-environment-of-parent",
        fs::read(format!("/proc/{parent}/environ")),
    );
    tell("run-program", Command::new("/bin/true").status());
}

fn kernel(place: &Path) {
    let home = place.join("home");
    let flags = MsFlags::MS_BIND;
    let over = mount(
        Some(&place.join("tmp")),
        &home,
        None::<&str>,
        flags,
        None::<&str>,
    );
    tell("mount", over.and_then(|()| umount(&home)));
    tell("set-uid", setuid(Uid::from_raw(65534)));
    tell("user-namespace", unshare(CloneFlags::CLONE_NEWUSER));
    // This is the last attempt: if it is allowed, this program is replaced.
    tell("become-program", execv(c"/bin/true", &[c"true"]));
}
