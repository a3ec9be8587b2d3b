//! What the program works with: complete, checked, with every default in one place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pp_protocol::UnitName;

use super::error::ConfigError;
use super::fragment::Fragment;
use super::health::{self, Health};
use super::https;
use super::path::stays_below;
use super::size::Size;
use super::ssh::Ssh;
use super::submodule::{self, Submodule};
use super::tree::{self, TreeRules};
use crate::git::{HttpsOptions, RepositoryUrl};
use crate::util::duration::Span;

/// One app.
#[derive(Debug, Clone)]
pub(crate) struct App {
    /// The stem of its file's name.
    pub name: String,
    /// Its file, for messages.
    pub path: PathBuf,
    /// Where the repository is.
    pub repository: RepositoryUrl,
    /// What is followed there.
    pub follow: Follow,
    /// Time between two polls of the service.
    pub interval: Duration,
    /// How ssh is called.
    pub ssh: Ssh,
    /// Submodules that are deployed with it; a tree with any other is refused.
    pub submodules: Vec<Submodule>,
    /// How https is spoken.
    pub https: HttpsOptions,
    /// What one conversation with the server may cost.
    pub fetch: Fetch,
    /// What of a tree is an exception.
    pub tree: TreeRules,
    /// Who may sign what is deployed; `None`: nobody need.
    pub allowed_signers: Option<PathBuf>,
    /// Only descendants of the live revision are taken.
    pub fast_forward_only: bool,
    /// Where and how releases are made.
    pub deploy: Deploy,
    /// Units to restart, in order.
    pub restart: Vec<UnitName>,
    /// Units to reload, after those.
    pub reload: Vec<UnitName>,
    /// Units among both whose processes work elsewhere than in the release.
    pub elsewhere: Vec<UnitName>,
    /// When the app is well.
    pub health: Health,
    /// Programs told afterwards.
    pub hooks: Hooks,
    /// Changes with the files that this was read from: what was held back because of a mistake in
    /// them is tried again.
    pub fingerprint: String,
}

/// What one conversation with the server may cost.
#[derive(Debug, Clone)]
pub(crate) struct Fetch {
    /// From the connection to the last byte.
    pub timeout: Duration,
    /// Most bytes that the server may send.
    pub limit: u64,
}

/// Programs that are told of the end of an attempt.
#[derive(Debug, Clone)]
pub(crate) struct Hooks {
    /// After a good deploy.
    pub deployed: Option<PathBuf>,
    /// After any other attempt.
    pub failed: Option<PathBuf>,
    /// Time that a hook has. It holds the app's lock, so it must not take long.
    pub timeout: Duration,
}

/// What is followed in the repository.
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
    /// Holds `releases/`, `shared/` and `current`.
    pub root: PathBuf,
    /// Paths, relative to a release, that outlive it.
    pub shared: Vec<SharedPath>,
    /// The build script.
    pub build: Option<PathBuf>,
    /// Time after which the build is ended.
    pub build_timeout: Duration,
    /// How many good releases stay.
    pub keep: usize,
    /// Environment of the build script beside the `PP_…` variables.
    pub env: BTreeMap<String, String>,
}

/// A path that outlives releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedPath {
    /// Relative to the release, and to `shared/`.
    pub path: PathBuf,
    /// Made as a directory where nothing is there yet.
    pub directory: bool,
}

/// The pinned keys of an app, whose file is `file`, that names no other: one file for the whole host and for
/// everybody who asks, which is root's. Of a configuration elsewhere, the one beside it.
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
    /// Checks a merged fragment.
    ///
    /// # Errors
    /// The first thing that is missing or cannot be, with the key's name.
    pub(crate) fn new(name: &str, path: &Path, fragment: Fragment) -> Result<Self, ConfigError> {
        let error = |what: String| ConfigError::new(path, what);
        let or = |span: Option<Span>, default: u64| {
            span.map_or(Duration::from_secs(default), |Span(duration)| duration)
        };
        let repository = fragment.repository.ok_or_else(|| {
            error("`repository` is missing".into())
                .mend("such as: repository = \"github.com-repo-todo:me/todo.git\"")
        })?;
        let repository = RepositoryUrl::parse(&repository)
            .map_err(|why| error(format!("`repository`: {why}")))?;
        let root = fragment.deploy.root.ok_or_else(|| {
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
        let interval = or(fragment.interval, 300);
        if interval < Duration::from_secs(5) {
            return Err(error("`interval` is under five seconds".into())
                .mend("a forge that is asked that often will lock you out"));
        }
        let allowed_signers = fragment.verify.allowed_signers;
        if let Some(file) = allowed_signers.as_ref().filter(|file| !file.is_absolute()) {
            return Err(error(format!(
                "`verify.allowed_signers` is {}, not an absolute path",
                file.display()
            )));
        }
        let units = |key: &str, names: Option<Vec<String>>| {
            let names = names.unwrap_or_default();
            let parse = |unit: String| {
                UnitName::parse(&unit).map_err(|e| error(format!("`{key}`: `{unit}`: {e}")))
            };
            names.into_iter().map(parse).collect::<Result<Vec<_>, _>>()
        };
        let build = fragment.deploy.build;
        if build
            .as_deref()
            .is_some_and(|b| !b.is_absolute() && !stays_below(b))
        {
            return Err(error("`deploy.build` leaves the release".into())
                .mend("write a path inside the repository, or an absolute one"));
        }
        let mut ssh = Ssh::from(fragment.ssh);
        ssh.known_hosts.get_or_insert_with(|| known_hosts(path));
        let (submodules, empty) =
            submodule::submodules(fragment.submodule, &ssh, &fragment.https).map_err(error)?;
        let restart = units("restart.units", fragment.restart.units)?;
        let reload = units("restart.reload", fragment.restart.reload)?;
        let elsewhere = units("restart.elsewhere", fragment.restart.elsewhere)?;
        if let Some(unit) = elsewhere
            .iter()
            .find(|unit| !restart.contains(unit) && !reload.contains(unit))
        {
            return Err(error(format!(
                "`restart.elsewhere`: {unit} is neither in `units` nor in `reload`"
            ))
            .mend("it names units of these two lists that do not work in the release"));
        }
        Ok(Self {
            name: name.to_owned(),
            path: path.to_owned(),
            repository,
            follow: follow(fragment.branch, fragment.tag, fragment.reference).map_err(error)?,
            interval,
            submodules,
            tree: tree::rules(fragment.tree, empty).map_err(error)?,
            fetch: Fetch {
                timeout: or(fragment.fetch.timeout, 10 * 60),
                limit: fragment.fetch.limit.map_or(2 << 30, |Size(bytes)| bytes),
            },
            ssh,
            https: https::options(fragment.https).map_err(error)?,
            allowed_signers,
            fast_forward_only: fragment.verify.fast_forward_only.unwrap_or(true),
            deploy: Deploy {
                root,
                shared: shared(fragment.deploy.shared.unwrap_or_default()).map_err(error)?,
                build,
                build_timeout: or(fragment.deploy.build_timeout, 15 * 60),
                keep: fragment.deploy.keep.unwrap_or(5).max(2),
                env: fragment.deploy.env.unwrap_or_default(),
            },
            restart,
            reload,
            elsewhere,
            health: health::health(fragment.health).map_err(error)?,
            hooks: Hooks {
                deployed: fragment.hooks.deployed,
                failed: fragment.hooks.failed,
                timeout: or(fragment.hooks.timeout, 60),
            },
            fingerprint: String::new(),
        })
    }
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

fn shared(paths: Vec<String>) -> Result<Vec<SharedPath>, String> {
    let check = |written: String| {
        let path = PathBuf::from(written.trim_end_matches('/'));
        if !stays_below(&path) || path.as_os_str().is_empty() {
            return Err(format!("`deploy.shared`: `{written}` leaves the release"));
        }
        // `media` is a directory, `db.sqlite3` and `.env` are files, as far as a name can tell.
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let directory = written.ends_with('/') || !name.contains(&b'.');
        Ok(SharedPath { path, directory })
    };
    paths.into_iter().map(check).collect()
}
