//! Rule 32: bytes and inodes are looked at before a checkout writes anything, and a copy of the live
//! release takes as much as a fresh one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::git_support::Forge;
use super::support;
use super::support::Mirror;
use super::support::check_out;
use crate::checkout::{Budget, CheckedOut, CheckoutError};
use crate::git::{RefSelector, Remote, RemoteOptions};
use nix::sys::statvfs::statvfs;
use pp_objects::ObjectId;

/// What stays free in any case.
const RESERVE: u64 = 32 << 20;
const RESERVED_INODES: u64 = 256;

/// Files, directories and bytes of the tree.
const FILES: u64 = 60;
const DIRECTORIES: u64 = 5;
const BYTES: u64 = FILES * 100_000;

/// A small file system with a live release in it, and the mirror elsewhere.
struct Small {
    forge: Forge,
    at: PathBuf,
    mirror: Mirror,
    commit: ObjectId,
}

impl Small {
    /// `None` where nothing can be mounted.
    fn new(options: &str) -> Option<Self> {
        let forge = Forge::empty();
        for n in 0..FILES {
            let directory = forge.repo().join(format!("d{}", n % DIRECTORIES));
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(format!("f{n}")), vec![7; 100_000]).unwrap();
        }
        // One of the files again: Forge::commit writes one.
        let seven = String::from_utf8(vec![7; 100_000]).unwrap();
        forge.commit("d0/f0", &seven, "a tree");
        let wanted = RefSelector::Branch("main".into());
        let mirror = forge.mirror();
        let mut remote = Remote::connect(&forge.url(), &RemoteOptions::default()).unwrap();
        let revision = wanted.resolve(&remote.list(&wanted).unwrap()).unwrap();
        let fetched = support::fetch(&mut remote, &mirror, &revision, &mut |_| {}).unwrap();
        let at = forge.dir.path().join("small");
        fs::create_dir(&at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&at);
        if !mount.status().is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: no right to mount a small file system; run as root");
            return None;
        }
        let small = Self {
            forge,
            at,
            mirror,
            commit: fetched.commit,
        };
        small.check_out("live", None).unwrap();
        Some(small)
    }

    fn check_out(&self, name: &str, live: Option<&Path>) -> Result<CheckedOut, CheckoutError> {
        let into = self.at.join(name);
        fs::create_dir(&into).unwrap();
        let budget = Budget::default();
        check_out(&self.mirror, self.commit, live, &into, &budget)
    }

    /// Beside the live release, and from the repository alone: room is the same for both.
    fn both_ways(&self, expected: Option<&str>) {
        for live in [Some(self.at.join("live")), None] {
            let done = self.check_out("new", live.as_deref());
            match (expected, done) {
                (None, Ok(done)) => {
                    assert_eq!(done.copied, if live.is_some() { FILES } else { 0 });
                    fs::remove_dir_all(self.at.join("new")).unwrap();
                }
                (Some(expected), Err(error)) => {
                    assert!(error.to_string().contains(expected), "{error}");
                    assert!(error.is_disk_full());
                    assert!(!self.at.join("new").exists());
                }
                (expected, done) => unreachable!("{expected:?}: {done:?}"),
            }
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
        let _ = &self.forge;
    }
}

#[test]
fn rule_32_bytes_are_looked_at_first_and_a_copy_is_counted_once() {
    let Some(small) = Small::new("size=64m") else {
        return;
    };
    let free = || {
        let stat = statvfs(&small.at).unwrap();
        stat.blocks_available() * stat.fragment_size()
    };
    // Half a block for each entry, as files seldom end where a block does.
    let need = BYTES + (FILES + DIRECTORIES) * 2048 + RESERVE;
    let slack = 64 << 10;
    let room = free() - need - slack;
    fs::write(
        small.at.join("filler"),
        vec![1; usize::try_from(room).unwrap()],
    )
    .unwrap();
    small.both_ways(None);
    fs::write(small.at.join("more"), vec![1; 2 << 16]).unwrap();
    assert!(free() < need);
    small.both_ways(Some("MiB free"));
}

#[test]
fn rule_32_inodes_are_looked_at_first() {
    let Some(small) = Small::new("size=64m,nr_inodes=500") else {
        return;
    };
    let free = || statvfs(&small.at).unwrap().files_available();
    let need = FILES + DIRECTORIES + RESERVED_INODES;
    let mut n = 0;
    // The new directory takes one itself.
    while free() > need + 1 {
        fs::write(small.at.join(format!("empty{n}")), "").unwrap();
        n += 1;
    }
    small.both_ways(None);
    fs::write(small.at.join("one more"), "").unwrap();
    small.both_ways(Some("inodes free"));
}
