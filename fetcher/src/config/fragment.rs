//! The files as they are written: every key optional, unknown keys refused.
//!
//! `config.toml` and `apps.d/APP.toml` have the same shape; what an app leaves out comes from
//! `config.toml`, and what that leaves out from [`super::settings`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::expect::Expect;
use super::size::Size;
use crate::util::duration::Span;

/// One file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fragment {
    /// Where the repository is.
    pub repository: Option<String>,
    /// Follow this branch.
    pub branch: Option<String>,
    /// Or follow the highest version among the tags that match, such as `v*`.
    pub tag: Option<String>,
    /// Or follow this very ref.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// Time between two polls of the service.
    pub interval: Option<Span>,
    /// `[ssh]`
    #[serde(default)]
    pub ssh: Ssh,
    /// `[[submodule]]`
    #[serde(default)]
    pub submodule: Vec<Submodule>,
    /// `[https]`
    #[serde(default)]
    pub https: Https,
    /// `[fetch]`
    #[serde(default)]
    pub fetch: Fetch,
    /// `[verify]`
    #[serde(default)]
    pub verify: Verify,
    /// `[tree]`
    #[serde(default)]
    pub tree: Tree,
    /// `[deploy]`
    #[serde(default)]
    pub deploy: Deploy,
    /// `[restart]`
    #[serde(default)]
    pub restart: Restart,
    /// `[health]`
    #[serde(default)]
    pub health: Health,
    /// `[hooks]`
    #[serde(default)]
    pub hooks: Hooks,
}

/// How ssh is called; what is left out is left to ssh.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ssh {
    /// The deploy key's private half.
    pub identity: Option<PathBuf>,
    /// Host keys that are trusted.
    pub known_hosts: Option<PathBuf>,
    /// An ssh_config file of its own: host aliases.
    pub config: Option<PathBuf>,
    /// The socket of an agent.
    pub agent: Option<PathBuf>,
}

/// `[[submodule]]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Submodule {
    /// Where it stands in the repository.
    pub path: PathBuf,
    /// Where its own repository is.
    pub repository: Option<String>,
    /// Its directory is made and stays empty, as after a clone without submodules.
    #[serde(default)]
    pub empty: bool,
    /// `[submodule.ssh]`: what it leaves out is the app's.
    #[serde(default)]
    pub ssh: Ssh,
    /// `[submodule.https]`: authorities and proxy are the app's if it leaves them out. The token is
    /// not: it is for the app's own server.
    #[serde(default)]
    pub https: Https,
}

/// How https is spoken.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Https {
    /// File that holds the token, on one line.
    pub token_file: Option<PathBuf>,
    /// The user name the token is sent with.
    pub username: Option<String>,
    /// The authorities a server's certificate may be signed by, as PEM.
    pub ca_file: Option<PathBuf>,
    /// `http://host:port` of a proxy.
    pub proxy: Option<String>,
}

/// What one conversation with the server may cost.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fetch {
    /// From the connection to the last byte.
    pub timeout: Option<Span>,
    /// Most that the server may send.
    pub limit: Option<Size>,
}

/// What of a tree is treated as an exception; patterns of paths.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tree {
    /// Not deployed at all.
    pub leave_out: Option<Vec<String>>,
    /// Symbolic links that may lead out of the release.
    pub outside_links: Option<Vec<String>>,
    /// Git LFS pointers that are deployed as they are.
    pub lfs_pointers: Option<Vec<String>>,
    /// Files that are deployed without the filter that `.gitattributes` asks for.
    pub unfiltered: Option<Vec<String>>,
}

/// What a revision must be before it is taken.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verify {
    /// Who may sign, in `ssh-keygen(1)`'s format.
    pub allowed_signers: Option<PathBuf>,
    /// Only descendants of the live revision are taken.
    pub fast_forward_only: Option<bool>,
}

/// Where and how a release is made.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deploy {
    /// Holds `releases/`, `shared/` and `current`.
    pub root: Option<PathBuf>,
    /// Paths that outlive releases.
    pub shared: Option<Vec<String>>,
    /// The build script, in the release or absolute.
    pub build: Option<PathBuf>,
    /// Time after which the build is ended.
    pub build_timeout: Option<Span>,
    /// How many good releases stay.
    pub keep: Option<usize>,
    /// Environment of the build script.
    pub env: Option<BTreeMap<String, String>>,
}

/// What is restarted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restart {
    /// Units to restart, in this order.
    pub units: Option<Vec<String>>,
    /// Units to reload, after those.
    pub reload: Option<Vec<String>>,
    /// Units among them whose processes work elsewhere than in the release.
    pub elsewhere: Option<Vec<String>>,
}

/// When the app is well.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Health {
    /// `http://host:port/path` or `unix:/socket:/path`.
    pub url: Option<String>,
    /// The `Host` header.
    pub host: Option<String>,
    /// More headers.
    pub headers: Option<BTreeMap<String, String>>,
    /// The statuses that mean well.
    pub expect: Option<Expect>,
    /// How long it may take to become well.
    pub within: Option<Span>,
    /// How long it must stay well.
    pub steady: Option<Span>,
    /// How long one request may take.
    pub timeout: Option<Span>,
}

/// Programs told afterwards.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hooks {
    /// After a good deploy.
    pub deployed: Option<PathBuf>,
    /// After one that failed.
    pub failed: Option<PathBuf>,
    /// When either is ended.
    pub timeout: Option<Span>,
}

impl Fragment {
    /// This fragment, with `defaults` where it is silent.
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
        let mut env = d.deploy.env.unwrap_or_default();
        env.extend(self.deploy.env.unwrap_or_default());
        Self {
            repository: self.repository.or(d.repository),
            branch,
            tag,
            reference,
            interval: self.interval.or(d.interval),
            ssh: Ssh {
                identity: self.ssh.identity.or(d.ssh.identity),
                known_hosts: self.ssh.known_hosts.or(d.ssh.known_hosts),
                config: self.ssh.config.or(d.ssh.config),
                agent: self.ssh.agent.or(d.ssh.agent),
            },
            // A submodule is one repository's: there is nothing to inherit.
            submodule: self.submodule,
            https: Https {
                token_file: self.https.token_file.or(d.https.token_file),
                username: self.https.username.or(d.https.username),
                ca_file: self.https.ca_file.or(d.https.ca_file),
                proxy: self.https.proxy.or(d.https.proxy),
            },
            fetch: Fetch {
                timeout: self.fetch.timeout.or(d.fetch.timeout),
                limit: self.fetch.limit.or(d.fetch.limit),
            },
            tree: Tree {
                leave_out: self.tree.leave_out.or(d.tree.leave_out),
                outside_links: self.tree.outside_links.or(d.tree.outside_links),
                lfs_pointers: self.tree.lfs_pointers.or(d.tree.lfs_pointers),
                unfiltered: self.tree.unfiltered.or(d.tree.unfiltered),
            },
            verify: Verify {
                allowed_signers: self.verify.allowed_signers.or(d.verify.allowed_signers),
                fast_forward_only: self.verify.fast_forward_only.or(d.verify.fast_forward_only),
            },
            deploy: Deploy {
                root: self.deploy.root.or(d.deploy.root),
                shared: self.deploy.shared.or(d.deploy.shared),
                build: self.deploy.build.or(d.deploy.build),
                build_timeout: self.deploy.build_timeout.or(d.deploy.build_timeout),
                keep: self.deploy.keep.or(d.deploy.keep),
                env: Some(env),
            },
            restart: Restart {
                units: self.restart.units.or(d.restart.units),
                reload: self.restart.reload.or(d.restart.reload),
                elsewhere: self.restart.elsewhere.or(d.restart.elsewhere),
            },
            health: Health {
                url: self.health.url.or(d.health.url),
                host: self.health.host.or(d.health.host),
                headers: self.health.headers.or(d.health.headers),
                expect: self.health.expect.or(d.health.expect),
                within: self.health.within.or(d.health.within),
                steady: self.health.steady.or(d.health.steady),
                timeout: self.health.timeout.or(d.health.timeout),
            },
            hooks: Hooks {
                deployed: self.hooks.deployed.or(d.hooks.deployed),
                failed: self.hooks.failed.or(d.hooks.failed),
                timeout: self.hooks.timeout.or(d.hooks.timeout),
            },
        }
    }
}
