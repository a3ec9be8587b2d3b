//! The settings that the program uses: complete, checked, with every default in one place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pp_protocol::UnitName;

use super::checks;
use super::error::ConfigError;
use super::fragment::{self, Fragment};
use super::health::{self, Health};
use super::https;
use super::path::stays_below;
use super::size::Size;
use super::ssh::Ssh;
use super::submodule::{self, Submodule};
use super::tree::{self, TreeRules};
use super::window;
use crate::checks::Checks;
use crate::git::{HttpsOptions, RepositoryUrl};
use crate::process::env_file::EnvFile;
use crate::schedule::window::Window;
use crate::util::duration::HumanDuration;

/// One configured app.
#[derive(Debug, Clone)]
pub(crate) struct App {
    /// The app's name: its file's name without `.toml`.
    pub name: String,
    /// The app's configuration file, for messages.
    pub path: PathBuf,
    /// The address of the app's git repository.
    pub repository: RepositoryUrl,
    /// The branch, tags or ref to follow in the repository.
    pub follow: Follow,
    /// The time between two polls by the service (`pp-fetcher run`).
    pub interval: Duration,
    /// When something new may be deployed; at any time if there is none.
    pub windows: Vec<Window>,
    /// How ssh is called.
    pub ssh: Ssh,
    /// Submodules that are deployed with the app; a revision with any other submodule is refused.
    pub submodules: Vec<Submodule>,
    /// How the repository is reached by https.
    pub https: HttpsOptions,
    /// How much time and data one connection to the git server may take.
    pub fetch: Fetch,
    /// Which files of a revision are exceptions to the usual checks.
    pub tree: TreeRules,
    /// The file of keys that may sign a revision; `None`: no signature is asked for.
    pub allowed_signers: Option<PathBuf>,
    /// Whether only descendants of the live revision are deployed.
    pub fast_forward_only: bool,
    /// Which checks at the forge must have succeeded; `None`: none is asked for.
    pub checks: Option<Checks>,
    /// Where and how releases are made.
    pub deploy: Deploy,
    /// Units to restart, in order.
    pub restart: Vec<UnitName>,
    /// Units to reload, after the units that are restarted.
    pub reload: Vec<UnitName>,
    /// Units of both lists whose processes do not run in the release's directory.
    pub elsewhere: Vec<UnitName>,
    /// How it is decided that the app is healthy.
    pub health: Health,
    /// Programs that are run after an attempt has ended.
    pub hooks: Hooks,
    /// Files about all apps, which config.toml names.
    pub report: Report,
    /// Changes when `config.toml` or the app's file changes. A revision that was held back because of a
    /// mistake in these files is then tried again.
    pub fingerprint: String,
}

/// How much time and data one connection to the git server may take.
#[derive(Debug, Clone)]
pub(crate) struct Fetch {
    /// The longest time from opening the connection to the last byte.
    pub timeout: Duration,
    /// The most bytes that the server may send.
    pub limit: u64,
}

/// Programs that are run after an attempt has ended.
#[derive(Debug, Clone)]
pub(crate) struct Hooks {
    /// The program to run after a good attempt.
    pub deployed: Option<PathBuf>,
    /// The program to run after any other attempt.
    pub failed: Option<PathBuf>,
    /// The time after which a hook is ended. The app's lock is held while a hook runs, so it must not take
    /// long.
    pub timeout: Duration,
}

/// Files about all apps that are replaced after a pass.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    /// The file of metrics.
    pub metrics: Option<PathBuf>,
    /// The directory of the status page.
    pub page: Option<PathBuf>,
}

/// The branch, tags or ref that is followed in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Follow {
    /// The tip of a branch.
    Branch(String),
    /// The highest version among the tags that match a pattern.
    Tag(String),
    /// One ref, by its whole name.
    Ref(String),
}

/// Where and how releases are made.
#[derive(Debug, Clone)]
pub(crate) struct Deploy {
    /// The app's root directory, which holds `releases/`, `shared/` and `current`.
    pub root: PathBuf,
    /// Paths, relative to a release, that are stored in `shared/` and linked into every release.
    pub shared: Vec<SharedPath>,
    /// The directory of the repository that a release is made of; empty for the whole repository.
    pub subdirectory: PathBuf,
    /// Paths of the repository: a revision that changes none of them is not deployed. Empty: every revision is.
    pub paths: Vec<PathBuf>,
    /// Files of a release, as patterns of paths, that a way back names if it crosses them.
    pub migrations: Vec<String>,
    /// The build script.
    pub build: Option<PathBuf>,
    /// The time after which the build script is ended.
    pub build_timeout: Duration,
    /// How many good releases stay on disk.
    pub keep: usize,
    /// Environment variables of the build script beside the `PP_…` variables.
    pub env: BTreeMap<String, String>,
    /// Files of environment variables of the build script, in order.
    pub env_files: Vec<EnvFile>,
}

/// A path that is stored in `shared/` and linked into every release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedPath {
    /// The path, relative to the release and to `shared/`.
    pub path: PathBuf,
    /// Whether a directory is made in `shared/` if nothing is there yet.
    pub directory: bool,
}

/// Gives the `known_hosts` file for an app that names none; `file` is the app's configuration file. The
/// default is one file for the whole host and all its users, which belongs to root. A configuration in
/// another directory has its own default, in that directory.
fn known_hosts(file: &Path) -> PathBuf {
    let apps = file.parent().and_then(Path::parent);
    match apps.filter(|directory| !directory.as_os_str().is_empty()) {
        Some(directory) if !directory.starts_with(super::DIRECTORY) => {
            let directory = std::path::absolute(directory);
            directory.unwrap_or_default().join("known_hosts")
        }
        _ => Path::new(super::DIRECTORY).join("known_hosts"),
    }
}

impl App {
    /// Checks a merged fragment and fills in the defaults.
    ///
    /// # Errors
    /// The first key that is missing or has an impossible value, by its name.
    pub(crate) fn new(name: &str, path: &Path, fragment: Fragment) -> Result<Self, ConfigError> {
        let error = |what: String| ConfigError::new(path, what);
        let repository = fragment.repository.ok_or_else(|| {
            error("`repository` is missing".into())
                .mend("such as: repository = \"github.com-repo-todo:me/todo.git\"")
        })?;
        let repository = RepositoryUrl::parse(&repository)
            .map_err(|why| error(format!("`repository`: {why}")))?;
        let deploy = deploy(name, path, fragment.deploy)?;
        let interval = or(fragment.interval, 60);
        if interval < Duration::from_secs(5) {
            return Err(error("`interval` is under five seconds".into())
                .mend("a forge that is asked that often will lock you out"));
        }
        let checks = checks::checks(&fragment.verify, &repository).map_err(error)?;
        let allowed_signers = fragment.verify.allowed_signers;
        if let Some(file) = allowed_signers.as_ref().filter(|file| !file.is_absolute()) {
            return Err(error(format!(
                "`verify.allowed_signers` is {}, not an absolute path",
                file.display()
            )));
        }
        let mut ssh = Ssh::from(fragment.ssh);
        ssh.known_hosts.get_or_insert_with(|| known_hosts(path));
        let (submodules, empty) =
            submodule::submodules(fragment.submodule, &ssh, &fragment.https).map_err(error)?;
        let [restart, reload, elsewhere] = units(path, fragment.restart)?;
        let health = health::health(fragment.health).map_err(error)?;
        let needed = way_back(&health);
        let windows = fragment.window.unwrap_or_default();
        let windows = window::windows(windows, interval, needed).map_err(error)?;
        Ok(Self {
            name: name.to_owned(),
            path: path.to_owned(),
            repository,
            follow: follow(fragment.branch, fragment.tag, fragment.reference).map_err(error)?,
            interval,
            windows,
            submodules,
            tree: tree::rules(fragment.tree, empty).map_err(error)?,
            fetch: Fetch {
                timeout: or(fragment.fetch.timeout, 10 * 60),
                limit: fragment.fetch.limit.map_or(2 << 30, |Size(bytes)| bytes),
            },
            ssh,
            https: https::options(fragment.https).map_err(error)?,
            allowed_signers,
            checks,
            fast_forward_only: fragment.verify.fast_forward_only.unwrap_or(true),
            deploy,
            restart,
            reload,
            elsewhere,
            health,
            hooks: Hooks {
                deployed: fragment.hooks.deployed,
                failed: fragment.hooks.failed,
                timeout: or(fragment.hooks.timeout, 60),
            },
            report: Report {
                metrics: fragment.report.metrics,
                page: fragment.report.page,
            },
            fingerprint: String::new(),
        })
    }
}

/// Gives the time that must be left of a window for a deploy to switch: for a restart and a probe, and for the same on
/// the way back.
pub(crate) fn way_back(health: &Health) -> Duration {
    2 * (health.within + health.steady) + Duration::from_secs(60)
}

/// What is written, or so many seconds.
fn or(span: Option<HumanDuration>, default: u64) -> Duration {
    span.map_or(Duration::from_secs(default), |HumanDuration(duration)| {
        duration
    })
}

/// `[deploy]`, checked.
fn deploy(name: &str, path: &Path, written: fragment::Deploy) -> Result<Deploy, ConfigError> {
    let error = |what: String| ConfigError::new(path, what);
    let root = written.root.ok_or_else(|| {
        error("`deploy.root` is missing".into()).mend(format!(
            "such as: root = \"/var/www/projects/{name}\" under [deploy]"
        ))
    })?;
    if !root.is_absolute() || root.parent().is_none() {
        return Err(error(format!(
            "`deploy.root` is {}, not an absolute path",
            root.display()
        )));
    }
    let build = written.build;
    let leaves = |b: &Path| !b.is_absolute() && !stays_below(b);
    if build.as_deref().is_some_and(leaves) {
        return Err(error("`deploy.build` leaves the release".into())
            .mend("write a path inside the repository, or an absolute one"));
    }
    let subdirectory = written.subdirectory.unwrap_or_default();
    let paths = written.paths.unwrap_or_default();
    let inside = [("subdirectory", &subdirectory)].into_iter();
    let inside = inside.chain(paths.iter().map(|path| ("paths", path)));
    for (key, path) in inside {
        if !stays_below(path) {
            return Err(error(format!(
                "`deploy.{key}`: {} leaves the repository",
                path.display()
            ))
            .mend("write a path from the top of the repository, without a / at its beginning"));
        }
    }
    Ok(Deploy {
        root,
        subdirectory: subdirectory.components().collect(),
        paths: paths
            .iter()
            .map(|path| path.components().collect())
            .collect(),
        shared: shared(written.shared.unwrap_or_default()).map_err(error)?,
        migrations: written.migrations.unwrap_or_default(),
        build,
        build_timeout: or(written.build_timeout, 15 * 60),
        keep: written.keep.unwrap_or(5).max(2),
        env: written.env.unwrap_or_default(),
        env_files: env_files(written.env_files.unwrap_or_default()).map_err(error)?,
    })
}

/// `[restart]`, checked: the units that are restarted, those that are reloaded, and those of both that work elsewhere
/// than in the release.
fn units(path: &Path, written: fragment::Restart) -> Result<[Vec<UnitName>; 3], ConfigError> {
    let error = |what: String| ConfigError::new(path, what);
    let read = |key: &str, names: Option<Vec<String>>| {
        let names = names.unwrap_or_default();
        let parse = |unit: String| {
            UnitName::parse(&unit).map_err(|e| error(format!("`{key}`: `{unit}`: {e}")))
        };
        names.into_iter().map(parse).collect::<Result<Vec<_>, _>>()
    };
    let restart = read("restart.units", written.units)?;
    let reload = read("restart.reload", written.reload)?;
    let elsewhere = read("restart.elsewhere", written.elsewhere)?;
    let unknown = |unit: &&UnitName| !restart.contains(unit) && !reload.contains(unit);
    if let Some(unit) = elsewhere.iter().find(unknown) {
        let what = format!("`restart.elsewhere`: {unit} is neither in `units` nor in `reload`");
        return Err(
            error(what).mend("it names units of these two lists that do not work in the release")
        );
    }
    Ok([restart, reload, elsewhere])
}

fn follow(
    branch: Option<String>,
    tag: Option<String>,
    reference: Option<String>,
) -> Result<Follow, String> {
    match (branch, tag, reference) {
        (Some(branch), None, None) => Ok(Follow::Branch(branch)),
        (None, Some(tag), None) => Ok(Follow::Tag(tag)),
        (None, None, Some(reference)) => Ok(Follow::Ref(reference)),
        (None, None, None) => Ok(Follow::Branch("main".into())),
        _ => Err("only one of `branch`, `tag` and `ref` can be followed".into()),
    }
}

fn env_files(written: Vec<String>) -> Result<Vec<EnvFile>, String> {
    let file = |written: String| {
        let path = written.strip_prefix('-').unwrap_or(&written);
        if !Path::new(path).is_absolute() {
            return Err(format!(
                "`deploy.env_files`: `{written}` is not an absolute path"
            ));
        }
        Ok(EnvFile {
            path: path.into(),
            may_be_absent: written.starts_with('-'),
        })
    };
    written.into_iter().map(file).collect()
}

fn shared(paths: Vec<String>) -> Result<Vec<SharedPath>, String> {
    let check = |written: String| {
        let path = PathBuf::from(written.trim_end_matches('/'));
        if !stays_below(&path) || path.as_os_str().is_empty() {
            return Err(format!("`deploy.shared`: `{written}` leaves the release"));
        }
        // Guessed from the name: `media` is a directory, `db.sqlite3` and `.env` are files.
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let directory = written.ends_with('/') || !name.contains(&b'.');
        Ok(SharedPath { path, directory })
    };
    paths.into_iter().map(check).collect()
}
