//! What the apps' user finds out about its checkout: git's view of it, the jobs of cron that update it, and how ssh
//! reaches the server. All of it is the user's own, so root reads none of it; what is found here only fills a plan that
//! a person sees, and each part is checked again where root acts on it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::data::{Extra, ExtraKind};
use super::jobs::{self, read};
use super::poller::{self, Job};
use crate::git::ssh::expanded;
use crate::hostkey::known;
use crate::process::ask::ask;
use crate::release::layout;
use crate::util::text;

/// The time that one of these programs has.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was found.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// The address of the repository, as the checkout has it.
    pub repository: Option<String>,
    /// The branch that is checked out.
    pub branch: Option<String>,
    /// The commit that is checked out.
    pub commit: Option<String>,
    /// Files that git does not have, or that differ from the commit.
    pub extras: Vec<Extra>,
    /// Jobs of cron that update the checkout.
    pub jobs: Vec<Job>,
    /// What an adoption would make, and is there already.
    pub taken: Vec<PathBuf>,
    /// Whether a job in the user's own crontab updates the checkout.
    pub own_jobs: bool,
    /// The server, as the makeshift's ssh reaches it; `None` if it is not reached by ssh.
    pub server: Option<Server>,
    /// The build script at the top of the checkout, and whether it restarts units itself.
    pub build: Option<(String, bool)>,
    /// Paths that a person has named, and that are not there.
    pub absent: Vec<String>,
    /// Units that update the checkout.
    pub pollers: Vec<String>,
    /// What could not be found out, and why.
    pub errors: Vec<String>,
}

/// A server of git, as ssh with the makeshift's options reaches it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Server {
    /// The server's real name.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// The user name at the server.
    pub user: String,
    /// The ssh_config(5) file that the makeshift names.
    pub config: Option<PathBuf>,
    /// The private key.
    pub key: Option<PathBuf>,
    /// Fingerprints of the host keys that the user trusts today.
    pub trusted: Vec<String>,
}

/// What the user is told that it should look at.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Places {
    /// The checkout.
    pub directory: PathBuf,
    /// The paths that the user's own crontab names. Root hands them over: crontab(1) is setgid, which counts for no
    /// process without new privileges. Nothing else of the crontab: everybody sees a command line.
    pub own_scripts: Vec<String>,
    /// Paths of the checkout that a person has named.
    pub named: Vec<String>,
    /// Units of other programs, each with the words of its commands.
    pub units: Vec<(String, Vec<String>)>,
}

/// Looks at a checkout.
#[must_use]
pub(crate) fn look(places: &Places) -> Facts {
    let directory = &*places.directory;
    let mut facts = Facts::default();
    let git = |arguments: &[&str]| git(directory, arguments);
    let mut found = |what: &str, answer: Result<String, String>| match answer {
        Ok(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Ok(_) => None,
        Err(why) => {
            facts.errors.push(format!("{what}: {why}"));
            None
        }
    };
    facts.commit = found("the commit", commit(directory));
    facts.branch = found("the branch", git(&["symbolic-ref", "--short", "HEAD"]));
    facts.repository = found(
        "the repository",
        git(&["config", "--get", "remote.origin.url"]),
    );
    // Its first line may begin with a blank that counts.
    match git(&[
        "status",
        "--porcelain=v1",
        "-z",
        // A renamed file would have two paths.
        "--no-renames",
        "--untracked-files=normal",
        "--ignored=matching",
    ]) {
        Ok(status) => facts.extras = extras(directory, &status),
        Err(why) => facts.errors.push(format!("the status: {why}")),
    }
    named(directory, &places.named, &mut facts);
    facts.jobs = jobs::of_host(directory);
    let updates = |scripts: &[String]| {
        scripts
            .iter()
            .any(|path| jobs::is_poller(Path::new(path), directory))
    };
    facts.own_jobs = updates(&places.own_scripts);
    let pollers = places.units.iter().filter(|(_, words)| updates(words));
    facts.pollers = pollers.map(|(unit, _)| unit.clone()).collect();
    facts.build = build(directory);
    let own = git(&["config", "--get", "core.sshCommand"]).unwrap_or_default();
    facts.server = facts
        .repository
        .as_deref()
        .and_then(|address| server(address, &ssh_words(&facts.jobs, own.trim())));
    facts
}

/// Gives the commit that is checked out.
///
/// # Errors
/// What git has said.
pub(super) fn commit(directory: &Path) -> Result<String, String> {
    git(directory, &["rev-parse", "HEAD"]).map(|said| said.trim().to_owned())
}

/// Begins a command of git in a checkout, such that git writes nothing and starts no monitor.
pub(crate) fn git_in(checkout: &Path) -> Command {
    let mut git = Command::new("git");
    git.args(["--no-optional-locks", "-c", "core.fsmonitor=false", "-C"]);
    git.arg(checkout);
    git
}

/// Runs git in the checkout, which belongs to this user. Nothing is fetched or changed.
fn git(directory: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut git = git_in(directory);
    git.args(arguments);
    let output = ask(&git, b"", PATIENCE).map_err(|error| error.to_string())?;
    match output.code {
        0 => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        _ => Err(text::line(&output.stderr)),
    }
}

/// Reads the output of `git status -z`: two letters, a blank, a path. What pp-fetcher itself makes does not count.
fn extras(directory: &Path, status: &str) -> Vec<Extra> {
    let mut extras = Vec::new();
    for entry in status.split('\0') {
        let (Some(letters), Some(path)) = (entry.get(..2), entry.get(3..)) else {
            continue;
        };
        let top = path.split('/').next().unwrap_or_default();
        if layout::MADE_IN_ROOT.contains(&top) || path.is_empty() {
            continue;
        }
        extras.push(Extra {
            path: path.to_owned(),
            kind: kind(&directory.join(path.trim_end_matches('/'))),
            tracked: !matches!(letters, "??" | "!!"),
        });
    }
    extras
}

fn kind(path: &Path) -> ExtraKind {
    let Ok(found) = path.symlink_metadata() else {
        return ExtraKind::File;
    };
    if found.is_dir() {
        return match path.join("pyvenv.cfg").exists() {
            true => ExtraKind::VirtualEnvironment,
            false => ExtraKind::Directory,
        };
    }
    // <https://www.sqlite.org/fileformat.html>, "The Database Header"
    let mut head = [0; 16];
    let read = || fs::File::open(path)?.read_exact(&mut head);
    let is_database = found.is_file() && { read }().is_ok() && &head == b"SQLite format 3\0";
    match is_database {
        true => ExtraKind::Database,
        false => ExtraKind::File,
    }
}

/// Takes up what a person has named and git does not list: a file of the commit, or one that git is told to skip.
fn named(directory: &Path, paths: &[String], facts: &mut Facts) {
    for path in paths {
        let path = path.trim_end_matches('/');
        let mut listed = facts
            .extras
            .iter()
            .map(|extra| extra.path.trim_end_matches('/'));
        if listed.any(|one| one == path) {
            continue;
        }
        let full = directory.join(path);
        match full.symlink_metadata() {
            Err(_) => facts.absent.push(path.to_owned()),
            Ok(_) => facts.extras.push(Extra {
                path: path.to_owned(),
                kind: kind(&full),
                tracked: true,
            }),
        }
    }
}

fn build(directory: &Path) -> Option<(String, bool)> {
    let script = read(&directory.join("deploy.sh"))?;
    Some(("deploy.sh".to_owned(), poller::restarts_units(&script)))
}

/// The words with which the makeshift calls ssh.
fn ssh_words(jobs: &[Job], own: &str) -> Vec<String> {
    let scripts = jobs
        .iter()
        .filter_map(|job| read(Path::new(job.script.as_ref()?)));
    let of_scripts = scripts
        .map(|script| poller::ssh_words(&script))
        .find(|words| !words.is_empty());
    of_scripts.unwrap_or_else(|| poller::words_after_ssh(own))
}

/// Resolves the server of an address as ssh itself does (`ssh -G`), with the words of the makeshift.
fn server(address: &str, words: &[String]) -> Option<Server> {
    let (user, host) = match address.split_once("://") {
        Some(("ssh", rest)) => {
            let authority = rest.split('/').next()?;
            split_user(authority.split(':').next()?)
        }
        Some(_) => return None,
        None => split_user(address.split_once(':')?.0),
    };
    let port = address.strip_prefix("ssh://").and_then(|rest| {
        rest.split('/')
            .next()?
            .rsplit_once(':')?
            .1
            .parse::<u16>()
            .ok()
    });
    let mut ssh = Command::new("ssh");
    ssh.arg("-G").args(words);
    ssh.args(port.map(|port| format!("-p{port}")));
    ssh.args(user.map(|user| format!("-l{user}")));
    ssh.arg("--").arg(host);
    let output = ask(&ssh, b"", PATIENCE).ok()?;
    let mut server = resolved(&String::from_utf8_lossy(&output.stdout));
    let config = words.iter().position(|word| word == "-F");
    server.config = config.and_then(|at| words.get(at + 1)).map(PathBuf::from);
    Some(server)
}

fn split_user(authority: &str) -> (Option<&str>, &str) {
    match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    }
}

/// Reads the output of `ssh -G`.
fn resolved(output: &str) -> Server {
    let mut server = Server::default();
    let (mut alias, mut files) = (None, Vec::new());
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let path = |value: &str| expanded(value, &home);
    for line in output.lines() {
        let Some((name, value)) = line.split_once(' ') else {
            continue;
        };
        match name {
            "hostname" => server.host = value.to_owned(),
            "port" => server.port = value.parse().unwrap_or(22),
            "user" => server.user = value.to_owned(),
            "hostkeyalias" => alias = Some(value.to_owned()),
            "userknownhostsfile" => files = value.split_whitespace().map(path).collect(),
            "identityfile" if server.key.is_none() => {
                server.key = Some(path(value)).filter(|key| fs::File::open(key).is_ok());
            }
            _ => {}
        }
    }
    let name = alias.unwrap_or_else(|| match server.port {
        22 => server.host.clone(),
        port => format!("[{}]:{port}", server.host),
    });
    for file in files {
        let pins = known::of_text(&fs::read(&file).unwrap_or_default(), &file, &name);
        let keys = pins.into_iter().filter(|pin| pin.marker.is_none());
        server.trusted.extend(keys.map(|pin| pin.fingerprint));
    }
    server
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_does_not_have_is_read_with_its_kind() {
        let checkout = tempfile::tempdir().unwrap();
        let at = |name: &str| checkout.path().join(name);
        fs::write(at("db.sqlite3"), b"SQLite format 3\0rest").unwrap();
        fs::create_dir_all(at("venv")).unwrap();
        fs::write(at("venv/pyvenv.cfg"), "").unwrap();
        fs::create_dir(at("media")).unwrap();
        let status = "?? db.sqlite3\0!! venv/\0!! media/\0 M settings.py\0?? releases/\0";
        let extras = extras(checkout.path(), status);
        let kinds: Vec<_> = extras
            .iter()
            .map(|extra| (extra.kind, extra.tracked))
            .collect();
        assert_eq!(
            kinds,
            [
                (ExtraKind::Database, false),
                (ExtraKind::VirtualEnvironment, false),
                (ExtraKind::Directory, false),
                (ExtraKind::File, true)
            ]
        );
    }

    #[test]
    fn what_a_person_names_is_taken_up_although_git_does_not_list_it() {
        let checkout = tempfile::tempdir().unwrap();
        fs::write(checkout.path().join("settings.py"), "").unwrap();
        let mut facts = Facts {
            extras: extras(checkout.path(), "?? media/\0"),
            ..Facts::default()
        };
        let paths = ["media", "settings.py", "nowhere/"].map(str::to_owned);
        named(checkout.path(), &paths, &mut facts);
        let found: Vec<_> = facts
            .extras
            .iter()
            .map(|extra| (&*extra.path, extra.tracked))
            .collect();
        assert_eq!(found, [("media/", false), ("settings.py", true)]);
        assert_eq!(facts.absent, ["nowhere"]);
    }

    #[test]
    fn a_server_is_what_ssh_makes_of_the_address() {
        let output = "user git\nhostname github.com\nport 22\nidentityfile /nowhere/key\nuserknownhostsfile /nowhere/known_hosts\n";
        let server = resolved(output);
        assert_eq!(
            (server.host.as_str(), server.port, server.user.as_str()),
            ("github.com", 22, "git")
        );
        assert_eq!(server.key, None);
        assert!(self::server("https://x/y.git", &[]).is_none());
        assert!(self::server("/srv/git/x.git", &[]).is_none());
    }
}
