//! Git: one listing to see whether there is anything new, one fetch to get it.
//!
//! ```text
//!  url ─┬▶ ssh | local ─▶ pipe ─┬▶ transport ─▶ wire ─▶ remote ─▶ listing   which revision is wanted
//!       │  (a command)  (process │              (v2, v0)     └──▶ fetch ─▶ mirror   (bare repository)
//!       │                group)  │
//!       └▶ https ────────────────┘
//! ```
//!
//! The transport is OpenSSH as the user has configured it, or `git upload-pack` for a repository on
//! this machine: a process in a group of its own; or a server that is asked over https. Each has a
//! deadline and a byte budget. The protocol is spoken by us over whichever it is; the pack goes to
//! libgit2's indexer, which hashes and checks every object before the mirror takes it.

mod complete;
pub mod error;
pub mod failure;
pub mod fetch;
pub mod glob;
mod history;
mod hostkey;
pub mod https;
pub mod listing;
pub mod local;
pub mod mirror;
pub mod options;
pub mod pipe;
pub mod receive;
pub mod remote;
pub mod repack;
pub mod skeleton;
pub mod ssh;
mod sweep;
pub mod text;
pub mod transport;
pub mod url;
pub mod version;
pub mod wire;

pub use error::RemoteError;
pub use fetch::Fetched;
pub use git2::Oid;
pub use https::{HttpsError, HttpsOptions};
pub use listing::{Listed, RemoteRef, Revision, Wanted};
pub use mirror::Mirror;
pub use options::RemoteOptions;
pub use remote::Remote;
pub use ssh::SshOptions;
pub use url::RepositoryUrl;
