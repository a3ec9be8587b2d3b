//! Keys, a file of allowed signers, and a repository in which git signs with them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use crate::deploy::FailureClass;
use crate::deploy::source::{Source, SourceError};
use crate::repository::Repository;

use super::git_support::Forge;
use super::support::repository;

pub struct Signing {
    pub forge: Forge,
}

/// A repository whose allowed signers are Ada alone.
pub fn ada() -> Signing {
    let signing = Signing::new();
    signing.allow("ada@example.org", "ada", "");
    signing
}

impl Signing {
    pub fn new() -> Self {
        let signing = Self {
            forge: Forge::new(),
        };
        for name in ["ada", "eve", "authority"] {
            signing.keygen(&["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"], name);
        }
        fs::write(signing.at("allowed_signers"), "# who may\n").unwrap();
        signing
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.forge.dir.path().join(name)
    }

    pub fn keygen(&self, args: &[&str], last: &str) -> String {
        let output = Command::new("ssh-keygen")
            .args(args)
            .arg(self.at(last))
            .output()
            .unwrap();
        assert!(output.status.success(), "ssh-keygen {args:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Adds a line for a key.
    pub fn allow(&self, principals: &str, key: &str, options: &str) {
        let public = fs::read_to_string(self.at(&format!("{key}.pub"))).unwrap();
        let file = OpenOptions::new()
            .append(true)
            .open(self.at("allowed_signers"));
        writeln!(file.unwrap(), "{principals} {options} {}", public.trim()).unwrap();
    }

    pub fn fingerprint(&self, key: &str) -> String {
        let listed = self.keygen(&["-l", "-f"], &format!("{key}.pub"));
        listed.split(' ').nth(1).unwrap().to_owned()
    }

    /// Makes `KEY-cert.pub`.
    pub fn certify(&self, authority: &str, key: &str, principals: &str) {
        let authority = self.at(authority).display().to_string();
        let args = ["-q", "-s", &authority, "-I", "id", "-n", principals];
        self.keygen(&args, &format!("{key}.pub"));
    }

    pub fn commit(&self, key: &str, message: &str) {
        self.commit_with(key, message);
    }

    /// Commits on main, signed with a key's or a certificate's file.
    pub fn commit_with(&self, file: &str, message: &str) {
        fs::write(self.forge.repo().join("app.py"), message).unwrap();
        self.forge.git(&["add", "-A"]);
        self.sign(file, &["commit", "-q", "-S", "-m", message]);
    }

    pub fn tag(&self, key: &str, name: &str) {
        self.sign(key, &["tag", "-s", "-m", "a release", name]);
    }

    fn sign(&self, file: &str, args: &[&str]) {
        let key = format!("user.signingkey={}", self.at(file).display());
        let mut all = vec!["-c", "gpg.format=ssh", "-c", &key];
        all.extend(args);
        self.forge.git(&all);
    }

    /// Writes an object of our own making and lets main point to it.
    pub fn set_main(&self, kind: &str, raw: &str) {
        let args = ["hash-object", "-t", kind, "-w", "--stdin", "--literally"];
        let id = self.forge.git_with(&args, raw.as_bytes());
        self.forge.git(&["update-ref", "refs/heads/main", &id]);
    }

    /// The repository as an app that follows `follow` sees it.
    pub fn repository(&self, follow: &str) -> Repository {
        let text = format!(
            "repository = \"file://{}\"\n{follow}\n[deploy]\nroot = \"/srv/todo\"\n",
            self.forge.repo().display()
        );
        repository(&text, self.forge.mirror_path())
    }

    /// Who signed what is followed.
    pub fn signer(&self, follow: &str) -> Result<String, SourceError> {
        let repository = self.repository(follow);
        let mut candidate = repository.poll(&[]).unwrap().fetch(&mut |_| {}).unwrap();
        candidate.signer(&self.at("allowed_signers"))
    }

    /// Why what is followed is refused, which is its own fault.
    pub fn refused(&self, follow: &str) -> String {
        let error = self.signer(follow).unwrap_err();
        assert_eq!(error.class, FailureClass::Revision, "{}", error.what);
        error.what
    }
}
