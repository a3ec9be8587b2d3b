//! What `adopt` is told.

use std::path::PathBuf;

use clap::Args;

/// What `adopt` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Adopt {
    /// The app's name
    #[arg(value_name = "APP")]
    pub app: String,
    /// The checkout in which the app runs today; it becomes the app's root
    #[arg(long, value_name = "DIR", required_unless_present = "undo")]
    pub from: Option<PathBuf>,

    /// A unit that runs the app, where it does not show by itself; may be given again
    #[arg(long, value_name = "UNIT")]
    pub unit: Vec<String>,
    /// A file or directory of the checkout that outlives releases; may be given again
    #[arg(long, value_name = "PATH")]
    pub shared: Vec<String>,
    /// A file or directory of the checkout that the app does without; may be given again
    #[arg(long, value_name = "PATH")]
    pub leave: Vec<String>,
    /// A file or directory of the checkout that a unit goes on using from there; may be given again
    #[arg(long, value_name = "PATH")]
    pub keep: Vec<String>,
    /// The repository, where it is not that of the checkout
    #[arg(long, value_name = "ADDRESS")]
    pub repository: Option<String>,
    /// The private deploy key, where the poller's does not show
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// The build script, where it is not deploy.sh
    #[arg(long, value_name = "SCRIPT")]
    pub build: Option<String>,
    /// The URL that says whether the app is well, where it does not show
    #[arg(long, value_name = "URL")]
    pub health_url: Option<String>,
    /// The Host header that the app is asked with, where it does not show
    #[arg(long, value_name = "NAME")]
    pub health_host: Option<String>,
    /// The fingerprint of the host key, where the apps' user does not trust it yet
    #[arg(long, value_name = "SHA256:…")]
    pub host_key_fingerprint: Option<String>,

    /// Show what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask on a terminal whether to go on
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// Back to the checkout, with the data, and to the poller
    #[arg(long, conflicts_with = "from")]
    pub undo: bool,
}

/// What a process that has become the apps' user is told by `adopt`, in JSON.
#[derive(Debug, Args)]
pub(crate) struct AdoptForUser {
    /// What to do
    #[arg(value_name = "JSON")]
    pub task: String,
}

/// What a unit has done with its data before it starts.
#[derive(Debug, Args)]
pub(crate) struct MoveData {
    /// From `shared/` to the checkout
    #[arg(long)]
    pub back: bool,
    /// The app's root
    #[arg(value_name = "DIR")]
    pub root: PathBuf,
    /// What is moved
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}
