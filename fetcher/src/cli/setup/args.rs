//! What `setup` is told.

use std::path::PathBuf;

use clap::Args;

/// What `setup` is told.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The app")]
pub(crate) struct Setup {
    /// The app's name, which its files, its key and its directories get
    #[arg(value_name = "APP")]
    pub app: String,

    /// The git repository: git@github.com:me/todo.git, ssh://…, https://… or a directory
    #[arg(long, value_name = "ADDRESS")]
    pub repository: Option<String>,
    /// The branch to deploy [default: main]
    #[arg(long, value_name = "NAME", conflicts_with = "tag")]
    pub branch: Option<String>,
    /// Deploy the highest version among the tags that match, such as "v*"
    #[arg(long, value_name = "PATTERN")]
    pub tag: Option<String>,
    /// The time between two polls, such as 1m
    #[arg(long, value_name = "TIME")]
    pub interval: Option<String>,
    /// An ssh_config(5) file of root's that has an alias in the address [default:
    /// /etc/pp-fetcher/ssh_config where it has one]
    #[arg(long, value_name = "FILE")]
    pub ssh_config: Option<PathBuf>,
    /// The fingerprint of the host key, as the forge publishes it; needed without a terminal, except
    /// for GitHub, GitLab.com, Codeberg and Bitbucket, whose published fingerprints are known
    #[arg(long, value_name = "SHA256:…")]
    pub host_key_fingerprint: Option<String>,

    /// The script that builds a release, in the repository, such as deploy.sh
    #[arg(long, value_name = "SCRIPT")]
    pub build: Option<String>,
    /// A file, or with a / at its end a directory, that outlives releases: db.sqlite3, media/;
    /// may be given again
    #[arg(long, value_name = "PATH")]
    pub shared: Vec<String>,
    /// A variable of the build script; may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
    /// A file of variables for the build script and for the unit that --gunicorn makes; may be
    /// given again
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<String>,
    /// Where the build collects static files: STATIC_ROOT of the build script [default with
    /// --gunicorn: /www/static/APP]
    #[arg(long, value_name = "DIR")]
    pub static_root: Option<PathBuf>,
    /// The app's root directory [default: /var/www/projects/APP]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// A unit to restart after a deploy; may be given again [default with --gunicorn:
    /// gunicorn.APP.service]
    #[arg(long, value_name = "UNIT", help_heading = "How it runs")]
    pub unit: Vec<String>,
    /// Make a unit that runs this WSGI application under gunicorn, such as todo.wsgi
    #[arg(long, value_name = "MODULE", help_heading = "How it runs")]
    pub gunicorn: Option<String>,
    /// The gunicorn of a virtual environment that the build makes in the release, such as .venv
    #[arg(
        long,
        value_name = "DIR",
        requires = "gunicorn",
        help_heading = "How it runs"
    )]
    pub venv: Option<PathBuf>,
    /// The app answers at this port of 127.0.0.1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = "How it runs")]
    pub port: Option<u16>,
    /// The app answers at a Unix socket that systemd holds, so that no request is refused while it
    /// restarts; so it is with --gunicorn unless --port is given
    #[arg(
        long,
        conflicts_with = "port",
        requires = "gunicorn",
        help_heading = "How it runs"
    )]
    pub socket: bool,
    /// Make a site of nginx with this server name
    #[arg(long, value_name = "NAME", help_heading = "How it runs")]
    pub nginx: Option<String>,
    /// The URL that says whether the app is well, where it is not at --port or --socket
    #[arg(long, value_name = "URL", help_heading = "How it runs")]
    pub health_url: Option<String>,
    /// The path that is asked at --port or --socket
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/",
        hide_default_value = false,
        help_heading = "How it runs"
    )]
    pub health_path: String,
    /// The Host header that the app is asked with, one of its ALLOWED_HOSTS [default: that of
    /// --nginx]
    #[arg(long, value_name = "NAME", help_heading = "How it runs")]
    pub health_host: Option<String>,

    /// Show every file and every step, and change nothing
    #[arg(long, help_heading = "What is done")]
    pub dry_run: bool,
    /// Do not ask on a terminal whether to go on
    #[arg(long, short = 'y', help_heading = "What is done")]
    pub yes: bool,
    /// Take away what setup has made of this app; its data stays
    #[arg(long, help_heading = "What is done", conflicts_with_all = ["repository", "gunicorn", "unit", "nginx"])]
    pub remove: bool,
    /// With --remove: its releases, its shared data, its state and its static files as well
    #[arg(long, help_heading = "What is done")]
    pub data: bool,
}

/// What a process that has become the apps' user is told by `setup`, in JSON.
#[derive(Debug, Args)]
pub(crate) struct SetupForUser {
    /// What to make
    #[arg(value_name = "JSON")]
    pub order: String,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
