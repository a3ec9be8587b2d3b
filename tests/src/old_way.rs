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
        self.push_with(version, self.deploy_script())
    }

    /// Commits a version whose deploy script fails unless `file` is there.
    ///
    /// # Errors
    /// git failed.
    pub fn push_needing(&self, version: &str, file: &str) -> Result<String> {
        let deploy =
            self.deploy_script()
                .replacen("set -eu\n", &format!("set -eu\ntest -e {file}\n"), 1);
        self.push_with(version, deploy)
    }

    /// Puts key and aliases where they are on the servers of users, lets the apps' user trust the forge as a first
    /// login does, and lets cron run the poller.
    ///
    /// # Errors
    /// Any step failed.
    pub fn as_on_their_servers(&self) -> Result<()> {
        let name = &self.name;
        let agent = "/etc/ssh-agent-service";
        self.lab.sh(&format!(
            "install -d -m 755 {agent}; install -d -m 700 -o gunicorn {agent}/deploy-keys
             mv /etc/pp-fetcher/keys/{name} {agent}/deploy-keys/; rm /etc/pp-fetcher/keys/{name}.pub
             sed -n '/^Host github.com-repo-{name}$/,/IdentitiesOnly/p' /etc/pp-fetcher/ssh_config |
                 sed 's|/etc/pp-fetcher/keys|{agent}/deploy-keys|' >>{agent}/gunicorn_config
             install -d -m 700 -o gunicorn -g hosted_apps /var/lib/gunicorn/.ssh
             [ ! -e /etc/pp-fetcher/known_hosts ] ||
                 install -m 600 -o gunicorn /etc/pp-fetcher/known_hosts /var/lib/gunicorn/.ssh/
             rm -f /etc/pp-fetcher/known_hosts
             sed -i 's|-F [^ ]* -o UserKnownHostsFile=[^ \"]*|-F {agent}/gunicorn_config|' {poller}
             touch /var/log/git_poller.log; chown gunicorn:hosted_apps /var/log/git_poller.log
             echo '*/5 * * * * gunicorn {poller} >> /var/log/git_poller.log 2>> /var/log/git_poller.log' >>/etc/crontab",
            poller = self.poller()
        ))?;
        Ok(())
    }

    /// Lets systemd hold the listening socket, as the example's pair of units does.
    ///
    /// # Errors
    /// Any step failed.
    pub fn behind_a_socket(&self) -> Result<()> {
        let (name, port) = (&self.name, self.port);
        self.lab.sh(&format!(
            "cd /etc/systemd/system; systemctl stop gunicorn.{name}.service
             sed -i 's/--bind [^ ]* //; s/^\\[Unit\\]/[Unit]\\nRequires=gunicorn.{name}.socket/' gunicorn.{name}.service
             printf '[Socket]\\nListenStream=127.0.0.1:{port}\\nBacklog=2048\\n' >gunicorn.{name}.socket
             systemctl daemon-reload; systemctl start gunicorn.{name}.socket gunicorn.{name}.service"
        ))?;
        Ok(())
    }

    /// The steps of its deploy script without the restart: a build script of ours that does the same for the app `name`.
    #[must_use]
    pub fn build_script(name: &str) -> String {
        let steps = DEPLOY.lines().filter(|line| !line.starts_with("sudo "));
        let steps: String = steps.map(|line| format!("{line}\n")).collect();
        steps.replace("@APP@", name)
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

    fn deploy_script(&self) -> String {
        DEPLOY
            .replace("@APP@", &self.name)
            .replace("@UNIT@", &self.unit())
    }

    fn push_with(&self, version: &str, deploy: String) -> Result<String> {
        let tree = Tree::from(Django::version(version)).program("deploy.sh", deploy);
        // In place, the database and what runs leaves behind lie in the tree.
        let tree = tree.file(".gitignore", "db.sqlite3\n__pycache__/\n");
        self.forge.push(self.lab, &self.name, &tree, version)
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
