//! `pp-fetcher doctor` over a real sshd: each of the faults of a first hour is made, found and mended.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::distant::Distant;
use super::git_support::script;
use crate::config::App;
use crate::doctor::{ByRoot, Condition, Finding, Surroundings, examine};

impl Distant {
    fn app(&self, name: &str, repository: &str) -> App {
        let text = format!(
            "repository = \"{repository}\"\n[deploy]\nroot = \"{}/{name}\"\n[ssh]\n{}",
            self.forge.dir.path().display(),
            self.sshd.table()
        );
        let fragment = toml::from_str(&text).unwrap();
        App::new(name, Path::new("todo.toml"), fragment).unwrap()
    }

    fn look(&self, apps: &[App]) -> Vec<Finding> {
        let mut found = Vec::new();
        let around = Surroundings {
            apps,
            states: &self.forge.dir.path().join("state"),
            by_root: Some(&ByRoot::default()),
        };
        examine(&apps[0], around, &mut |finding| found.push(finding));
        found
    }

    fn todo(&self) -> App {
        self.app("todo", &format!("forge:{}", self.forge.repo().display()))
    }

    /// The finding about `link`.
    fn finds(&self, link: &str) -> Finding {
        let found = self.look(&[self.todo()]);
        let finding = found.iter().find(|finding| finding.link == link);
        finding
            .cloned()
            .unwrap_or_else(|| panic!("no {link}: {found:?}"))
    }

    /// The forge is a fault that says all of this, text and remedy together.
    fn is_broken(&self, parts: &[&str]) {
        let finding = self.finds("forge");
        assert_eq!(finding.condition, Condition::Fault, "{finding:?}");
        let all = format!("{}\n{}", finding.text, finding.remedy.join("\n"));
        for part in parts {
            assert!(all.contains(part), "{part:?} is missing: {all}");
        }
    }

    fn is_whole(&self) {
        let finding = self.finds("forge");
        assert_eq!(finding.condition, Condition::Ok, "{finding:?}");
    }
}

#[test]
fn each_fault_of_a_key_is_found_with_its_mend() {
    let Some(distant) = Distant::start() else {
        return;
    };
    distant.is_whole();
    let key = distant.sshd.at("user");
    let good = fs::read_to_string(&key).unwrap();
    let write = |text: &str| fs::write(&key, text).unwrap();
    fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    distant.is_broken(&["its mode is 0644", "chmod 600"]);
    fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    write(&good.replace('\n', "\r\n"));
    distant.is_broken(&["line ends of DOS", "sed -i"]);
    write(good.trim_end());
    distant.is_broken(&["no newline at its end", "echo >>"]);
    write(&good);
    let passphrase = |from: &str, to: &str| {
        let mut keygen = Command::new("ssh-keygen");
        keygen
            .args(["-q", "-p", "-P", from, "-N", to, "-f"])
            .arg(&key);
        assert!(keygen.status().unwrap().success());
    };
    passphrase("", "secret");
    distant.is_broken(&["has a passphrase", "ssh-keygen -p -f"]);
    passphrase("secret", "");
    distant.is_whole();
    fs::rename(&key, key.with_extension("away")).unwrap();
    fs::rename(key.with_extension("pub"), distant.sshd.at("public")).unwrap();
    distant.is_broken(&["`identity` under [ssh]", "cannot be read"]);
}

#[test]
fn a_key_that_is_not_registered_an_unknown_host_and_a_closed_port_are_found() {
    let Some(mut distant) = Distant::start() else {
        return;
    };
    let registered = distant.sshd.at("authorized_keys");
    let line = fs::read_to_string(&registered).unwrap();
    fs::write(&registered, "").unwrap();
    distant.is_broken(&["Permission denied"]);
    fs::write(&registered, line).unwrap();
    let pinned = distant.sshd.at("known_hosts");
    let line = fs::read_to_string(&pinned).unwrap();
    fs::write(&pinned, "").unwrap();
    distant.is_broken(&["pp-fetcher hostkey pin todo"]);
    // Pinned without the port: OpenSSH takes that for every port of the host.
    let (_, key) = line.split_once(' ').unwrap();
    fs::write(&pinned, format!("127.0.0.1 {key}")).unwrap();
    distant.is_whole();
    fs::write(&pinned, line).unwrap();
    distant.is_whole();
    distant.sshd.stop();
    distant.is_broken(&["refused"]);
}

#[test]
fn a_key_that_may_push_is_told_and_one_that_may_not_is_well() {
    let Some(distant) = Distant::start() else {
        return;
    };
    let before = distant.forge.git(&["for-each-ref"]);
    let finding = distant.finds("push access");
    assert_eq!(finding.condition, Condition::Warning, "{finding:?}");
    assert!(
        finding.remedy[0].contains("without write access"),
        "{finding:?}"
    );
    assert_eq!(distant.forge.git(&["for-each-ref"]), before);
    let registered = distant.sshd.at("authorized_keys");
    let key = fs::read_to_string(&registered).unwrap();
    // As a forge does, and as a key that is bound to one command does.
    let forge = distant.sshd.at("forge");
    script(
        &forge,
        "case $SSH_ORIGINAL_COMMAND in git-receive-pack*) echo 'ERROR: The key is marked as read only.' >&2; exit 1;; esac\n\
         eval \"exec $SSH_ORIGINAL_COMMAND\"",
    );
    let repository = distant.forge.repo();
    for (command, said) in [
        (forge.display().to_string(), "marked as read only"),
        (
            format!("git-upload-pack '{}'", repository.display()),
            "serves fetches only",
        ),
    ] {
        fs::write(&registered, format!("command=\"{command}\" {key}")).unwrap();
        let finding = distant.finds("push access");
        assert_eq!(finding.condition, Condition::Ok, "{finding:?}");
        assert!(finding.text.contains(said), "{finding:?}");
    }
}

#[test]
fn a_key_for_two_repositories_is_told() {
    let Some(distant) = Distant::start() else {
        return;
    };
    let shop = distant.app("shop", "forge:/srv/shop.git");
    let found = distant.look(&[distant.todo(), shop]);
    let key = found.iter().find(|finding| finding.link == "key").unwrap();
    assert_eq!(key.condition, Condition::Warning, "{key:?}");
    assert!(key.text.contains("shop"), "{key:?}");
    assert!(key.remedy[0].contains("ssh-keygen -t ed25519"), "{key:?}");
    // A second app of the same repository may have the same key.
    let staging = distant.app("staging", &distant.todo().repository.to_string());
    let found = distant.look(&[distant.todo(), staging]);
    let key = found.iter().find(|finding| finding.link == "key").unwrap();
    assert_eq!(key.condition, Condition::Ok, "{key:?}");
}
