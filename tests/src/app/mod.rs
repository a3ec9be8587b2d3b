//! Web apps on the host, set up as an administrator would, and what the fetcher says of them.

mod django;
mod perl;
mod report;

use std::cell::{Ref, RefCell};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

pub use django::Django;
pub use perl::Perl;
pub use report::{Attempt, History, Last, Live, Phase, Quarantined, Status};

use crate::forge::Tree;
use crate::host::Host;
use crate::lab::{Output, Response};
use crate::wait::wait_until;

const APP_FILE: &str = include_str!("../../fixtures/app.toml");

/// Longest a poll may take in a suite: two restarts, two probes and a build.
const POLL: Duration = Duration::from_secs(90);

/// An app: its repository, its unit, its files, its policy.
#[derive(Debug)]
pub struct App<'h> {
    host: &'h Host,
    name: String,
    unit: String,
    port: u16,
    settings: RefCell<String>,
}

/// What tells one kind of app from another.
struct Kind {
    unit: String,
    unit_file: &'static str,
    shared: &'static [&'static str],
}

impl Host {
    /// A Django project under gunicorn that listens itself (`--bind`).
    ///
    /// # Errors
    /// Any step of the set-up failed.
    pub fn django(&self, name: &str) -> Result<App<'_>> {
        App::set_up(self, name, &django::kind(name))
    }

    /// The same with a `.socket` unit that holds the listening socket across restarts.
    ///
    /// # Errors
    /// Any step of the set-up failed.
    pub fn django_behind_socket(&self, name: &str) -> Result<App<'_>> {
        let app = App::set_up(self, name, &django::socket_kind(name))?;
        app.unit_file(&format!("gunicorn.{name}.socket"), &django::socket())?;
        self.lab()
            .cmd(["systemctl", "start", &format!("gunicorn.{name}.socket")])
            .ok()?;
        Ok(app)
    }

    /// An app that is not Python: a small server in perl.
    ///
    /// # Errors
    /// Any step of the set-up failed.
    pub fn perl(&self, name: &str) -> Result<App<'_>> {
        App::set_up(self, name, &perl::kind(name))
    }
}

impl<'h> App<'h> {
    fn set_up(host: &'h Host, name: &str, kind: &Kind) -> Result<Self> {
        let shared: Vec<_> = kind.shared.iter().map(|path| format!("{path:?}")).collect();
        let repository = host.forge().repository(host.lab(), name)?;
        let settings = APP_FILE
            .replace("@REPOSITORY@", &repository)
            .replace("@SHARED@", &shared.join(", "))
            .replace("@UNIT@", &kind.unit);
        let app = Self {
            host,
            name: name.to_owned(),
            unit: kind.unit.clone(),
            port: host.next_port(),
            settings: RefCell::new(String::new()),
        };
        host.lab().sh(&format!(
            "install -d -m 2775 -o gunicorn -g hosted_apps /var/www/projects/{name} \\
                 /var/www/projects/{name}/shared /var/www/projects/{name}/shared/media /www/static/{name}"
        ))?;
        if kind.shared.contains(&"db.sqlite3") {
            let path = format!("{}/shared/db.sqlite3", app.dir());
            host.lab()
                .write(&path, b"", 0o664, "gunicorn:hosted_apps")?;
        }
        app.unit_file(&app.unit, kind.unit_file)?;
        app.allow("burst = 3, every = \"10s\"")?;
        app.write_settings(app.fill(&settings))?;
        Ok(app)
    }

    /// The app's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The unit that runs it.
    #[must_use]
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// Its port of the loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of its releases.
    #[must_use]
    pub fn dir(&self) -> String {
        format!("/var/www/projects/{}", self.name)
    }

    /// Its configuration as it is now.
    #[must_use]
    pub fn settings(&self) -> Ref<'_, String> {
        self.settings.borrow()
    }

    /// Replaces one text of its configuration by another.
    ///
    /// # Errors
    /// The text is not in it.
    pub fn set(&self, from: &str, to: &str) -> Result<()> {
        let now = self.settings().clone();
        ensure!(
            now.contains(from),
            "{from:?} is not in the configuration:\n{now}"
        );
        self.write_settings(now.replace(from, to))
    }

    /// Lets members of `hosted_apps` restart its unit, within `limit`.
    ///
    /// # Errors
    /// The restarter refuses the policy.
    pub fn allow(&self, limit: &str) -> Result<()> {
        let toml = format!(
            "[[allow]]\nunits = [{:?}]\ngroups = [\"hosted_apps\"]\nlimit = {{ {limit} }}\n",
            self.unit
        );
        self.host.policy(&self.policy_file(), &toml)
    }

    /// Takes that right away.
    ///
    /// # Errors
    /// Nobody had it.
    pub fn forbid(&self) -> Result<()> {
        self.host.no_policy(&self.policy_file())
    }

    /// Commits to its repository; gives back the revision.
    ///
    /// # Errors
    /// git failed.
    pub fn push(&self, tree: impl Into<Tree>, subject: &str) -> Result<String> {
        self.host
            .forge()
            .push(self.host.lab(), &self.name, &tree.into(), subject)
    }

    /// `pp-fetcher poll APP`, as cron runs it.
    ///
    /// # Errors
    /// It did not end.
    pub fn poll(&self) -> Result<Output> {
        let gunicorn = self.host.lab().as_user("gunicorn");
        gunicorn
            .cmd(["pp-fetcher", "poll", &self.name])
            .within(POLL)
            .output()
    }

    /// Polls and demands the exit code.
    ///
    /// # Errors
    /// It ended otherwise; what it printed is in the error.
    pub fn poll_exits(&self, code: i32) -> Result<Output> {
        let output = self.poll()?;
        ensure!(
            output.code == Some(code),
            "poll was to exit with {code}: {output}"
        );
        Ok(output)
    }

    /// Commits, polls, and demands that it went well; gives back the revision.
    ///
    /// # Errors
    /// Any of it did not.
    pub fn deploy(&self, tree: impl Into<Tree>, subject: &str) -> Result<String> {
        let revision = self.push(tree, subject)?;
        self.poll_exits(0)?;
        Ok(revision)
    }

    /// `pp-fetcher status APP --json`.
    ///
    /// # Errors
    /// It failed, or what it printed is not of the documented shape.
    pub fn status(&self) -> Result<Status> {
        report::status(&self.json("status")?, &self.name)
    }

    /// `pp-fetcher history APP --json`.
    ///
    /// # Errors
    /// It failed, or what it printed is not of the documented shape.
    pub fn history(&self) -> Result<Vec<Attempt>> {
        report::history(&self.json("history")?, &self.name)
    }

    /// The last attempt.
    ///
    /// # Errors
    /// There is none.
    pub fn last(&self) -> Result<Attempt> {
        self.history()?.pop().context("there is no attempt yet")
    }

    /// `GET path` from it.
    ///
    /// # Errors
    /// No connection, or no HTTP answer.
    pub fn get(&self, path: &str) -> Result<Response> {
        self.host.lab().get(self.port, path)
    }

    /// Waits until its first page begins so.
    ///
    /// # Errors
    /// Not within ten seconds.
    pub fn serves(&self, text: &str) -> Result<()> {
        let what = format!("{} serves {text:?}", self.name);
        wait_until(&what, Duration::from_secs(10), || {
            let got = self.get("/")?;
            ensure!(
                got.status == 200 && got.body.starts_with(text),
                "it serves {got:?}"
            );
            Ok(Some(()))
        })
    }

    /// Name of the release that `current` leads to.
    ///
    /// # Errors
    /// There is no such link, or it leads elsewhere.
    pub fn current(&self) -> Result<String> {
        let target = self
            .host
            .lab()
            .readlink(&format!("{}/current", self.dir()))?;
        let name = target.rsplit('/').next().unwrap_or_default();
        let path = format!("{}/releases/{name}", self.dir());
        ensure!(self.host.lab().exists(&path)?, "current leads to {target}");
        Ok(name.to_owned())
    }

    /// The `REVISION` of the release that `current` leads to.
    ///
    /// # Errors
    /// There is none.
    pub fn current_revision(&self) -> Result<String> {
        let text = self
            .host
            .lab()
            .read(&format!("{}/current/REVISION", self.dir()))?;
        Ok(text.trim().to_owned())
    }

    /// Releases on disk, oldest first, half-made ones included.
    ///
    /// # Errors
    /// There is no directory of releases.
    pub fn releases(&self) -> Result<Vec<String>> {
        self.host.lab().list(&format!("{}/releases", self.dir()))
    }

    fn json(&self, command: &str) -> Result<String> {
        let gunicorn = self.host.lab().as_user("gunicorn");
        let output = gunicorn
            .cmd(["pp-fetcher", command, &self.name, "--json"])
            .output()?;
        // 1 says that the app is not as it should be.
        ensure!(matches!(output.code, Some(0 | 1)), "{output}");
        Ok(output.stdout)
    }

    fn unit_file(&self, unit: &str, text: &str) -> Result<()> {
        let path = format!("/etc/systemd/system/{unit}");
        self.host
            .lab()
            .write(&path, self.fill(text).as_bytes(), 0o644, "root:root")?;
        self.host.lab().cmd(["systemctl", "daemon-reload"]).ok()?;
        Ok(())
    }

    fn write_settings(&self, settings: String) -> Result<()> {
        let path = format!("/etc/pp-fetcher/apps.d/{}.toml", self.name);
        self.host
            .lab()
            .write(&path, settings.as_bytes(), 0o644, "root:root")?;
        self.settings.replace(settings);
        Ok(())
    }

    fn policy_file(&self) -> String {
        self.name.clone()
    }

    /// Puts the app's own name and port into a shipped example or a text of the suites.
    fn fill(&self, text: &str) -> String {
        text.replace("127.0.0.1:8000", &format!("127.0.0.1:{}", self.port))
            .replace("todo_django", &self.name)
            .replace("@APP@", &self.name)
            .replace("@PORT@", &self.port.to_string())
    }
}
