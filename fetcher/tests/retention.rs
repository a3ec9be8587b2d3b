//! Which releases stay, with the real program: good ones, the last that failed, what is still used.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use program::Home;

/// An app without units, and its repository.
struct Host {
    home: Home,
}

/// What a command came to: its exit code and everything it said.
struct Said(Option<i32>, String);

impl Host {
    fn new(more: &str) -> Self {
        let host = Self { home: Home::new() };
        let at = host.home.path().display();
        let text = format!(
            "repository = \"file://{at}/todo.git\"\n[deploy]\nroot = \"{at}/root\"\nkeep = 2\n{more}\n"
        );
        host.home.app("todo", &text);
        host.home.make_repository();
        host
    }

    /// Pushes a version whose build script is this.
    fn push(&self, name: &str, build: &str) {
        let build = format!("#!/bin/sh\n{build}\n");
        self.home.push(&[("name", name), ("build", &build)], name);
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let output = self.home.fetcher(arguments).output().unwrap();
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.push_str(&String::from_utf8_lossy(&output.stderr));
        Said(output.status.code(), said)
    }

    fn deploys(&self, name: &str, build: &str) -> String {
        self.push(name, build);
        let Said(code, said) = self.run(&["poll", "todo"]);
        assert_eq!(code, Some(0), "{name}: {said}");
        assert_eq!(self.served(), name);
        said
    }

    fn fails(&self, name: &str, build: &str) -> String {
        self.push(name, build);
        let before = self.served();
        let Said(code, said) = self.run(&["poll", "todo"]);
        assert_eq!(code, Some(1), "{name}: {said}");
        assert_eq!(self.served(), before);
        said
    }

    fn served(&self) -> String {
        fs::read_to_string(self.home.path().join("root/current/name")).unwrap()
    }

    fn releases(&self) -> PathBuf {
        self.home.path().join("root/releases")
    }

    /// Which versions are on disk, in no order but the alphabet's.
    fn kept(&self) -> Vec<String> {
        let releases = fs::read_dir(self.releases()).unwrap();
        let name = |release: fs::DirEntry| fs::read_to_string(release.path().join("name"));
        let mut kept: Vec<_> = releases.map(|r| name(r.unwrap()).unwrap()).collect();
        kept.sort();
        kept
    }

    fn release(&self, version: &str) -> PathBuf {
        let mut releases = fs::read_dir(self.releases()).unwrap().map(|r| r.unwrap());
        let is = |path: &Path| fs::read_to_string(path.join("name")).unwrap() == version;
        releases.find(|r| is(&r.path())).unwrap().path()
    }
}

#[test]
fn rule_32_the_last_failed_release_can_be_looked_into_and_evicts_no_good_one() {
    let host = Host::new("build = \"build\"");
    host.deploys("a", "true");
    host.deploys("b", "true");
    let said = host.fails("c", "echo halfway >built; exit 3");
    let failed = host.release("c");
    assert!(said.contains(failed.to_str().unwrap()), "{said}");
    assert_eq!(
        fs::read_to_string(failed.join("built")).unwrap(),
        "halfway\n"
    );
    let Said(_, logs) = host.run(&["logs", "todo"]);
    assert!(logs.contains(failed.to_str().unwrap()), "{logs}");
    assert_eq!(host.kept(), ["a", "b", "c"]);
    // The next to fail takes its place; the next good one takes the oldest good one's.
    host.fails("d", "exit 1");
    assert_eq!(host.kept(), ["a", "b", "d"]);
    host.deploys("e", "true");
    assert_eq!(host.kept(), ["b", "d", "e"]);
    assert_eq!(host.run(&["rollback", "todo"]).0, Some(0));
    assert_eq!(host.served(), "b");
}

#[test]
fn rule_32_a_release_whose_file_a_process_has_mapped_stays_until_it_ends() {
    let host = Host::new("");
    host.deploys("a", "");
    let map = "import mmap, os, sys\nf = os.open(sys.argv[1], os.O_RDONLY)\n\
               m = mmap.mmap(f, 0, prot=mmap.PROT_READ)\nos.close(f)\n\
               print('!', end='', flush=True)\nsys.stdin.read()\n";
    let mut python = host.home.command("python3");
    python.args(["-c", map]).arg(host.release("a").join("name"));
    python.stdin(std::process::Stdio::piped());
    let Ok(mut worker) = python.stdout(std::process::Stdio::piped()).spawn() else {
        eprintln!("SKIPPED: no python3, which has mmap");
        return;
    };
    let mut mapped = [0];
    std::io::Read::read_exact(worker.stdout.as_mut().unwrap(), &mut mapped).unwrap();
    for name in ["b", "c", "d"] {
        host.deploys(name, "");
    }
    let meanwhile = host.kept();
    drop(worker.stdin.take());
    worker.wait().unwrap();
    assert_eq!(meanwhile, ["a", "c", "d"]);
    host.deploys("e", "");
    assert_eq!(host.kept(), ["d", "e"]);
}

#[test]
fn rule_32_an_old_release_that_cannot_be_removed_fails_no_deploy_and_what_is_mounted_in_it_stays() {
    let host = Host::new("");
    host.deploys("a", "");
    let old = host.release("a");
    let inside = old.join("media");
    fs::create_dir(&inside).unwrap();
    let Some(mounted) = Mounted::tmpfs(&inside, "size=1m") else {
        eprintln!("SKIPPED: no right to mount; run as root");
        return;
    };
    fs::write(inside.join("precious"), "x").unwrap();
    host.deploys("b", "");
    let said = host.deploys("c", "");
    assert!(said.contains("something is mounted at"), "{said}");
    assert_eq!(host.kept(), ["a", "b", "c"]);
    assert_eq!(fs::read(inside.join("precious")).unwrap(), b"x");
    drop(mounted);
    // A file that somebody has made immutable: the rest goes, the deploy does not mind.
    let immutable = |flag: &str| {
        let mut chattr = Command::new("chattr");
        chattr.arg(flag).arg(old.join("name")).output()
    };
    if !immutable("+i").is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: chattr +i does not work here");
        host.deploys("d", "");
        assert_eq!(host.kept(), ["c", "d"]);
        return;
    }
    let said = host.deploys("d", "");
    let half = host.releases().join(format!(
        ".new-{}",
        old.file_name().unwrap().to_str().unwrap()
    ));
    let freed = Command::new("chattr")
        .arg("-i")
        .arg(half.join("name"))
        .status();
    assert!(said.contains("could not be removed"), "{said}");
    assert!(freed.unwrap().success());
    host.deploys("e", "");
    assert_eq!(host.kept(), ["d", "e"]);
}

#[test]
fn rule_32_a_failed_release_goes_when_its_room_is_needed() {
    let host = Host::new("build = \"build\"");
    let root = host.home.path().join("root");
    fs::create_dir(&root).unwrap();
    // 32 MiB of them stay free in any case.
    let Some(_mounted) = Mounted::tmpfs(&root, "size=56m,mode=777") else {
        eprintln!("SKIPPED: no right to mount; run as root");
        return;
    };
    host.deploys("a", "true");
    host.fails("b", "head -c 20000000 /dev/zero >big; exit 1");
    assert_eq!(host.kept(), ["a", "b"]);
    let asset = host.home.path().join("work/asset");
    fs::write(asset, vec![7; 8 << 20]).unwrap();
    host.deploys("c", "true");
    assert_eq!(host.kept(), ["a", "c"]);
    // One that has filled the disk is not kept.
    host.fails("d", "head -c 20000000 /dev/zero >big; exit 1");
    assert_eq!(host.kept(), ["a", "c"]);
}

/// A small file system, unmounted when it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(at: &Path, options: &str) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at);
        let mounted = mount.status().is_ok_and(|status| status.success());
        mounted.then(|| Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
