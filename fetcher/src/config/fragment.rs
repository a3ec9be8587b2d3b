//! The configuration files as they are written: every key optional, unknown keys refused.
//!
//! `config.toml` and `apps.d/APP.toml` have the same shape. A key that the app's file leaves out comes from
//! `config.toml`; a key that both leave out gets its default in [`super::settings`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::expect::Expect;
use super::size::Size;
use crate::util::duration::HumanDuration;

/// The contents of one configuration file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fragment {
    /// The address of the app's git repository.
    pub repository: Option<String>,
    /// The branch to follow. At most one of `branch`, `tag` and `ref` is set.
    pub branch: Option<String>,
    /// The pattern, such as `v*`, of the tags to follow: the highest version among the matching tags is
    /// deployed.
    pub tag: Option<String>,
    /// The ref to follow, by its whole name.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// The time between two polls by the service (`pp-fetcher run`).
    pub interval: Option<HumanDuration>,
    /// The tables `[[window]]`.
    pub window: Option<Vec<Window>>,
    /// The table `[ssh]`.
    #[serde(default)]
    pub ssh: Ssh,
    /// The tables `[[submodule]]`.
    #[serde(default)]
    pub submodule: Vec<Submodule>,
    /// The table `[https]`.
    #[serde(default)]
    pub https: Https,
    /// The table `[fetch]`.
    #[serde(default)]
    pub fetch: Fetch,
    /// The table `[verify]`.
    #[serde(default)]
    pub verify: Verify,
    /// The table `[tree]`.
    #[serde(default)]
    pub tree: Tree,
    /// The table `[deploy]`.
    #[serde(default)]
    pub deploy: Deploy,
    /// The table `[restart]`.
    #[serde(default)]
    pub restart: Restart,
    /// The table `[health]`.
    #[serde(default)]
    pub health: Health,
    /// The table `[hooks]`.
    #[serde(default)]
    pub hooks: Hooks,
    /// The table `[report]`, of config.toml alone.
    #[serde(default)]
    pub report: Report,
}

/// One table `[[window]]`: a time in which something new may be deployed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    /// The days on which the window begins, such as `["mon", "thu"]`; every day if left out.
    pub days: Option<Vec<String>>,
    /// When the window begins, such as `22:00`.
    pub start: Option<String>,
    /// How long the window is open.
    pub length: Option<HumanDuration>,
    /// The time zone of `start`, such as `Europe/Berlin`.
    pub tz: Option<String>,
}

/// The table `[ssh]`: how ssh is called. A key that is left out is left to ssh's own defaults.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ssh {
    /// The private key of the deploy key.
    pub identity: Option<PathBuf>,
    /// The `known_hosts` file with the trusted host keys.
    pub known_hosts: Option<PathBuf>,
    /// An additional ssh_config file, for host aliases.
    pub config: Option<PathBuf>,
    /// The socket of an ssh-agent.
    pub agent: Option<PathBuf>,
}

/// One table `[[submodule]]`: where a submodule of the app's repository is fetched from.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Submodule {
    /// The path of the submodule in the app's repository.
    pub path: PathBuf,
    /// The address of the submodule's own repository.
    pub repository: Option<String>,
    /// Whether the submodule is not fetched: its directory is made and stays empty, as after a clone without
    /// submodules.
    #[serde(default)]
    pub empty: bool,
    /// The table `[submodule.ssh]`: a key that is left out comes from the app's `[ssh]`.
    #[serde(default)]
    pub ssh: Ssh,
    /// The table `[submodule.https]`: `ca_file` and `proxy` come from the app's `[https]` if they are left
    /// out. The token does not: it is meant for the app's own server only.
    #[serde(default)]
    pub https: Https,
}

/// The table `[https]`: how a repository is reached by https.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Https {
    /// The file that holds the access token, on one line.
    pub token_file: Option<PathBuf>,
    /// The user name that is sent with the token.
    pub username: Option<String>,
    /// The certificate authorities that may sign a server's certificate, as a PEM file.
    pub ca_file: Option<PathBuf>,
    /// The address of a proxy, as `http://host:port`.
    pub proxy: Option<String>,
}

/// The table `[fetch]`: how much time and data one connection to the git server may take.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fetch {
    /// The longest time from opening the connection to the last byte.
    pub timeout: Option<HumanDuration>,
    /// The most data that the server may send.
    pub limit: Option<Size>,
}

/// The table `[tree]`: which files of a revision are exceptions to the usual checks, as patterns of paths.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tree {
    /// Files and directories that are not deployed at all.
    pub leave_out: Option<Vec<String>>,
    /// Symbolic links that may lead out of the release.
    pub outside_links: Option<Vec<String>>,
    /// Git LFS pointers that are deployed as they are.
    pub lfs_pointers: Option<Vec<String>>,
    /// Files that are deployed without the filter that `.gitattributes` asks for.
    pub unfiltered: Option<Vec<String>>,
}

/// The table `[verify]`: the conditions that a revision must meet before it is deployed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verify {
    /// The file of keys that may sign a revision, in the allowed signers format of `ssh-keygen(1)`.
    pub allowed_signers: Option<PathBuf>,
    /// Whether only descendants of the live revision are deployed.
    pub fast_forward_only: Option<bool>,
    /// The checks at the forge that must have succeeded: a list of names, or `all`.
    pub checks: Option<Checks>,
    /// Which forge is asked: `github`, `gitlab` or `gitea`.
    pub checks_forge: Option<String>,
    /// The forge's address, if it is one's own.
    pub checks_url: Option<String>,
    /// The repository as the forge names it.
    pub checks_repository: Option<String>,
    /// The file with a token that may read checks.
    pub checks_token_file: Option<PathBuf>,
    /// How long checks that have not ended are waited for.
    pub checks_within: Option<HumanDuration>,
}

/// `checks` as written: a list of names, or `all`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Checks {
    /// One word: `all`.
    Word(String),
    /// Names.
    Names(Vec<String>),
}

/// The table `[deploy]`: where and how a release is made.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deploy {
    /// The app's root directory, which holds `releases/`, `shared/` and `current`.
    pub root: Option<PathBuf>,
    /// Paths that are stored in `shared/` and linked into every release.
    pub shared: Option<Vec<String>>,
    /// The directory of the repository that a release is made of.
    pub subdirectory: Option<PathBuf>,
    /// Paths of the repository: a revision that changes none of them is not deployed.
    pub paths: Option<Vec<PathBuf>>,
    /// Files, as patterns of paths, that may have changed the database: a way back names those that it crosses.
    pub migrations: Option<Vec<String>>,
    /// The build script: a path inside the release, or an absolute path.
    pub build: Option<PathBuf>,
    /// The time after which the build script is ended.
    pub build_timeout: Option<HumanDuration>,
    /// How many good releases stay on disk.
    pub keep: Option<usize>,
    /// Environment variables of the build script.
    pub env: Option<BTreeMap<String, String>>,
    /// Files of environment variables of the build script.
    pub env_files: Option<Vec<String>>,
}

/// The table `[restart]`: which units are restarted or reloaded after the switch.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restart {
    /// Units to restart, in this order.
    pub units: Option<Vec<String>>,
    /// Units to reload, after the units that are restarted.
    pub reload: Option<Vec<String>>,
    /// Units of these two lists whose processes do not run in the release's directory.
    pub elsewhere: Option<Vec<String>>,
}

/// The table `[health]`: how it is decided that the app is healthy.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Health {
    /// The URL to probe: `http://host:port/path` or `unix:/socket:/path`.
    pub url: Option<String>,
    /// The `Host` header of the probe's requests.
    pub host: Option<String>,
    /// Further headers of the probe's requests.
    pub headers: Option<BTreeMap<String, String>>,
    /// The HTTP statuses that mean that the app is healthy.
    pub expect: Option<Expect>,
    /// How long the app may take to become healthy.
    pub within: Option<HumanDuration>,
    /// How long the app must then stay healthy.
    pub steady: Option<HumanDuration>,
    /// How long one request of the probe may take.
    pub timeout: Option<HumanDuration>,
}

/// The table `[hooks]`: programs that are run after an attempt has ended.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hooks {
    /// The program to run after a good attempt.
    pub deployed: Option<PathBuf>,
    /// The program to run after an attempt that did not end well.
    pub failed: Option<PathBuf>,
    /// The time after which either program is ended.
    pub timeout: Option<HumanDuration>,
}

/// The table `[report]`: files about all apps that are replaced after a pass.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    /// The file of metrics, for node_exporter's textfile collector.
    pub metrics: Option<PathBuf>,
    /// The directory of the status page.
    pub page: Option<PathBuf>,
}

/// Makes `over` for a table whose keys are all optional: what is not written comes from the defaults.
macro_rules! over {
    ($table:ident: $($key:ident),+) => {
        impl $table {
            fn over(self, defaults: Self) -> Self {
                Self { $($key: self.$key.or(defaults.$key)),+ }
            }
        }
    };
}

over!(Ssh: identity, known_hosts, config, agent);
over!(Https: token_file, username, ca_file, proxy);
over!(Fetch: timeout, limit);
over!(Tree: leave_out, outside_links, lfs_pointers, unfiltered);
over!(Verify: allowed_signers, fast_forward_only, checks, checks_forge, checks_url, checks_repository, checks_token_file, checks_within);
over!(Restart: units, reload, elsewhere);
over!(Health: url, host, headers, expect, within, steady, timeout);
over!(Hooks: deployed, failed, timeout);

impl Deploy {
    fn over(self, defaults: Self) -> Self {
        let mut env = defaults.env.unwrap_or_default();
        env.extend(self.env.unwrap_or_default());
        Self {
            root: self.root.or(defaults.root),
            shared: self.shared.or(defaults.shared),
            subdirectory: self.subdirectory.or(defaults.subdirectory),
            paths: self.paths.or(defaults.paths),
            migrations: self.migrations.or(defaults.migrations),
            build: self.build.or(defaults.build),
            build_timeout: self.build_timeout.or(defaults.build_timeout),
            keep: self.keep.or(defaults.keep),
            env: Some(env),
            env_files: self.env_files.or(defaults.env_files),
        }
    }
}

impl Fragment {
    /// Gives what is written here, and what is not from `defaults`.
    #[must_use]
    pub(crate) fn over(self, defaults: &Self) -> Self {
        let d = defaults.clone();
        // Which ref to follow is one choice of three: an app's choice replaces the default's whole.
        let follows = self.branch.is_some() || self.tag.is_some() || self.reference.is_some();
        let (branch, tag, reference) = if follows {
            (self.branch, self.tag, self.reference)
        } else {
            (d.branch, d.tag, d.reference)
        };
        Self {
            repository: self.repository.or(d.repository),
            branch,
            tag,
            reference,
            interval: self.interval.or(d.interval),
            // Windows belong together: an app's own replace those of the defaults.
            window: self.window.or(d.window),
            ssh: self.ssh.over(d.ssh),
            // A submodule is one repository's: there is nothing to inherit.
            submodule: self.submodule,
            https: self.https.over(d.https),
            fetch: self.fetch.over(d.fetch),
            verify: self.verify.over(d.verify),
            tree: self.tree.over(d.tree),
            deploy: self.deploy.over(d.deploy),
            restart: self.restart.over(d.restart),
            health: self.health.over(d.health),
            hooks: self.hooks.over(d.hooks),
            report: d.report,
        }
    }
}
