//! Hosts on which the pages of `docs/` are followed: what a page takes for granted, and what somebody does at the forge.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::app::Django;
use crate::forge::{Forge, NAME, PORT};
use crate::host::debs;
use crate::lab::Lab;
use crate::old_way::OldWay;
use crate::wait::wait_until;

/// The forge, as the pages call it.
pub const FORGE: &str = "git.example.org";

/// The set-up of the app that most pages take for granted: the command of `docs/getting-started.md`.
const SETUP: &str = "pp-fetcher setup todo --repository git@git.example.org:me/todo.git \
                     --gunicorn todo.wsgi --build deploy.sh --shared db.sqlite3 --shared media/ \
                     --nginx todo.example.org --host-key-fingerprint SHA256:…";

/// A host, with a forge in it.
#[derive(Debug)]
pub struct DocHost {
    lab: Lab,
    forge: Forge,
}

impl DocHost {
    /// Boots a host in the state that a page begins with: `new`, with the packages in root's home; `installed`;
    /// `deployed`, with the app `todo` live in its first version; `old way`, with `todo` deployed by a script from cron.
    ///
    /// # Errors
    /// Any step failed, or nobody knows that state.
    pub fn start(state: &str) -> Result<Self> {
        let lab = Lab::boot()?;
        lab.bring(&debs()?)?;
        let forge = Forge::start(&lab)?;
        // Under the name and at the port of an ordinary forge.
        lab.sh(&format!(
            "systemctl stop ssh.service ssh.socket 2>/dev/null || true
             echo '127.0.0.1 {FORGE}' >>/etc/hosts
             sed -i 's/^Port {PORT}$/Port {PORT}\\nPort 22/' /etc/forge/sshd_config
             systemctl restart forge.service; systemctl start nginx.service
             rm -rf /etc/pp-fetcher"
        ))?;
        let host = Self { lab, forge };
        host.prepare(state)?;
        Ok(host)
    }

    fn prepare(&self, state: &str) -> Result<()> {
        let install = "apt-get install -y -qq ./pp-restarter_*.deb ./pp-fetcher_*.deb";
        match state {
            "new" => self.repository("todo"),
            "installed" => {
                self.lab
                    .sh(&format!("cd /root; {install} >/dev/null 2>&1"))?;
                self.repository("todo")
            }
            "deployed" => {
                self.lab
                    .sh(&format!("cd /root; {install} >/dev/null 2>&1"))?;
                self.repository("todo")?;
                self.lab.sh(&self.as_here(SETUP)?)?;
                self.register("todo")?;
                // The service may be deploying it already.
                self.lab
                    .sh("pp-fetcher poll todo --wait && pp-fetcher history todo | grep -q good")?;
                Ok(())
            }
            "old way" => {
                self.lab
                    .sh(&format!("cd /root; {install} >/dev/null 2>&1"))?;
                self.lab.sh(&format!(
                    "ssh-keyscan -t ed25519 -p {PORT} {NAME} >/etc/pp-fetcher/known_hosts 2>/dev/null"
                ))?;
                let old = OldWay::set_up(&self.lab, &self.forge, "todo", 8000)?;
                old.as_on_their_servers()?;
                self.lab.sh(&format!("systemctl start {}", old.unit()))?;
                Ok(())
            }
            _ => bail!("nobody knows a host that is {state:?}"),
        }
    }

    /// The booted machine.
    #[must_use]
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Puts what is particular to this host into a text of a page: the fingerprint that the forge publishes at this moment.
    ///
    /// # Errors
    /// The forge's host key cannot be read.
    pub fn as_here(&self, text: &str) -> Result<String> {
        if !text.contains("SHA256:…") {
            return Ok(text.to_owned());
        }
        let published = self.forge.fingerprint(&self.lab)?;
        Ok(text.replace("SHA256:…", published.trim()))
    }

    /// Does what somebody does at the forge: `register APP`, `push APP VERSION`, `break APP` (a push that answers 500),
    /// `host-key` (it has another one from now on).
    ///
    /// # Errors
    /// It failed, or nobody knows it.
    pub fn at_the_forge(&self, what: &str) -> Result<()> {
        let words: Vec<_> = what.split(' ').collect();
        match words.as_slice() {
            ["register", app] => self.register(app),
            ["push", app, version] => {
                self.let_the_service_poll(app)?;
                let tree = Django::version(version).into();
                self.forge
                    .push(&self.lab, app, &tree, &format!("Version {version}"))?;
                Ok(())
            }
            ["break", app] => {
                self.let_the_service_poll(app)?;
                let tree = Django::version("broken").answering_500().into();
                self.forge.push(&self.lab, app, &tree, "A bad push")?;
                Ok(())
            }
            ["host-key"] => self.forge.change_host_key(&self.lab),
            _ => bail!("nobody knows how to {what:?} at the forge"),
        }
    }

    /// Has the service poll now, if it does: what is pushed afterwards is left to the page for the next minute.
    fn let_the_service_poll(&self, app: &str) -> Result<()> {
        let polls = format!(
            "systemctl is-active --quiet pp-fetcher && [ -e /etc/pp-fetcher/apps.d/{app}.toml ]"
        );
        if self.lab.cmd(["sh", "-c", &polls]).output()?.code != Some(0) {
            return Ok(());
        }
        let sessions = || -> Result<usize> {
            let log = self
                .lab
                .sh("journalctl --sync; journalctl -o cat -u forge.service")?;
            Ok(log.matches("Starting session").count())
        };
        let before = sessions()?;
        // The first poll comes within five seconds.
        self.lab.sh("systemctl reload pp-fetcher")?;
        wait_until("the service polls", Duration::from_secs(20), || {
            Ok((sessions()? > before).then_some(()))
        })?;
        self.lab.sh(&format!("pp-fetcher poll {app} --wait"))?;
        Ok(())
    }

    /// Makes an empty repository and pushes the first version.
    fn repository(&self, app: &str) -> Result<()> {
        self.forge.empty_repository(&self.lab, app)?;
        self.at_the_forge(&format!("push {app} v1"))
    }

    fn register(&self, app: &str) -> Result<()> {
        let key = self.lab.sh(&format!(
            "ssh-keygen -y -P '' -f /etc/pp-fetcher/keys/{app}"
        ))?;
        self.forge.register(&self.lab, app, key.trim())
    }
}
