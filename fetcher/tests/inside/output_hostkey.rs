//! What `hostkey show` and `hostkey pin` say, with a real sshd, and what a poll says that meets
//! another key than the one pinned.

use std::fs;
use std::process::Stdio;

use super::git_support::sshd::Sshd;
use crate::config;
use crate::deploy::source::Source;
use crate::repository::Repository;

struct Scene {
    sshd: Sshd,
    typed: String,
}

impl Scene {
    fn new() -> Option<Self> {
        let sshd = Sshd::start()?;
        fs::create_dir_all(sshd.at("etc/apps.d")).unwrap();
        let text = format!(
            "repository = \"forge:me/todo.git\"\n[ssh]\n{}[deploy]\nroot = \"/srv/todo\"\n",
            sshd.table()
        );
        fs::write(sshd.at("etc/apps.d/todo.toml"), text).unwrap();
        Some(Self {
            sshd,
            typed: String::new(),
        })
    }

    /// What ssh itself says differs from one version to the next.
    fn without_the_words_of_ssh(&mut self) {
        let lines = self
            .typed
            .lines()
            .map(|line| match line.split_once(" shows no host key (") {
                Some((before, _)) => format!("{before} shows no host key ([what ssh says])\n"),
                None => format!("{line}\n"),
            });
        self.typed = lines.collect();
    }

    fn types(&mut self, line: &str) {
        let mut command = self.sshd.fetcher();
        command.arg("--config").arg(self.sshd.at("etc"));
        command.args(line.split(' ')).stdin(Stdio::null());
        let output = command.output().unwrap();
        let said = |bytes| String::from_utf8_lossy(bytes).into_owned();
        self.typed.push_str(&format!(
            "$ pp-fetcher {line}\n{}{}[exit {}]\n\n",
            said(&output.stdout),
            said(&output.stderr),
            output.status.code().unwrap()
        ));
    }

    fn polls(&mut self) {
        let mut config = config::load(&self.sshd.at("etc")).unwrap();
        let app = config.apps.pop().unwrap();
        let repository = Repository::new(&app, self.sshd.at("mirror.git"));
        let what = repository.poll(&[]).err().unwrap().what;
        self.typed
            .push_str(&format!("(a poll ends with)\n{what}\n\n"));
    }

    /// Keys and port are others every time.
    fn is_as_before(&self, name: &str) {
        let mut text = self.typed.replace(&self.sshd.port.to_string(), "PORT");
        for key in ["host.pub", "other.pub"] {
            if self.sshd.at(key).exists() {
                let of = format!("[fingerprint of {key}]");
                text = text.replace(&self.sshd.fingerprint(key), &of);
            }
        }
        super::snapshots::as_before(name, &text, self.sshd.dir.path());
    }
}

#[test]
fn a_key_that_is_not_pinned_yet() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    fs::remove_file(scene.sshd.at("known_hosts")).unwrap();
    scene.polls();
    scene.types("hostkey show todo");
    scene.types("hostkey pin todo");
    scene.types("hostkey pin todo --fingerprint SHA256:AAAA");
    let right = scene.sshd.fingerprint("host.pub");
    scene.types(&format!("hostkey pin todo --fingerprint {right}"));
    scene.types(&format!("hostkey pin todo --fingerprint {right}"));
    scene.types("hostkey show todo");
    scene.is_as_before("hostkey_new");
}

#[test]
fn a_key_that_has_changed() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    scene.sshd.new_key("other");
    scene.sshd.pin("other.pub");
    scene.polls();
    scene.types("hostkey show todo");
    let right = scene.sshd.fingerprint("host.pub");
    scene.types(&format!("hostkey pin todo --fingerprint {right}"));
    scene.is_as_before("hostkey_changed");
}

#[test]
fn a_server_that_does_not_answer() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let path = scene.sshd.at("ssh_config");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{config}  ProxyCommand false\n")).unwrap();
    scene.types("hostkey show todo");
    scene.types("hostkey pin todo");
    scene.without_the_words_of_ssh();
    scene.is_as_before("hostkey_silent");
}
