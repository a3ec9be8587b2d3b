//! A real sshd on loopback, for one test. Host key, user key, known_hosts and ssh_config of its own.

use std::fs::{self, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::built::{built, built_worker};
use tempfile::TempDir;

/// Whom the program runs as where the tests are root's.
const NOBODY: u32 = 65534;

const PROGRAM: &str = "/usr/sbin/sshd";

pub struct Sshd {
    pub dir: TempDir,
    pub port: u16,
    child: Child,
}

impl Sshd {
    /// None, said loudly, where there is no sshd: such a run proves nothing of what it would test.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// With more kinds of host keys, in files named `host_KIND`.
    pub fn start_with(kinds: &[&str]) -> Option<Self> {
        Self::start_as(kinds, |_| String::new())
    }

    /// With what `more` adds to its configuration, knowing its directory. Of an option that is given
    /// twice, sshd takes the first, and what is added stands first.
    pub fn start_as(kinds: &[&str], more: impl FnOnce(&Path) -> String) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            eprintln!("SKIPPED: {PROGRAM} is missing; install openssh-server to run this test");
            return None;
        }
        // Where Debian's sshd keeps its empty directory; only root can and need make it.
        let _ = fs::create_dir_all("/run/sshd");
        // Whatever the umask (a test beside this may set it): sshd refuses a directory that others can write.
        let _ = fs::set_permissions("/run/sshd", Permissions::from_mode(0o755));
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        keygen(&at("host"));
        keygen(&at("user"));
        fs::copy(at("user.pub"), at("authorized_keys")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let first = more(dir.path());
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {host}\nAuthorizedKeysFile {keys}\n\
             StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\n\
             PasswordAuthentication no\nAcceptEnv GIT_PROTOCOL\n",
            host = at("host").display(),
            keys = at("authorized_keys").display(),
        );
        let kinds = kinds.iter().map(|kind| {
            let file = at(&format!("host_{kind}"));
            keygen_of(&file, kind);
            format!("HostKey {}\n", file.display())
        });
        let config = first + &config + &kinds.collect::<String>();
        fs::write(at("sshd_config"), config).unwrap();
        fs::write(
            at("ssh_config"),
            format!("Host forge\n  Hostname 127.0.0.1\n  Port {port}\n  Ciphers aes128-ctr\n"),
        )
        .unwrap();
        let child = run(dir.path(), port);
        let sshd = Self { dir, port, child };
        sshd.pin("host.pub");
        Some(sshd)
    }

    /// Starts it again after [`Self::stop`], at the same port.
    pub fn start_again(&mut self) {
        self.child = run(self.dir.path(), self.port);
    }

    /// The processes that serve connections; each may have another for its session.
    pub fn sessions(&self) -> Vec<i32> {
        let mut found = Vec::new();
        let mut parents = vec![i32::try_from(self.child.id()).unwrap()];
        while let Some(parent) = parents.pop() {
            let children = format!("/proc/{parent}/task/{parent}/children");
            let children = fs::read_to_string(children).unwrap_or_default();
            let children = children
                .split_whitespace()
                .map(|pid| pid.parse::<i32>().unwrap());
            for child in children {
                found.push(child);
                parents.push(child);
            }
        }
        found
    }

    /// Pins the public key in a file of our directory as this server's.
    pub fn pin(&self, public: &str) {
        let key = fs::read_to_string(self.at(public)).unwrap();
        let line = format!("[127.0.0.1]:{} {key}", self.port);
        fs::write(self.at("known_hosts"), line).unwrap();
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    /// The `[ssh]` table by which this server is reached, without its heading.
    pub fn table(&self) -> String {
        let at = |name: &str| self.at(name).display().to_string();
        format!(
            "identity = \"{}\"\nknown_hosts = \"{}\"\nconfig = \"{}\"\n",
            at("user"),
            at("known_hosts"),
            at("ssh_config")
        )
    }

    /// Ends it: its port is closed then.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The fingerprint of one of its public keys.
    pub fn fingerprint(&self, name: &str) -> String {
        fingerprint_of(&self.at(name))
    }

    pub fn new_key(&self, name: &str) {
        keygen(&self.at(name));
    }

    /// Has the program in our directory: a link where that is possible, and a copy by another process elsewhere:
    /// one that this one has open for writing while it forks could not be executed for a moment.
    fn have(&self, name: &str, program: &Path) {
        let here = self.at(name);
        if !here.exists() && fs::hard_link(program, &here).is_err() {
            let mut copy = Command::new("cp");
            assert!(copy.arg(program).arg(&here).status().unwrap().success());
        }
    }

    /// pp-fetcher, as somebody who is not root, whose the directory with the configuration is: root would not work
    /// with files that somebody else could have written.
    pub fn fetcher(&self) -> Command {
        for (name, program) in [
            ("pp-fetcher", built("pp-fetcher")),
            ("pp-git-worker", built_worker()),
        ] {
            self.have(name, &program);
        }
        let here = self.at("pp-fetcher");
        let mut command = Command::new(here);
        if nix::unistd::geteuid().is_root() {
            for name in ["", "etc", "etc/apps.d", "known_hosts", "ssh_config"] {
                let _ = std::os::unix::fs::chown(self.at(name), Some(NOBODY), Some(NOBODY));
            }
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }
}

/// Starts sshd, and waits until it listens.
fn run(dir: &Path, port: u16) -> Child {
    let child = Command::new(PROGRAM)
        .args(["-D", "-E"])
        .arg(dir.join("log"))
        .arg("-f")
        .arg(dir.join("sshd_config"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "sshd does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

pub fn keygen(path: &Path) {
    keygen_of(path, "ed25519");
}

fn keygen_of(path: &Path, kind: &str) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", "", "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

/// The fingerprint of a key, as ssh-keygen gives it.
pub fn fingerprint_of(key: &Path) -> String {
    let listed = Command::new("ssh-keygen").arg("-lf").arg(key).output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    listed.split(' ').nth(1).unwrap().to_owned()
}
