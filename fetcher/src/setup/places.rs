//! Where the files of an app stand that a set-up makes: there they are written, and there `--remove` finds them again.

use std::path::{Path, PathBuf};

use super::wanted::Owner;

/// The directory of the administrator's units.
const UNITS: &str = "/etc/systemd/system";

/// The files that a set-up may make for an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// The app's configuration.
    pub app: PathBuf,
    /// The unit of gunicorn's socket.
    pub socket: PathBuf,
    /// The unit of gunicorn.
    pub gunicorn: PathBuf,
    /// The drop-in of the service that polls.
    pub drop_in: PathBuf,
    /// The policy.
    pub policy: PathBuf,
    /// The site of nginx.
    pub site: PathBuf,
    /// While the app and its data are removed: where the data is.
    pub removing: PathBuf,
}

impl Places {
    /// Gives the places of the files of `app`, which belongs to `owner`.
    #[must_use]
    pub(crate) fn of(app: &str, owner: &Owner) -> Self {
        let name = owner.host_wide_name(app);
        let units = Path::new(UNITS);
        Self {
            app: owner.config().join(format!("apps.d/{app}.toml")),
            socket: units.join(format!("gunicorn.{name}.socket")),
            gunicorn: units.join(format!("gunicorn.{name}.service")),
            drop_in: units.join(format!("{}.d/{app}.conf", owner.service())),
            policy: format!("/etc/pp-restarter/policy.d/{name}.toml").into(),
            site: format!("/etc/nginx/sites-available/{name}.conf").into(),
            removing: owner.config().join(format!("{app}.removing")),
        }
    }

    /// Gives the units, in the order in which they are stopped: without its socket nothing starts the service again.
    #[must_use]
    pub(crate) fn units(&self) -> [&PathBuf; 2] {
        [&self.socket, &self.gunicorn]
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::{plan, tests::wanted};
    use super::super::wanted::Listen;
    use super::*;

    #[test]
    fn every_file_of_a_plan_stands_at_one_of_the_places() {
        let mut wanted = wanted();
        wanted.listen = Some(Listen::Socket);
        wanted.root = "/srv/todo".into();
        let planned = plan(&wanted, &[]);
        let found = Places::of("todo", &wanted.owner);
        let mut all: Vec<_> = found.units().map(PathBuf::clone).into();
        all.extend([found.app, found.drop_in, found.policy, found.site]);
        assert_eq!(planned.files.len(), all.len());
        for file in planned.files {
            assert!(all.contains(&file.path), "{}", file.path.display());
        }
    }
}
