//! The running host: `systemd-nspawn`, its leader (the host's PID 1), and its end.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::cgroup::Cgroups;
use super::root::Root;
use super::run;
use crate::wait::wait_until;

/// Longest wait for the boot, and for the shutdown before it is ended by force.
const PATIENCE: Duration = Duration::from_secs(30);

/// `systemd-nspawn` of Debian 12 does not know these yet; a host of its own has them.
const LANDLOCK: &str = "landlock_create_ruleset landlock_add_rule landlock_restrict_self";

/// A machine; powered off when dropped.
#[derive(Debug)]
pub(super) struct Machine {
    nspawn: Child,
    leader: u32,
    // Removed after the processes in them have ended.
    _cgroups: Cgroups,
}

impl Machine {
    /// Boots `root` and waits until systemd is done with it.
    pub(super) fn start(root: &Root) -> Result<Self> {
        let log = root.dir().join("console");
        let console = File::create(&log)?;
        let cgroups = Cgroups::make(root.name());
        let nspawn = cgroups
            .command("systemd-nspawn")
            .args([
                "--quiet",
                "--boot",
                "--register=no",
                "--keep-unit",
                "--private-network",
            ])
            .arg(format!("--machine={}", root.name()))
            .arg(format!("--hostname={}", root.name()))
            .arg(format!("--system-call-filter={LANDLOCK}"))
            .arg("--directory")
            .arg(root.path())
            .stdin(Stdio::null())
            .stdout(console.try_clone()?)
            .stderr(console)
            .spawn()
            .context("cannot start systemd-nspawn")?;
        // From here on, dropping it ends what was started.
        let mut machine = Self {
            nspawn,
            leader: 0,
            _cgroups: cgroups,
        };
        std::fs::write(root.dir().join("nspawn"), identity(machine.nspawn.id())?)?;
        machine
            .boot()
            .with_context(|| format!("the console's end:\n{}", tail(&log, 30)))?;
        Ok(machine)
    }

    fn boot(&mut self) -> Result<()> {
        let id = self.nspawn.id();
        wait_until("the host boots", PATIENCE, || {
            // The first child only prepares the one that becomes the host's PID 1: look each time.
            let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
            let Some(child) = children.split_whitespace().next() else {
                return Ok(None);
            };
            self.leader = child.parse()?;
            run(self
                .enter()
                .args(["systemctl", "is-system-running", "--wait"]))
            .map(Some)
        })?;
        run(self.enter().args(["ip", "link", "set", "lo", "up"]))
    }

    /// The host's PID 1, as this machine numbers it.
    pub(super) fn leader(&self) -> u32 {
        self.leader
    }

    /// `nsenter` into the host, to be followed by a command.
    pub(super) fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.leader))
            .args(["--all", "--"]);
        command.stdin(Stdio::null());
        command
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.leader != 0 {
            let _ = run(self.enter().args(["systemctl", "poweroff"]));
        }
        let ended = wait_until("the host powers off", PATIENCE, || {
            Ok(self.nspawn.try_wait()?.map(|_| ()))
        });
        if ended.is_err() {
            let _ = self.nspawn.kill();
            let _ = self.nspawn.wait();
        }
    }
}

/// Ends the machine of a run that was killed, if its process is still the one it started.
pub(super) fn end_left_over(dir: &Path) {
    let Ok(written) = std::fs::read_to_string(dir.join("nspawn")) else {
        return;
    };
    let Some(pid) = written
        .split_whitespace()
        .next()
        .and_then(|pid| pid.parse::<u32>().ok())
    else {
        return;
    };
    let same = || identity(pid).is_ok_and(|now| now == written);
    if !same() {
        return;
    }
    let Ok(raw) = i32::try_from(pid) else { return };
    // The kernel ends the host with it: its PID 1 has asked to die with its parent.
    let _ = kill(Pid::from_raw(raw), Signal::SIGKILL);
    let _ = wait_until("it ends", PATIENCE, || Ok((!same()).then_some(())));
}

/// A process's pid and start time: together they are not given out twice.
fn identity(pid: u32) -> Result<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // proc(5): the name, in parentheses, may hold anything; the start time is field 22.
    let after_name = stat
        .rsplit_once(") ")
        .map(|(_, rest)| rest)
        .unwrap_or_default();
    let started = after_name
        .split(' ')
        .nth(19)
        .ok_or_else(|| anyhow!("no start time in {stat}"))?;
    Ok(format!("{pid} {started}"))
}

fn tail(path: &Path, lines: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
}
