//! What an ordinary tree becomes on disk: the same as git's own checkout, with our permissions.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::git_support::Forge;
use super::support;
use super::support::Mirror;
use super::support::check_out;
use crate::checkout::{Budget, CheckedOut, CheckoutError};
use crate::git::{RefSelector, Remote, RemoteOptions};
use pp_objects::ObjectId;

fn fetched(forge: &Forge) -> (Mirror, ObjectId) {
    let wanted = RefSelector::Branch("main".into());
    let mirror = forge.mirror();
    let mut remote = Remote::connect(&forge.url(), &RemoteOptions::default()).unwrap();
    let revision = wanted.resolve(&remote.list(&wanted).unwrap()).unwrap();
    let commit = support::fetch(&mut remote, &mirror, &revision, &mut |_| {})
        .unwrap()
        .commit;
    (mirror, commit)
}

/// A fresh setgid directory, as `releases/` gives it to what is made in it.
fn fresh(forge: &Forge) -> PathBuf {
    let into = forge.dir.path().join("new");
    fs::create_dir(&into).unwrap();
    fs::set_permissions(&into, fs::Permissions::from_mode(0o2775)).unwrap();
    into
}

/// Commits a tree of many kinds and sizes of files.
fn ordinary() -> Forge {
    let forge = Forge::empty();
    let repo = forge.repo();
    for n in 0..300 {
        let directory = repo.join(format!("d{}/e{}", n % 7, n % 3));
        fs::create_dir_all(&directory).unwrap();
        fs::write(
            directory.join(format!("f{n}")),
            format!("{n}\n").repeat(n * n / 10),
        )
        .unwrap();
    }
    fs::write(repo.join("manage.py"), "#!/usr/bin/python3\n").unwrap();
    fs::set_permissions(repo.join("manage.py"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(repo.join("empty"), "").unwrap();
    fs::write(repo.join("naïve name"), "x").unwrap();
    symlink("manage.py", repo.join("run")).unwrap();
    symlink("../../manage.py", repo.join("d1/e0/run")).unwrap();
    symlink("d2", repo.join("directory")).unwrap();
    symlink("not/yet/there", repo.join("dangling")).unwrap();
    forge.commit("last", "last\n", "many");
    forge
}

#[test]
fn the_tree_is_gits_own_and_the_permissions_are_the_groups() {
    let forge = ordinary();
    let (mirror, commit) = fetched(&forge);
    let into = fresh(&forge);
    let seen = AtomicU64::new(0);
    let mode = || fs::metadata(&into).unwrap().permissions().mode() & 0o7777;
    let mut progress = |p: crate::checkout::Progress| {
        assert_eq!(p.of, 304);
        // Nobody of the group can put a link in the place of a directory that is written into.
        assert_eq!(mode(), 0o2700);
        seen.fetch_max(p.files, Ordering::Relaxed);
    };
    let budget = Budget::default();
    let done =
        support::check_out_telling(&mirror, commit, None, &into, &budget, &mut progress).unwrap();
    assert_eq!((done.files, done.links, done.directories), (304, 4, 28));
    assert_eq!(seen.load(Ordering::Relaxed), 304);
    assert_eq!(mode(), 0o2775);
    let compared = std::process::Command::new("diff")
        .args(["-r", "--no-dereference", "--exclude=.git"])
        .args([&forge.repo(), &into])
        .output()
        .unwrap();
    assert!(
        compared.status.success(),
        "{}",
        String::from_utf8_lossy(&compared.stdout)
    );
    modes(&into, &done);
}

/// Every directory 02775, every file 0664 or 0775, whatever the umask of the tests is.
fn modes(into: &Path, done: &CheckedOut) {
    let mut left = vec![into.to_owned()];
    let mut files = 0;
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
            if kind.is_dir() {
                assert_eq!(mode, 0o2775, "{entry:?}");
                left.push(entry.path());
            } else if kind.is_file() {
                let wanted = if entry.file_name() == "manage.py" {
                    0o775
                } else {
                    0o664
                };
                assert_eq!(mode, wanted, "{entry:?}");
                files += 1;
            }
        }
    }
    assert_eq!(files, done.files);
}

#[test]
fn a_directory_that_is_not_fresh_is_left_alone() {
    let forge = ordinary();
    let (mirror, commit) = fetched(&forge);
    let into = fresh(&forge);
    fs::write(into.join("precious"), "x").unwrap();
    let error = check_out(&mirror, commit, None, &into, &Budget::default()).unwrap_err();
    assert!(matches!(error, CheckoutError::NotEmpty(_)), "{error}");
    assert_eq!(fs::read(into.join("precious")).unwrap(), b"x");
}

#[test]
fn a_link_in_place_of_the_directory_is_not_followed() {
    let forge = ordinary();
    let (mirror, commit) = fetched(&forge);
    let elsewhere = fresh(&forge);
    let link = forge.dir.path().join("link");
    symlink(&elsewhere, &link).unwrap();
    let error = check_out(&mirror, commit, None, &link, &Budget::default()).unwrap_err();
    assert!(matches!(error, CheckoutError::Io { .. }), "{error}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn rule_32_a_full_disk_is_told_as_such_and_nothing_is_left() {
    let forge = ordinary();
    let (mirror, commit) = fetched(&forge);
    let small = forge.dir.path().join("small");
    fs::create_dir(&small).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(&small)
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: no right to mount a small file system; run as root");
        return;
    }
    let into = small.join("new");
    fs::create_dir(&into).unwrap();
    let result = check_out(&mirror, commit, None, &into, &Budget::default());
    let left = into.exists();
    let unmounted = std::process::Command::new("umount")
        .arg(&small)
        .status()
        .unwrap();
    assert!(unmounted.success());
    let error = result.unwrap_err();
    assert!(error.is_disk_full(), "{error}");
    assert!(!left);
}
