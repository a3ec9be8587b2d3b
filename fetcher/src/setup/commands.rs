//! Programs that root runs for a set-up: systemctl, nginx, pp-restarter. Each by its own path, with a clean environment
//! and a deadline.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::ask::{AskError, CommandOutput, ask};
use crate::process::environment::PATH;
use crate::util::text;

/// The time that one of these programs has. A restart of the service waits for a pass that is under way.
const PATIENCE: Duration = Duration::from_secs(360);

/// A program that root runs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Program {
    /// systemctl(1).
    Systemctl,
    /// nginx(8).
    Nginx,
    /// pp-restarter(8), for `--check`.
    Restarter,
    /// crontab(1).
    Crontab,
}

impl Program {
    /// The program's path.
    #[must_use]
    pub(crate) fn path(self) -> &'static Path {
        Path::new(match self {
            Self::Systemctl => "/usr/bin/systemctl",
            Self::Nginx => "/usr/sbin/nginx",
            Self::Crontab => "/usr/bin/crontab",
            Self::Restarter => "/usr/sbin/pp-restarter",
        })
    }

    /// Whether the program is installed.
    #[must_use]
    pub(crate) fn is_there(self) -> bool {
        self.path().is_file()
    }

    /// Runs the program, and gives whether it succeeded and everything it printed.
    #[must_use]
    pub(crate) fn run(self, arguments: &[&str]) -> (bool, String) {
        match self.ask(arguments) {
            Ok(output) => {
                let said = [output.stdout, output.stderr].concat();
                (output.code == 0, text::lines(&said).join("\n"))
            }
            Err(error) => (false, error.to_string()),
        }
    }

    /// Runs the program, and gives its standard output as it is; nothing if it cannot be run.
    #[must_use]
    pub(crate) fn answer(self, arguments: &[&str]) -> String {
        let output = self.ask(arguments).map(|output| output.stdout);
        String::from_utf8_lossy(&output.unwrap_or_default()).into_owned()
    }

    fn ask(self, arguments: &[&str]) -> Result<CommandOutput, AskError> {
        let mut command = Command::new(self.path());
        command.args(arguments).env_clear().env("PATH", PATH);
        ask(&command, b"", PATIENCE)
    }

    /// Runs the program for its effect.
    ///
    /// # Errors
    /// The command, and what it printed.
    pub(crate) fn must(self, arguments: &[&str]) -> Result<(), String> {
        match self.run(arguments) {
            (true, _) => Ok(()),
            (false, said) => Err(format!(
                "{} {} failed\n  {}",
                self.path().display(),
                arguments.join(" "),
                said.replace('\n', "\n  ")
            )),
        }
    }
}
