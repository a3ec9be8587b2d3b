//! The observed state of one unit, and a check of its settings before anything is restarted.

use std::path::{Path, PathBuf};

/// The observed state of one unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UnitSeen {
    /// The unit's name.
    pub name: String,
    /// Whether systemd has a job for the unit, such as a restart under way.
    pub in_job: bool,
    /// `ActiveState`, in systemd's words, such as `active` or `failed`.
    pub active: String,
    /// `SubState`.
    pub sub: String,
    /// `Result`.
    pub result: String,
    /// `MainPID`; 0 if there is no main process.
    pub main_pid: u32,
    /// `ActiveEnterTimestamp`: when the unit became active, in microseconds since 1970; 0 if it never did.
    pub active_since: u64,
    /// How often systemd started the unit again by itself since the unit was last started by hand.
    pub restarts: u32,
    /// `InvocationID`.
    pub invocation: Vec<u8>,
    /// The settings in the unit's file.
    pub setup: UnitDefinition,
    /// The working directory of the main process; `None` if it cannot be seen.
    pub cwd: Option<PathBuf>,
    /// The unit's processes that can be seen: the processes of pp-fetcher's own user.
    pub processes: Vec<ProcessSeen>,
}

/// The settings in a unit's file, as systemd has read them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UnitDefinition {
    /// `LoadState`: loaded, not-found, masked, bad-setting, error.
    pub load: String,
    /// The error with which systemd failed to load the unit; empty if there is none.
    pub load_error: String,
    /// `Type`: simple, exec, forking, oneshot, notify …
    pub kind: String,
    /// Whether the unit's file has changed on disk since systemd read it.
    pub needs_daemon_reload: bool,
    /// Whether the unit has an `ExecReload=`.
    pub can_reload: bool,
    /// `WorkingDirectory`; empty if the unit sets none.
    pub directory: String,
    /// The words of every `ExecStart`.
    pub commands: Vec<String>,
    /// `User`; empty if the unit names none.
    pub user: String,
    /// `Group` and `SupplementaryGroups`.
    pub groups: Vec<String>,
    /// The assignments of `Environment`.
    pub environment: Vec<String>,
    /// The paths of `EnvironmentFile`.
    pub environment_files: Vec<String>,
}

/// One process of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessSeen {
    /// The process id.
    pub pid: u32,
    /// The process's name, as `ps` shows it.
    pub name: String,
    /// The process's working directory.
    pub cwd: PathBuf,
}

/// How one app uses a unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnitUse<'a> {
    /// The link `current`.
    pub current: &'a Path,
    /// Whether the unit is reloaded and never restarted.
    pub only_reloaded: bool,
    /// Whether the configuration says that the unit works elsewhere (`elsewhere` under `[restart]`).
    pub elsewhere: bool,
    /// The directory of the live release; `None` before the first one.
    pub live: Option<&'a Path>,
}

impl UnitSeen {
    /// Gives the setting that makes a good deploy impossible, whatever the revision: a sentence with its
    /// remedy. `None` if the settings allow a good deploy.
    #[must_use]
    pub(crate) fn obstacle(&self, used: &UnitUse<'_>) -> Option<String> {
        let (name, setup) = (&self.name, &self.setup);
        match setup.load.as_str() {
            "not-found" => {
                return Some(format!(
                    "systemd knows no unit {name}\n  write /etc/systemd/system/{name} and then, as root: \
                     systemctl daemon-reload; or correct its name under [restart]"
                ));
            }
            "masked" => {
                return Some(format!(
                    "{name} is masked, so that nothing can start it\n  if that is not meant, as root: \
                     systemctl unmask {name}"
                ));
            }
            "loaded" => {}
            other => {
                let why = if setup.load_error.is_empty() {
                    other
                } else {
                    &setup.load_error
                };
                return Some(format!(
                    "systemd could not load {name} ({why})\n  `systemd-analyze verify {name}` shows the \
                     mistake; when it is mended, as root: systemctl daemon-reload"
                ));
            }
        }
        if setup.needs_daemon_reload {
            return Some(format!(
                "the file of {name} has changed on disk, and systemd still uses the old one\n  as root: \
                 systemctl daemon-reload"
            ));
        }
        if used.only_reloaded && !setup.can_reload {
            return Some(format!(
                "{name} cannot be reloaded: its file has no ExecReload=\n  write one there, or list {name} in \
                 `units` under [restart] instead of `reload`"
            ));
        }
        if used.only_reloaded && matches!(self.active.as_str(), "inactive" | "failed") {
            return Some(format!(
                "{name} is {}, and what does not run cannot be reloaded\n  as root: systemctl start {name}; or \
                 list it in `units` under [restart], which starts it too",
                self.active
            ));
        }
        self.wrong_directory(used)
    }

    /// Gives the obstacle if `WorkingDirectory=` does not go through `current`, so that no deploy changes it.
    fn wrong_directory(&self, used: &UnitUse<'_>) -> Option<String> {
        let directory = plain(&self.setup.directory);
        if used.elsewhere || directory.is_empty() || self.starts_through(used.current) {
            return None;
        }
        // A start script may change into `current` by itself: a unit that already runs from the live release is fine.
        let runs = |cwd: &PathBuf| used.live.is_some_and(|live| cwd.starts_with(live));
        if self.cwd.iter().any(runs) || self.processes.iter().any(|p| runs(&p.cwd)) {
            return None;
        }
        Some(format!(
            "{} works in {directory} (WorkingDirectory=), which no deploy changes\n  {}",
            self.name,
            self.advice(used.current)
        ))
    }

    /// Gives the settings that let the unit run from a release, and the key to set if it is not meant to.
    pub(super) fn advice(&self, current: &Path) -> String {
        format!(
            "its file needs WorkingDirectory={}, then, as root: systemctl daemon-reload; if it is meant to \
             work elsewhere: elsewhere = [\"{}\"] under [restart]",
            current.display(),
            self.name
        )
    }

    /// Checks whether the unit's file starts the unit through the link `current`. Where the process goes after
    /// its start, such as to `/`, does not matter.
    #[must_use]
    pub(crate) fn starts_through(&self, current: &Path) -> bool {
        let real = current
            .parent()
            .and_then(|root| root.canonicalize().ok())
            .map(|root| root.join("current"));
        let links = [Some(current.to_owned()), real];
        let directory = Path::new(plain(&self.setup.directory));
        links.iter().flatten().any(|link| {
            let text = link.to_string_lossy();
            let names = |word: &String| {
                let after = word.find(&*text).and_then(|at| word.get(at + text.len()..));
                after.is_some_and(|after| {
                    after.is_empty()
                        || !after.starts_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_')
                })
            };
            directory.starts_with(link) || self.setup.commands.iter().any(names)
        })
    }
}

/// Gives the directory without the mark that systemd puts before a directory that may be missing.
fn plain(directory: &str) -> &str {
    directory.trim_start_matches(['!', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURRENT: &str = "/srv/todo/current";

    fn unit() -> UnitSeen {
        UnitSeen {
            name: "todo.service".into(),
            active: "active".into(),
            setup: UnitDefinition {
                load: "loaded".into(),
                kind: "simple".into(),
                can_reload: true,
                directory: CURRENT.into(),
                ..UnitDefinition::default()
            },
            ..UnitSeen::default()
        }
    }

    fn obstacle(change: impl FnOnce(&mut UnitSeen, &mut UnitUse<'_>)) -> String {
        let (mut unit, mut used) = (
            unit(),
            UnitUse {
                current: Path::new(CURRENT),
                only_reloaded: false,
                elsewhere: false,
                live: Some(Path::new("/srv/todo/releases/1")),
            },
        );
        change(&mut unit, &mut used);
        unit.obstacle(&used).unwrap_or_default()
    }

    #[test]
    fn a_unit_whose_settings_are_right_is_no_obstacle() {
        assert_eq!(obstacle(|_, _| ()), "");
        for directory in ["!/srv/todo/current", "/srv/todo/current/src", ""] {
            assert_eq!(obstacle(|u, _| u.setup.directory = directory.into()), "");
        }
        let through = |u: &mut UnitSeen| {
            u.setup.directory = "/var/lib/beat".into();
            u.setup.commands = vec!["--chdir=/srv/todo/current".into()];
        };
        assert_eq!(obstacle(|u, _| through(u)), "");
        assert_eq!(obstacle(|u, _| u.active = "failed".into()), "");
    }

    #[test]
    fn each_wrong_setting_is_told_with_its_mend() {
        type Change = fn(&mut UnitSeen, &mut UnitUse<'_>);
        let cases: [(Change, &str); 9] = [
            (|u, _| u.setup.load = "not-found".into(), "knows no unit"),
            (|u, _| u.setup.load = "masked".into(), "systemctl unmask"),
            (
                |u, _| u.setup.load = "bad-setting".into(),
                "systemd-analyze verify",
            ),
            (|u, _| u.setup.needs_daemon_reload = true, "daemon-reload"),
            (
                |u, used| (u.setup.can_reload, used.only_reloaded) = (false, true),
                "no ExecReload=",
            ),
            (
                |u, used| (u.active, used.only_reloaded) = ("inactive".into(), true),
                "systemctl start todo.service",
            ),
            (
                |u, _| u.setup.directory = "/srv/todo".into(),
                "WorkingDirectory=/srv/todo/current",
            ),
            (
                |u, _| u.setup.directory = "/srv/todo/releases/1".into(),
                "elsewhere = [",
            ),
            (
                |u, _| {
                    u.setup.directory = "/var/lib/beat".into();
                    u.setup.commands = vec!["/srv/todo/current-old/run".into()];
                },
                "works in /var/lib/beat",
            ),
        ];
        for (change, expected) in cases {
            let told = obstacle(change);
            assert!(told.contains(expected), "{expected}: {told}");
        }
    }

    #[test]
    fn a_unit_that_works_elsewhere_on_purpose_or_gets_there_by_itself_is_none() {
        assert_eq!(
            obstacle(|u, used| {
                u.setup.directory = "/var/lib/beat".into();
                used.elsewhere = true;
            }),
            ""
        );
        assert_eq!(
            obstacle(|u, _| {
                u.setup.directory = "/opt".into();
                u.cwd = Some("/srv/todo/releases/1/src".into());
            }),
            ""
        );
    }
}
