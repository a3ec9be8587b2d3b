//! Kind I, of ssh and its files: a message names what is wrong and nothing else, and what it says to do
//! ends well.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::distant::Distant;
use super::git_support::agent::Agent;
use super::typed::{mode, type_line};
use crate::config::App;
use crate::deploy::source::Source;
use crate::repository::Repository;

impl Distant {
    /// The `[ssh]` table as it should be.
    fn ssh(&self) -> String {
        self.sshd.table()
    }

    /// What a poll with this table comes to.
    fn poll(&self, ssh: &str) -> Result<String, String> {
        let text = format!(
            "repository = \"forge:{}\"\n[deploy]\nroot = \"/srv/todo\"\n[ssh]\n{ssh}",
            self.forge.repo().display()
        );
        let app = App::new(
            "todo",
            Path::new("todo.toml"),
            toml::from_str(&text).unwrap(),
        )
        .unwrap();
        let repository = Repository::new(&app, self.forge.mirror_path());
        let listing = repository.poll(&[]).map_err(|error| error.what)?;
        Ok(listing.found().revision.to_string())
    }

    /// It fails and says all of this, and nothing of that.
    fn says(&self, ssh: &str, parts: &[&str], never: &[&str]) -> String {
        let what = self.poll(ssh).unwrap_err();
        for part in parts {
            assert!(what.contains(part), "{part:?} is missing: {what}");
        }
        for part in never {
            assert!(!what.contains(part), "{part:?} is said: {what}");
        }
        what
    }
}

#[test]
fn an_ssh_configuration_that_is_missing_is_the_file_and_not_the_repository() {
    let Some(distant) = Distant::start() else {
        return;
    };
    assert!(distant.poll(&distant.ssh()).is_ok());
    let config = distant.sshd.at("ssh_config");
    let kept = fs::read(&config).unwrap();
    fs::remove_file(&config).unwrap();
    let never = ["no such repository", "deploy key", "the server"];
    let parts = ["`config` under [ssh]", "ssh_config", "write that file"];
    distant.says(&distant.ssh(), &parts, &never);
    fs::write(&config, kept).unwrap();
    assert!(distant.poll(&distant.ssh()).is_ok());
}

#[test]
fn an_ssh_configuration_with_a_typo_is_told_as_that_with_its_line() {
    let Some(distant) = Distant::start() else {
        return;
    };
    let config = distant.sshd.at("ssh_config");
    let kept = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{kept}  IdentityFiel /x\n")).unwrap();
    let parts = [
        "the ssh configuration has a mistake",
        "line 5",
        "identityfiel",
        "mend that line",
    ];
    distant.says(&distant.ssh(), &parts, &["the server reports"]);
    fs::write(&config, kept).unwrap();
    assert!(distant.poll(&distant.ssh()).is_ok());
}

#[test]
fn pinned_keys_that_cannot_be_read_are_not_said_to_be_unknown() {
    let Some(distant) = Distant::start() else {
        return;
    };
    let pinned = distant.sshd.at("known_hosts");
    // For root a directory is what a file without a mode is for others.
    let kept = fs::read(&pinned).unwrap();
    fs::remove_file(&pinned).unwrap();
    let loop_to_itself = std::os::unix::fs::symlink(&pinned, &pinned);
    loop_to_itself.unwrap();
    let parts = [
        "`known_hosts` under [ssh]",
        "cannot be read by root",
        "chmod a+r",
    ];
    distant.says(&distant.ssh(), &parts, &["pin it", "is not known"]);
    fs::remove_file(&pinned).unwrap();
    fs::write(&pinned, kept).unwrap();
    assert!(distant.poll(&distant.ssh()).is_ok());
}

#[test]
fn a_key_that_others_may_read_is_told_without_walls_and_with_the_line_that_mends_it() {
    let Some(distant) = Distant::start() else {
        return;
    };
    mode(&distant.sshd.at("user"), 0o644);
    let what = distant.says(
        &distant.ssh(),
        &["its mode is 0644", "chmod 600 "],
        &["@@@"],
    );
    type_line(&what, "others may read it\n  ");
    assert!(distant.poll(&distant.ssh()).is_ok());
}

#[test]
fn a_key_with_a_passphrase_is_told_as_that_and_the_mend_ends_well() {
    let Some(distant) = Distant::start() else {
        return;
    };
    let key = distant.sshd.at("user");
    let set = |old: &str, new: &str| {
        let mut keygen = Command::new("ssh-keygen");
        keygen
            .args(["-q", "-p", "-P", old, "-N", new, "-f"])
            .arg(&key);
        assert!(keygen.status().unwrap().success());
    };
    set("", "secret");
    let parts = [
        "the server refuses our key",
        "has a passphrase",
        "ssh-keygen -p -f",
    ];
    distant.says(&distant.ssh(), &parts, &[]);
    set("secret", "");
    assert!(distant.poll(&distant.ssh()).is_ok());
    // Or an agent holds it.
    let agent = Agent::with(distant.sshd.dir.path(), &[&key]);
    set("", "secret");
    let ssh = format!("{}agent = \"{}\"\n", distant.ssh(), agent.socket.display());
    assert!(distant.poll(&ssh).is_ok());
}

#[test]
fn a_key_with_line_ends_of_dos_or_without_its_last_is_damaged_and_not_refused() {
    let Some(distant) = Distant::start() else {
        return;
    };
    let key = distant.sshd.at("user");
    let good = fs::read_to_string(&key).unwrap();
    fs::write(&key, good.replace('\n', "\r\n")).unwrap();
    if let Err(what) = distant.poll(&distant.ssh()) {
        assert!(what.contains("line ends of DOS"), "{what}");
        type_line(&what, "cannot read it: ");
    }
    assert!(distant.poll(&distant.ssh()).is_ok());
    fs::write(&key, good.trim_end()).unwrap();
    if let Err(what) = distant.poll(&distant.ssh()) {
        assert!(what.contains("no newline at its end"), "{what}");
        type_line(&what, "cannot read it: ");
    }
    assert!(distant.poll(&distant.ssh()).is_ok());
}

#[test]
fn an_agent_that_has_stopped_is_told_beside_the_refusal() {
    let Some(distant) = Distant::start() else {
        return;
    };
    let key = distant.sshd.at("user");
    let at = |name: &str| distant.sshd.at(name).display().to_string();
    let agent = Agent::with(distant.sshd.dir.path(), &[&key]);
    let ssh = format!(
        "known_hosts = \"{}\"\nconfig = \"{}\"\nagent = \"{}\"\n",
        at("known_hosts"),
        at("ssh_config"),
        agent.socket.display()
    );
    assert!(distant.poll(&ssh).is_ok());
    drop(agent);
    let parts = [
        "the agent at",
        "offered no key",
        "systemctl restart pp-ssh-agent.service",
    ];
    distant.says(&ssh, &parts, &[]);
    fs::remove_file(distant.sshd.at("agent.sock")).unwrap();
    let again = Agent::with(distant.sshd.dir.path(), &[&key]);
    assert!(distant.poll(&ssh).is_ok(), "{}", again.socket.display());
}

#[test]
fn a_key_that_is_missing_at_the_forge_is_asked_for_and_works_when_it_is_added() {
    let Some(distant) = Distant::start() else {
        return;
    };
    let keys = distant.sshd.at("authorized_keys");
    let kept = fs::read(&keys).unwrap();
    fs::write(&keys, "").unwrap();
    distant.says(
        &distant.ssh(),
        &["is its public half added at the forge"],
        &["passphrase", "agent"],
    );
    fs::write(&keys, kept).unwrap();
    assert!(distant.poll(&distant.ssh()).is_ok());
}
