//! A git server as the big ones are: ssh only, a deploy key that may read one repository.
//!
//! It is a second sshd of the host, on a port of its own, with a host key of its own. Commits are
//! made in its bare repositories directly, as somebody else's push would make them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::lab::Lab;

/// Name of the server, in `/etc/hosts` and in `known_hosts`.
pub const NAME: &str = "forge.example";
/// Its port.
pub const PORT: u16 = 2222;
/// The file of host keys that the fetcher trusts.
pub const KNOWN_HOSTS: &str = "/etc/pp-fetcher/known_hosts";
/// The file of host aliases that the fetcher's ssh reads.
pub const SSH_CONFIG: &str = "/etc/pp-fetcher/ssh_config";

const SSHD_CONFIG: &str = include_str!("../fixtures/forge/sshd_config");
const UNIT: &str = include_str!("../fixtures/forge/forge.service");
const READ_ONLY: &str = include_str!("../fixtures/forge/read-only");
const SETUP: &str = include_str!("../fixtures/forge/setup.sh");

/// The server.
#[derive(Debug)]
pub struct Forge(());

/// Files of a commit: path, and mode (as git writes it) with content.
#[derive(Debug, Clone, Default)]
pub struct Tree(BTreeMap<String, (&'static str, Vec<u8>)>);

impl Tree {
    /// Adds or replaces a file.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.0.insert(path.to_owned(), ("100644", content.into()));
        self
    }

    /// Adds or replaces a program.
    #[must_use]
    pub fn program(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.0.insert(path.to_owned(), ("100755", content.into()));
        self
    }

    /// Adds or replaces a symbolic link.
    #[must_use]
    pub fn link(mut self, path: &str, target: &str) -> Self {
        self.0.insert(path.to_owned(), ("120000", target.into()));
        self
    }

    /// The stream that `git fast-import` makes one commit of.
    fn stream(&self, branch: &str, parent: bool, subject: &str, time: u64) -> Vec<u8> {
        let mut out = format!(
            "commit refs/heads/{branch}\ncommitter Ada Example <ada@example.org> {time} +0000\ndata {}\n{subject}\n",
            subject.len()
        )
        .into_bytes();
        if parent {
            out.extend(format!("from refs/heads/{branch}^0\n").bytes());
        }
        out.extend(b"deleteall\n");
        for (path, (mode, content)) in &self.0 {
            out.extend(format!("M {mode} inline {path}\ndata {}\n", content.len()).bytes());
            out.extend(content);
            out.push(b'\n');
        }
        out
    }
}

impl Forge {
    /// Sets the server up and starts it.
    ///
    /// # Errors
    /// Any of it failed.
    pub fn start(lab: &Lab) -> Result<Self> {
        lab.write(
            "/etc/forge/sshd_config",
            SSHD_CONFIG.as_bytes(),
            0o644,
            "root:root",
        )?;
        lab.write(
            "/etc/systemd/system/forge.service",
            UNIT.as_bytes(),
            0o644,
            "root:root",
        )?;
        lab.write(
            "/usr/local/lib/forge/read-only",
            READ_ONLY.as_bytes(),
            0o755,
            "root:root",
        )?;
        lab.sh(SETUP)?;
        let forge = Self(());
        forge.trust(lab)?;
        Ok(forge)
    }

    /// Writes the server's present host key to [`KNOWN_HOSTS`], and nothing else.
    ///
    /// # Errors
    /// It could not be written.
    pub fn trust(&self, lab: &Lab) -> Result<()> {
        let key = lab.read("/etc/forge/host_key.pub")?;
        let line = format!("[{NAME}]:{PORT} {key}\n");
        lab.write(KNOWN_HOSTS, line.as_bytes(), 0o644, "root:root")
    }

    /// Gives the server another host key, as a forge that rotates its key or an impostor would.
    ///
    /// # Errors
    /// It could not be made, or the server does not start with it.
    pub fn change_host_key(&self, lab: &Lab) -> Result<()> {
        lab.sh("rm /etc/forge/host_key /etc/forge/host_key.pub
             ssh-keygen -q -t ed25519 -N '' -C forge -f /etc/forge/host_key
             systemctl restart forge.service")?;
        Ok(())
    }

    /// Makes an empty repository that no key may read yet. Gives back its URL, which takes no alias.
    ///
    /// # Errors
    /// It could not be made.
    pub fn empty_repository(&self, lab: &Lab, app: &str) -> Result<String> {
        lab.as_user("git")
            .cmd(["git", "init", "--quiet", "--bare", "-b", "main"])
            .args([&Self::path(app)])
            .ok()?;
        Ok(Self::url(app))
    }

    /// The URL of a repository, without an alias.
    #[must_use]
    pub fn url(app: &str) -> String {
        format!("ssh://git@{NAME}:{PORT}/me/{app}.git")
    }

    /// Lets every user of the host read the repositories without the server. Gives back the URL of one.
    ///
    /// # Errors
    /// They could not be opened.
    pub fn open_locally(&self, lab: &Lab, app: &str) -> Result<String> {
        lab.sh("git config --system --replace-all safe.directory '*'; chmod 755 /srv/git")?;
        Ok(format!("file://{}", Self::path(app)))
    }

    /// Registers a public key as a deploy key: it may read one repository and nothing else.
    ///
    /// # Errors
    /// It could not be written down.
    pub fn register(&self, lab: &Lab, app: &str, key: &str) -> Result<()> {
        let options = format!("restrict,command=\"/usr/local/lib/forge/read-only me/{app}.git\"");
        lab.sh(&format!(
            "echo '{options} {key}' >>/srv/git/.ssh/authorized_keys"
        ))?;
        Ok(())
    }

    /// The fingerprint of the server's present host key, as a forge publishes it.
    ///
    /// # Errors
    /// The key cannot be read.
    pub fn fingerprint(&self, lab: &Lab) -> Result<String> {
        lab.sh("ssh-keygen -l -f /etc/forge/host_key.pub | cut -d' ' -f2")
    }

    /// Makes an empty repository, a deploy key that may read it and nothing else, and the alias
    /// `github.com-repo-APP` that makes ssh use this key. Gives back the URL with the alias.
    ///
    /// # Errors
    /// Any of it failed.
    pub fn repository(&self, lab: &Lab, app: &str) -> Result<String> {
        self.empty_repository(lab, app)?;
        let key = format!("/etc/pp-fetcher/keys/{app}");
        lab.sh(&format!(
            "mkdir -p /etc/pp-fetcher/keys
             ssh-keygen -q -t ed25519 -N '' -C deploy-{app} -f {key}
             chown gunicorn: {key} {key}.pub
             cat >>{SSH_CONFIG} <<END
Host github.com-repo-{app}
    Hostname {NAME}
    Port {PORT}
    User git
    IdentityFile {key}
    IdentitiesOnly yes
END
             chmod 644 {SSH_CONFIG}"
        ))?;
        self.register(lab, app, &lab.read(&format!("{key}.pub"))?)?;
        Ok(format!("github.com-repo-{app}:me/{app}.git"))
    }

    /// Commits `tree` on top of the repository's `main` and gives back the commit's id.
    ///
    /// # Errors
    /// `git fast-import` failed.
    pub fn push(&self, lab: &Lab, app: &str, tree: &Tree, subject: &str) -> Result<String> {
        let tip = "git rev-parse --quiet --verify refs/heads/main || true";
        let git = lab.as_user("git");
        let parent = !self.git(lab, app, tip)?.is_empty();
        let now = std::time::SystemTime::now();
        let time = now
            .duration_since(std::time::UNIX_EPOCH)
            .context("the clock")?
            .as_secs();
        git.cmd([
            "git",
            "-C",
            &Self::path(app),
            "fast-import",
            "--quiet",
            "--force",
        ])
        .stdin(tree.stream("main", parent, subject, time))
        .ok()?;
        self.git(lab, app, tip)
    }

    /// Moves `main` to another revision, forwards or not, as a forced push does.
    ///
    /// # Errors
    /// There is no such revision.
    pub fn force(&self, lab: &Lab, app: &str, revision: &str) -> Result<()> {
        self.git(
            lab,
            app,
            &format!("git update-ref refs/heads/main {revision}^0"),
        )?;
        Ok(())
    }

    /// Runs a script in the repository, as its owner.
    ///
    /// # Errors
    /// It failed.
    pub fn git(&self, lab: &Lab, app: &str, script: &str) -> Result<String> {
        lab.as_user("git")
            .sh(&format!("cd {}\n{script}", Self::path(app)))
    }

    /// How many connections have logged in since the server was set up.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn logins(&self, lab: &Lab) -> Result<usize> {
        Ok(lab
            .journal(&["-u", "forge.service", "-g", "Accepted publickey"])?
            .lines()
            .count())
    }

    fn path(app: &str) -> String {
        format!("/srv/git/me/{app}.git")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_the_whole_tree_and_nothing_of_the_last_one() {
        let tree = Tree::default()
            .program("deploy.sh", "true\n")
            .file("a", "b");
        let stream = String::from_utf8(tree.stream("main", true, "Second", 7)).unwrap();
        assert_eq!(
            stream,
            "commit refs/heads/main\ncommitter Ada Example <ada@example.org> 7 +0000\n\
             data 6\nSecond\nfrom refs/heads/main^0\ndeleteall\n\
             M 100644 inline a\ndata 1\nb\nM 100755 inline deploy.sh\ndata 5\ntrue\n\n"
        );
    }
}
