//! Commands inside of the host: who runs them, for how long at most, what came of them.

use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::Lab;

/// How long a command may take unless told otherwise.
const WITHIN: Duration = Duration::from_secs(60);

/// The search path of cron jobs and services, with the administrator's directories in front.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Changes to a user with all of the user's groups, and runs the rest of the line.
const AS_USER: &str =
    r#"u=$1; shift; exec setpriv --reuid "$u" --regid "$(id -g "$u")" --init-groups -- "$@""#;

/// Somebody who runs commands on the host.
#[derive(Debug, Clone, Copy)]
pub struct Account<'a> {
    lab: &'a Lab,
    name: &'a str,
}

impl<'a> Account<'a> {
    pub(super) fn new(lab: &'a Lab, name: &'a str) -> Self {
        Self { lab, name }
    }

    /// A command, to be run with [`Call::output`] or [`Call::ok`].
    #[must_use]
    pub fn cmd<I: Into<String>>(&self, argv: impl IntoIterator<Item = I>) -> Call<'a> {
        Call {
            lab: self.lab,
            user: self.name.to_owned(),
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            stdin: Vec::new(),
            within: WITHIN,
        }
    }

    /// Runs a shell script; gives back what it printed, without the last newline.
    ///
    /// # Errors
    /// It failed or took longer than 60 s.
    pub fn sh(&self, script: &str) -> Result<String> {
        self.cmd(["sh", "-euc", script]).ok()
    }
}

/// A command that has not been run yet.
#[derive(Debug)]
pub struct Call<'a> {
    lab: &'a Lab,
    user: String,
    argv: Vec<String>,
    env: Vec<(String, String)>,
    stdin: Vec<u8>,
    within: Duration,
}

/// What came of a command.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
    /// From its start to its end, entering the host (about 5 ms) included.
    pub took: Duration,
}

impl Output {
    /// What it printed, one JSON value.
    ///
    /// # Errors
    /// It printed something else.
    pub fn json(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(self.stdout.trim())?)
    }

    /// What it printed has all of these parts.
    ///
    /// # Panics
    /// If one of them is missing.
    pub fn says(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.stdout.contains(part), "{part}: {self}");
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => writeln!(f, "exit code {code} after {:?}", self.took)?,
            None => writeln!(f, "ended by a signal after {:?}", self.took)?,
        }
        write!(
            f,
            "stdout: {}\nstderr: {}",
            self.stdout.trim_end(),
            self.stderr.trim_end()
        )
    }
}

impl Call<'_> {
    /// More arguments.
    #[must_use]
    pub fn args<I: Into<String>>(mut self, more: impl IntoIterator<Item = I>) -> Self {
        self.argv.extend(more.into_iter().map(Into::into));
        self
    }

    /// A variable of its otherwise clean environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What it reads.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// How long it may take, instead of 60 s.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Runs it to its end, whatever that is.
    ///
    /// # Errors
    /// It could not be started, or was killed at its deadline; what it had printed is in the error.
    pub fn output(self) -> Result<Output> {
        let start = Instant::now();
        let mut child = self.spawn()?;
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        if let Some(mut stdin) = child.stdin.take() {
            let bytes = self.stdin.clone();
            // One that does not read all of it is free to do so.
            std::thread::spawn(move || stdin.write_all(&bytes));
        }
        let group = Pid::from_raw(i32::try_from(child.id())?);
        let (tell, told) = mpsc::channel();
        let waiter = std::thread::spawn(move || tell.send(child.wait()));
        let status = told.recv_timeout(self.within);
        let in_time = status.is_ok();
        if !in_time {
            let _ = killpg(group, Signal::SIGKILL);
        }
        let _ = waiter.join();
        let output = Output {
            code: status.ok().transpose()?.and_then(|status| status.code()),
            stdout: text(stdout, in_time)?,
            stderr: text(stderr, in_time)?,
            took: start.elapsed(),
        };
        ensure!(
            in_time,
            "{self} did not end within {:?}: {output}",
            self.within
        );
        Ok(output)
    }

    /// Runs it and demands exit code 0; gives back what it printed, without the last newline.
    ///
    /// # Errors
    /// Any other end; everything it printed is in the error.
    pub fn ok(self) -> Result<String> {
        let what = self.to_string();
        let output = self.output()?;
        if output.code != Some(0) {
            bail!("{what}: {output}");
        }
        Ok(output.stdout.trim_end_matches('\n').to_owned())
    }

    fn spawn(&self) -> Result<Child> {
        let mut command = self.lab.machine.enter();
        if self.user != "root" {
            command.args(["sh", "-c", AS_USER, "sh", &self.user]);
        }
        command
            .args(["env", "-i", "LANG=C.UTF-8"])
            .arg(format!("PATH={PATH}"));
        for (name, value) in &self.env {
            command.arg(format!("{name}={value}"));
        }
        command.args(&self.argv);
        // A group of its own, so that the deadline ends all of it.
        command.process_group(0).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
            .spawn()
            .with_context(|| format!("cannot run {self}"))
    }
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}", self.argv.join(" "), self.user)
    }
}

type Collected = mpsc::Receiver<Vec<u8>>;

fn collect(pipe: Option<impl Read + Send + 'static>) -> Collected {
    let (tell, told) = mpsc::channel();
    let _: JoinHandle<()> = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = tell.send(bytes);
    });
    told
}

/// A command that has ended may have left a child that holds its pipe: that is a fault of the
/// command, found here rather than by hanging.
fn text(told: Collected, in_time: bool) -> Result<String> {
    match told.recv_timeout(Duration::from_secs(5)) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(_) if in_time => Err(anyhow!(
            "the command ended and left a child that holds its output"
        )),
        Err(_) => Ok(String::new()),
    }
}
