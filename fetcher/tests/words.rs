//! Kind I: a message names what is wrong and nothing else, and what it says to do ends well.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

mod git_support;
mod site;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use git_support::Forge;
use git_support::agent::Agent;
use git_support::sshd::Sshd;
use pp_fetcher::config::App;
use pp_fetcher::deploy::source::Source;
use pp_fetcher::repository::Repository;
use site::Site;

/// A forge behind a real sshd, and an app's file for it.
struct Distant {
    sshd: Sshd,
    forge: Forge,
}

impl Distant {
    fn start() -> Option<Self> {
        let sshd = Sshd::start()?;
        let forge = Forge::new();
        Some(Self { sshd, forge })
    }

    /// The `[ssh]` table as it should be.
    fn ssh(&self) -> String {
        let at = |name: &str| self.sshd.at(name).display().to_string();
        format!(
            "identity = \"{}\"\nknown_hosts = \"{}\"\nconfig = \"{}\"\n",
            at("user"),
            at("known_hosts"),
            at("ssh_config")
        )
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
        let mut repository = Repository::new(&app, self.forge.mirror_path());
        let found = repository.poll(&[]).map_err(|error| error.what)?;
        Ok(found.revision.to_string())
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

/// Types what stands after `lead` on its line.
fn type_line(what: &str, lead: &str) {
    let line = what.split(lead).nth(1).unwrap().lines().next().unwrap();
    let line = line.split([';', ',']).next().unwrap();
    let typed = Command::new("sh").args(["-c", line]).status().unwrap();
    assert!(typed.success(), "{line}");
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
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

/// A server program in place of git, reached as a local repository is.
#[test]
fn what_a_server_says_that_is_no_git_is_shown() {
    let site = Site::with_one_live();
    let bin = site.home.path().join("bin");
    fs::create_dir(&bin).unwrap();
    git_support::script(
        &bin.join("git"),
        "echo 'Welcome to forge.example.org! No shell for you.'",
    );
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let output = site
        .home
        .fetcher(&["poll", "todo"])
        .env("PATH", path)
        .output()
        .unwrap();
    let said = site::Said::from(output);
    said.ended(1).has(&[
        "the answer is not the git protocol",
        "Welcome to forge.example.org! No shell",
    ]);
}

#[test]
fn a_build_script_with_line_ends_of_dos_is_told_as_that_and_the_mend_ends_well() {
    let site = Site::with_one_live();
    let work = site.home.path().join("work");
    let push = || {
        site.git(&["-C", "work", "add", "-A"]);
        site.git(&["-C", "work", "update-index", "--chmod=+x", "build"]);
        site.git(&["-C", "work", "commit", "-q", "-m", "script"]);
        site.git(&["-C", "work", "push", "-q", "../todo.git", "HEAD:main"]);
    };
    fs::write(work.join("build"), "#!/bin/sh\r\necho two >built\r\n").unwrap();
    push();
    let said = site.poll();
    said.ended(1)
        .has(&["its lines end in CR LF", "sed -i 's/\\r$//' build"]);
    let line = said
        .text
        .split("in the repository: ")
        .nth(1)
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    let mut sh = Command::new("sh");
    assert!(
        sh.args(["-c", line])
            .current_dir(&work)
            .status()
            .unwrap()
            .success()
    );
    push();
    site.poll().ended(0);
}

#[test]
fn a_build_script_that_is_not_executable_or_not_there_is_told_and_the_mend_ends_well() {
    let site = Site::with_one_live();
    site.git(&["-C", "work", "update-index", "--chmod=-x", "build"]);
    site.git(&["-C", "work", "commit", "-q", "-m", "no x"]);
    site.git(&["-C", "work", "push", "-q", "../todo.git", "HEAD:main"]);
    site.poll()
        .ended(1)
        .has(&["git update-index --chmod=+x build"]);
    site.git(&["-C", "work", "update-index", "--chmod=+x", "build"]);
    site.git(&["-C", "work", "commit", "-q", "-m", "x"]);
    site.git(&["-C", "work", "push", "-q", "../todo.git", "HEAD:main"]);
    site.poll().ended(0);
    site.git(&["-C", "work", "rm", "-q", "-f", "build"]);
    site.git(&["-C", "work", "commit", "-q", "-m", "gone"]);
    site.git(&["-C", "work", "push", "-q", "../todo.git", "HEAD:main"]);
    site.poll()
        .ended(1)
        .has(&["is not in the release", "commit it, or take that line out"]);
    let path = site.home.path().join("apps.d/todo.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("build = \"build\"\n", "")).unwrap();
    site.poll().ended(0);
}

#[test]
fn an_absolute_build_script_that_is_missing_is_found_before_the_fetch_and_not_called_the_releases()
{
    let site = Site::with_one_live();
    let script = site.home.path().join("make-it");
    let path = site.home.path().join("apps.d/todo.toml");
    let text = fs::read_to_string(&path).unwrap();
    let line = format!("build = \"{}\"", script.display());
    fs::write(&path, text.replace("build = \"build\"", &line)).unwrap();
    site.push("two", "200", "");
    let said = site.poll();
    said.ended(1)
        .has(&["look: the build script", "cannot be found on this host"]);
    assert!(!said.text.contains("commit it"), "{said:?}");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    mode(&script, 0o644);
    let said = site.poll();
    said.ended(1).has(&["is not executable", "chmod a+x"]);
    type_line(&said.text, "as its owner: ");
    site.poll().ended(0);
    assert_eq!(site.served().as_deref(), Some("two"));
}

#[test]
fn a_root_that_cannot_be_written_is_found_first_with_path_and_mode_and_the_line_mends_it() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: a directory of another user needs root");
        return;
    }
    let site = Site::with_one_live();
    let own = |path: &Path, uid: u32, bits: u32| {
        std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
        mode(path, bits);
    };
    own(&site.root(), 0, 0o755);
    site.push("two", "200", "");
    let releases = fs::read_dir(site.root().join("releases")).unwrap().count();
    let said = site.poll();
    said.ended(1).has(&[
        "look: ",
        "belongs to root:root, mode 0755",
        "chown nobody:nogroup",
    ]);
    assert_eq!(
        fs::read_dir(site.root().join("releases")).unwrap().count(),
        releases
    );
    type_line(&said.text, "as root: ");
    site.poll().ended(0);
    assert_eq!(site.served().as_deref(), Some("two"));
}

#[test]
fn a_root_that_is_not_there_and_cannot_be_made_is_told_with_the_line_that_makes_it() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: a directory of another user needs root");
        return;
    }
    let site = Site::new();
    let parent = site.home.path().join("locked");
    fs::create_dir(&parent).unwrap();
    let path = site.home.path().join("apps.d/todo.toml");
    let text = fs::read_to_string(&path).unwrap();
    let at = site.home.path().display().to_string();
    fs::write(
        &path,
        text.replace(
            &format!("root = \"{at}/root\""),
            &format!("root = \"{at}/locked/todo\""),
        ),
    )
    .unwrap();
    // What answers at the health URL does not know of that root.
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.split("[health]").next().unwrap()).unwrap();
    site.push("one", "200", "");
    let said = site.poll();
    said.ended(1).has(&[
        "is not there and cannot be made",
        "install -d -m 2775 -o nobody -g nogroup",
    ]);
    type_line(&said.text, "as root: ");
    site.poll().ended(0);
}

#[test]
fn a_root_of_another_group_or_without_setgid_is_told_and_each_line_mends_it() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: a directory of another group needs root");
        return;
    }
    let site = Site::with_one_live();
    std::os::unix::fs::chown(site.root(), None, Some(0)).unwrap();
    mode(&site.root(), 0o777);
    site.push("two", "200", "");
    let said = site.poll();
    said.ended(0).has(&[
        "belongs to the group root, and pp-fetcher runs with nogroup",
        "has no setgid bit (mode 0777)",
    ]);
    type_line(&said.text, "as root: ");
    type_line(&said.text, "as its owner: ");
    site.push("three", "200", "");
    let said = site.poll();
    said.ended(0);
    assert!(
        !said.text.contains("setgid") && !said.text.contains("the group"),
        "{said:?}"
    );
}

#[test]
fn another_users_poll_is_refused_before_anything_is_recorded() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: the directory of another user needs root");
        return;
    }
    let site = Site::with_one_live();
    let state = site.home.path().join("state");
    let before = fs::read(site.state_path("state.json")).unwrap();
    // The apps are somebody else's than who asks.
    std::os::unix::fs::chown(&state, Some(1), Some(1)).unwrap();
    for command in [["poll", "todo"], ["rollback", "todo"]] {
        let said = site.run(&command);
        said.ended(2).has(&[
            "only as the user of the apps, daemon",
            "runuser -u daemon -- pp-fetcher",
            "nothing was done",
        ]);
    }
    assert_eq!(fs::read(site.state_path("state.json")).unwrap(), before);
    std::os::unix::fs::chown(&state, Some(65534), Some(65534)).unwrap();
    site.poll().ended(0);
}

#[test]
fn status_during_a_deploy_says_what_is_being_deployed_and_in_which_step() {
    let site = Site::with_one_live();
    let go = site.home.path().join("go");
    site.push(
        "two",
        "200",
        &format!("while [ ! -e {} ]; do sleep 0.02; done", go.display()),
    );
    let mut poll = site.home.fetcher(&["poll", "todo"]).spawn().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let said = site.run(&["status"]);
        if said.text.contains("build, begun") {
            said.has(&["deploying", "\u{201c}two\u{201d}", " ago"]);
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{said:?}");
    }
    site.run(&["status", "--json"])
        .has(&["\"under_way\": {", "\"phase\": \"build\""]);
    fs::write(&go, "").unwrap();
    assert!(poll.wait().unwrap().success());
    let said = site.run(&["status"]);
    assert!(!said.text.contains("deploying"), "{said:?}");
}

#[test]
fn the_exit_codes_of_status_and_of_a_dry_run_tell_what_is_wrong() {
    let site = Site::with_one_live();
    site.run(&["status"]).ended(0);
    site.run(&["poll", "--dry-run"]).ended(0);
    site.push("sick", "500", "");
    site.poll().ended(1);
    site.run(&["status"]).ended(0).has(&["quarantined"]);
    let path = site.home.path().join("apps.d/todo.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("build = \"build\"", "build = \"/nowhere/build\""),
    )
    .unwrap();
    site.push("two", "200", "");
    site.run(&["poll", "--dry-run"])
        .ended(1)
        .has(&["and fail: look: "]);
    site.poll().ended(1);
    site.run(&["status"])
        .ended(1)
        .has(&["failing", "pp-fetcher poll todo"]);
    fs::write(&path, text).unwrap();
    site.run(&["poll", "todo"]).ended(0);
    site.run(&["status"]).ended(0);
}
