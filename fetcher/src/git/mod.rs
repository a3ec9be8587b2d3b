//! The git client: one listing to see whether there is a new revision, one fetch to get it.
//!
//! ```text
//!  url ─┬▶ ssh | local ─▶ pipe ─┬▶ transport ─▶ wire ─▶ remote ─▶ listing   which revision is wanted
//!       │  (a command)  (process │              (v2, v0)     └──▶ fetch ─▶ the worker, which has the mirror
//!       │                group)  │
//!       └▶ https ────────────────┘
//! ```
//!
//! The transport is a process in a group of its own, OpenSSH as the user has configured it or `git upload-pack` for
//! a repository on this machine; or a server that is asked over https. Each transport has a
//! deadline and a byte budget. pp-fetcher itself speaks git's protocol over the transport; the pack goes to
//! the worker ([`crate::worker`]), which hashes and checks every object before the mirror takes it.
//!
//! - [`multiplex`]: one ssh connection for many conversations.
//! - [`push_access`]: whether a key may push, which a deploy key should not.
//! - [`descent`], [`gitlink`]: facts about histories and submodules, proven from commits and trees.

pub(crate) mod begin;
pub(crate) mod descent;
pub(crate) mod error;
pub(crate) mod failure;
pub(crate) mod fetch;
pub(crate) mod gitlink;
mod hostkey;
pub(crate) mod https;
pub(crate) mod listing;
pub(crate) mod local;
pub(crate) mod multiplex;
pub(crate) mod options;
pub(crate) mod pipe;
pub(crate) mod push_access;
pub(crate) mod remote;
pub(crate) mod ssh;
pub(crate) mod transport;
pub(crate) mod url;
pub(crate) mod version;
pub(crate) mod wire;

pub(crate) use error::RemoteError;
pub(crate) use https::HttpsOptions;
pub(crate) use listing::RefSelector;
pub(crate) use options::RemoteOptions;
pub(crate) use remote::Remote;
pub(crate) use ssh::SshOptions;
pub(crate) use url::RepositoryUrl;
