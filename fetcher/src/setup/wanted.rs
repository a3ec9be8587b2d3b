//! The description of a new app, complete: what the command line says, with the defaults.

use std::path::{Path, PathBuf};

use crate::account::{USERS, USERS_STATE};
use crate::config::DIRECTORY;
use crate::state::store;

/// What a new app is to be.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The app's name.
    pub app: String,
    /// The user that the app belongs to.
    pub owner: Owner,
    /// The address of the git repository, as a person has written it.
    pub repository: String,
    /// Whether the repository is reached by ssh, so that it takes a deploy key and a pinned host key.
    pub by_ssh: bool,
    /// The key of the configuration that says what is followed, and its value: `branch`, `tag`.
    pub follow: (&'static str, String),
    /// The interval of the service's polls, if not the default.
    pub interval: Option<String>,
    /// The ssh_config(5) file with the host's alias, if there is one.
    pub ssh_config: Option<PathBuf>,
    /// The file of pinned host keys.
    pub known_hosts: PathBuf,
    /// The app's root directory.
    pub root: PathBuf,
    /// Paths that outlive releases.
    pub shared: Vec<String>,
    /// The build script.
    pub build: Option<String>,
    /// Variables of the build script.
    pub env: Vec<(String, String)>,
    /// Files of variables of the build script, and of the unit that setup makes.
    pub env_files: Vec<String>,
    /// The directory of collected static files.
    pub static_root: Option<PathBuf>,
    /// The units that are restarted.
    pub units: Vec<String>,
    /// The gunicorn that setup makes a unit for.
    pub gunicorn: Option<Gunicorn>,
    /// The place at which the app answers, if it is known.
    pub listen: Option<Listen>,
    /// The URL of the probe, if a person has written one.
    pub health_url: Option<String>,
    /// The path of the probe's requests.
    pub health_path: String,
    /// The `Host` header of the probe's requests.
    pub health_host: Option<String>,
    /// The status that the app answers with when it is well, if not 200.
    pub health_expect: Option<u16>,
    /// The server name of the nginx site that setup makes.
    pub nginx: Option<String>,
}

/// The user that an app belongs to, and the directories that follow from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The login name.
    pub user: String,
    /// The group of the app's files.
    pub group: String,
    /// Whether the user has a configuration of its own, apart from that of the host.
    pub own: bool,
}

/// A gunicorn that serves the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gunicorn {
    /// The WSGI application: `todo.wsgi`.
    pub module: String,
    /// The program: an absolute path.
    pub program: PathBuf,
}

/// The place at which an app answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listen {
    /// A port of 127.0.0.1, which gunicorn itself opens.
    Port(u16),
    /// A Unix socket, which systemd holds while gunicorn restarts.
    Socket,
}

/// The file of pinned host keys of the whole host.
pub(crate) const KNOWN_HOSTS: &str = "/etc/pp-fetcher/known_hosts";

impl Owner {
    /// The directory of the configuration.
    #[must_use]
    pub(crate) fn config(&self) -> PathBuf {
        match self.own {
            true => Path::new(USERS).join(&self.user),
            false => DIRECTORY.into(),
        }
    }

    /// The directory of the state of all apps of this user.
    #[must_use]
    pub(crate) fn state(&self) -> PathBuf {
        match self.own {
            true => Path::new(USERS_STATE).join(&self.user),
            false => store::DIRECTORY.into(),
        }
    }

    /// The directory that apps have their roots in unless told otherwise.
    #[must_use]
    pub(crate) fn roots(&self) -> PathBuf {
        match self.own {
            true => Path::new("/srv/apps").join(&self.user),
            false => "/var/www/projects".into(),
        }
    }

    /// The unit of the service that polls the apps of this user.
    #[must_use]
    pub(crate) fn service(&self) -> String {
        match self.own {
            true => format!("pp-fetcher@{}.service", self.user),
            false => "pp-fetcher.service".to_owned(),
        }
    }

    /// The name of this user's app `app` where names of all users meet: in /etc/systemd, /etc/nginx, /etc/pp-restarter
    /// and /run.
    #[must_use]
    pub(crate) fn host_wide_name(&self, app: &str) -> String {
        match self.own {
            true => format!("{}-{app}", self.user),
            false => app.to_owned(),
        }
    }

    /// The directories that the service may write to without a drop-in: `ReadWritePaths=` of its unit.
    #[must_use]
    pub(crate) fn writable(&self) -> Vec<PathBuf> {
        match self.own {
            true => vec![self.roots()],
            false => vec!["/var/www/projects".into(), "/www/static".into()],
        }
    }
}

impl Wanted {
    /// The file of the deploy key.
    #[must_use]
    pub(crate) fn key(&self) -> PathBuf {
        self.owner.config().join("keys").join(&self.app)
    }

    /// The app's name where names of all users meet.
    #[must_use]
    pub(crate) fn host_wide_name(&self) -> String {
        self.owner.host_wide_name(&self.app)
    }

    /// The Unix socket at which the app answers, if systemd holds one.
    #[must_use]
    pub(crate) fn socket(&self) -> PathBuf {
        PathBuf::from(format!("/run/gunicorn/{}.sock", self.host_wide_name()))
    }

    /// The URL of the probe.
    #[must_use]
    pub(crate) fn probe(&self) -> Option<String> {
        let path = &self.health_path;
        self.health_url.clone().or_else(|| match self.listen? {
            Listen::Port(port) => Some(format!("http://127.0.0.1:{port}{path}")),
            Listen::Socket => Some(format!("unix:{}:{path}", self.socket().display())),
        })
    }
}
