//! The makeshift that the project replaces, set up beside it: a shell poller, a checkout in place, a
//! sudoers rule. The peer that figures are compared with.

use anyhow::Result;

use crate::app::Django;
use crate::forge::{Forge, Tree};
use crate::lab::{Account, Call, Lab};

const POLLER: &str = include_str!("../fixtures/old-way/poll_git.sh");
const DEPLOY: &str = include_str!("../fixtures/old-way/deploy.sh");

/// A Django project deployed by the shell poller.
#[derive(Debug)]
pub struct OldWay<'a> {
    lab: &'a Lab,
    forge: &'a Forge,
    name: String,
    port: u16,
}

impl<'a> OldWay<'a> {
    /// Sets it up with a first version, checked out by hand as an administrator did, and starts it.
    ///
    /// # Errors
    /// Any step failed.
    pub fn set_up(lab: &'a Lab, forge: &'a Forge, name: &str, port: u16) -> Result<Self> {
        let old = Self {
            lab,
            forge,
            name: name.to_owned(),
            port,
        };
        let url = forge.repository(lab, name)?;
        old.push("v0")?;
        let unit = Django::UNIT
            .replace("/current", "")
            .replace("todo_django", name)
            .replace("127.0.0.1:8000", &format!("127.0.0.1:{port}"));
        lab.write(
            &format!("/etc/systemd/system/{}", old.unit()),
            unit.as_bytes(),
            0o644,
            "root:root",
        )?;
        let rule = format!(
            "%hosted_apps ALL = NOPASSWD: /bin/systemctl restart {}\n",
            old.unit()
        );
        lab.write(
            &format!("/etc/sudoers.d/{name}"),
            rule.as_bytes(),
            0o440,
            "root:root",
        )?;
        let poller = POLLER.replace("@APP@", name);
        lab.write(&old.poller(), poller.as_bytes(), 0o755, "root:root")?;
        let dir = old.dir();
        lab.sh(&format!(
            "install -d -m 2775 -o gunicorn -g hosted_apps {dir} /www/static/{name}"
        ))?;
        old.user().sh(&format!(
            "umask 002; cd {dir}
             git init -q -b main; git remote add origin {url}
             export GIT_SSH_COMMAND='ssh -F /etc/pp-fetcher/ssh_config -o UserKnownHostsFile=/etc/pp-fetcher/known_hosts'
             git fetch -q origin main; git merge -q origin/main"
        ))?;
        lab.cmd(["systemctl", "daemon-reload"]).ok()?;
        old.user().sh(&format!("cd {dir}; ./deploy.sh"))?;
        Ok(old)
    }

    /// Commits the project in this version.
    ///
    /// # Errors
    /// git failed.
    pub fn push(&self, version: &str) -> Result<String> {
        let deploy = DEPLOY
            .replace("@APP@", &self.name)
            .replace("@UNIT@", &self.unit());
        let tree = Tree::from(Django::version(version)).program("deploy.sh", deploy);
        // In place, the database and what runs leaves behind lie in the tree.
        let tree = tree.file(".gitignore", "db.sqlite3\n__pycache__/\n");
        self.forge.push(self.lab, &self.name, &tree, version)
    }

    /// The poller, as cron runs it.
    #[must_use]
    pub fn poll(&self) -> Call<'a> {
        self.user().cmd([self.poller()])
    }

    /// The unit that runs it.
    #[must_use]
    pub fn unit(&self) -> String {
        format!("gunicorn.{}.service", self.name)
    }

    /// Its port of the loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    fn user(&self) -> Account<'a> {
        self.lab.as_user("gunicorn")
    }

    fn dir(&self) -> String {
        format!("/var/www/projects/{}", self.name)
    }

    fn poller(&self) -> String {
        format!("/opt/git_pollers/{}/poll_git.sh", self.name)
    }
}
