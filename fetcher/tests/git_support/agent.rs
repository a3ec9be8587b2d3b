//! A real ssh-agent, for one test.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// An agent, until it is dropped.
pub struct Agent {
    pub socket: PathBuf,
    child: Child,
}

impl Agent {
    pub fn with(directory: &Path, keys: &[&Path]) -> Self {
        let socket = directory.join("agent.sock");
        let child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(5);
        // The socket is there a moment before anybody listens on it.
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < until, "the agent does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        for key in keys {
            let mut add = Command::new("ssh-add");
            add.arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket);
            assert!(add.status().unwrap().success());
        }
        Self { socket, child }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
