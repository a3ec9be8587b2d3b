//! A lab with both packages installed and a git server in it: where the suites begin.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result, ensure};

use crate::forge::Forge;
use crate::lab::{Lab, Output};

/// Names the directory of the packages under test.
pub const DEBS: &str = "PP_DEBS";

/// Names a directory of packages that were built from an earlier revision, to be upgraded.
pub const OLD_DEBS: &str = "PP_OLD_DEBS";

/// The packages that every host has.
const PACKAGES: [&str; 2] = ["pp-restarter", "pp-fetcher"];

/// Ports of apps begin here, as in the old way's example.
const FIRST_PORT: u16 = 8000;

/// The host.
#[derive(Debug)]
pub struct Host {
    lab: Lab,
    forge: Forge,
    port: AtomicU16,
}

impl AsRef<Lab> for Host {
    fn as_ref(&self) -> &Lab {
        &self.lab
    }
}

impl Host {
    /// Lets users with apps of their own reach the restarter, as pp-restarter(8) says: its socket is pp-callers'.
    ///
    /// # Errors
    /// systemd does not take it.
    pub fn open_restarter_to_callers(&self) -> Result<()> {
        self.lab.sh(
            "mkdir -p /etc/systemd/system/pp-restarter.socket.d
             cp /usr/share/doc/pp-restarter/examples/users/pp-restarter.socket.d/callers.conf /etc/systemd/system/pp-restarter.socket.d/
             systemctl daemon-reload; systemctl restart pp-restarter.socket",
        )?;
        Ok(())
    }
}

/// The packages of the directory that [`DEBS`] names.
///
/// # Errors
/// It is not set, or does not hold both packages once each.
pub fn debs() -> Result<Vec<PathBuf>> {
    let dir = std::env::var_os(DEBS)
        .with_context(|| format!("{DEBS} does not name a directory of packages"))?;
    debs_in(Path::new(&dir), &PACKAGES)
}

/// The package of those who are told, which is for the suites that want it.
///
/// # Errors
/// Those of [`debs`].
pub fn notify_deb() -> Result<Vec<PathBuf>> {
    let dir = std::env::var_os(DEBS)
        .with_context(|| format!("{DEBS} does not name a directory of packages"))?;
    debs_in(Path::new(&dir), &["pp-notify"])
}

/// Packages of an earlier revision, where [`OLD_DEBS`] names a directory of them; else those under test.
///
/// # Errors
/// Those of [`debs`].
pub fn older_debs() -> Result<Vec<PathBuf>> {
    match std::env::var_os(OLD_DEBS) {
        Some(dir) => debs_in(Path::new(&dir), &PACKAGES),
        None => debs(),
    }
}

fn debs_in(dir: &Path, packages: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for package in packages {
        let mut debs = Vec::new();
        for entry in
            std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?
        {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let is_deb = path.extension().is_some_and(|e| e == "deb");
            if is_deb && name.starts_with(&format!("{package}_")) {
                debs.push(path);
            }
        }
        ensure!(
            debs.len() == 1,
            "{} holds {} packages {package}_*.deb instead of one (packaging/build.sh makes them)",
            dir.display(),
            debs.len()
        );
        found.append(&mut debs);
    }
    Ok(found)
}

impl Host {
    /// Boots a host, installs the packages and sets up the git server. The fetcher's service is
    /// stopped, so that nothing is polled but by the test itself.
    ///
    /// # Errors
    /// Any of it failed.
    pub fn start() -> Result<Self> {
        Self::start_with(&debs()?)
    }

    /// The same with these packages.
    ///
    /// # Errors
    /// Those of [`Host::start`].
    pub fn start_with(debs: &[PathBuf]) -> Result<Self> {
        let lab = Lab::boot()?;
        lab.install(debs)?;
        lab.cmd([
            "systemctl",
            "disable",
            "--now",
            "--quiet",
            "pp-fetcher.service",
        ])
        .ok()?;
        let forge = Forge::start(&lab)?;
        Ok(Self {
            lab,
            forge,
            port: AtomicU16::new(FIRST_PORT),
        })
    }

    /// The booted machine.
    #[must_use]
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Its git server.
    #[must_use]
    pub fn forge(&self) -> &Forge {
        &self.forge
    }

    /// A port of the loopback that no other app has.
    pub(crate) fn next_port(&self) -> u16 {
        self.port.fetch_add(1, Ordering::Relaxed)
    }

    /// Writes a policy file and lets the restarter read it, as an administrator does.
    ///
    /// # Errors
    /// The file could not be written, or the restarter refuses the policy.
    pub fn policy(&self, name: &str, toml: &str) -> Result<()> {
        let path = format!("/etc/pp-restarter/policy.d/{name}.toml");
        self.lab.write(&path, toml.as_bytes(), 0o644, "root:root")?;
        self.lab.cmd(["pp-restarter", "--check"]).ok()?;
        self.empty_limits()
    }

    /// Takes a policy file away.
    ///
    /// # Errors
    /// There is none.
    pub fn no_policy(&self, name: &str) -> Result<()> {
        self.lab
            .cmd(["rm", &format!("/etc/pp-restarter/policy.d/{name}.toml")])
            .ok()?;
        self.empty_limits()
    }

    /// The restarter's answer to gunicorn, who asks for a restart of `unit`, as JSON.
    ///
    /// # Errors
    /// The client could not be run.
    pub fn ask(&self, unit: &str) -> Result<Output> {
        let gunicorn = self.lab.as_user("gunicorn");
        gunicorn.cmd(["pp-restart", "--json", unit]).output()
    }

    /// The restarter sees a new policy by itself; its limits are emptied by root's stopping it.
    ///
    /// # Errors
    /// It could not be stopped.
    pub fn empty_limits(&self) -> Result<()> {
        self.lab
            .cmd(["systemctl", "stop", "pp-restarter.service"])
            .ok()?;
        Ok(())
    }
}
