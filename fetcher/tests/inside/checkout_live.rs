//! Files taken over from the live release: whatever happened to it, the next release is the commit.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::git_support::Forge;
use super::support;
use super::support::Mirror;
use super::support::check_out;
use crate::checkout::{Budget, CheckedOut, CheckoutError};
use crate::git::{RefSelector, Remote, RemoteOptions};
use pp_objects::ObjectId;
use proptest::prelude::*;

const FILES: u64 = 42;

/// The same as an index.
const COUNT: usize = 42;

/// A forge, its mirror, and a release of its first commit.
struct Deployed {
    forge: Forge,
    mirror: Mirror,
    first: ObjectId,
}

impl Deployed {
    fn new() -> Self {
        let forge = Forge::empty();
        let repo = forge.repo();
        for n in 0..40_usize {
            let directory = repo.join(format!("d{}/e", n % 4));
            fs::create_dir_all(&directory).unwrap();
            // Shorter and longer than what is copied at a time.
            let text = format!("{n}\n").repeat(n * n * 70);
            fs::write(directory.join(format!("f{n}")), text).unwrap();
        }
        fs::write(repo.join("manage.py"), "#!/usr/bin/python3\n").unwrap();
        fs::set_permissions(repo.join("manage.py"), PermissionsExt::from_mode(0o755)).unwrap();
        symlink("manage.py", repo.join("run")).unwrap();
        forge.commit("version", "1\n", "first");
        let (mirror, first) = fetch(&forge);
        let deployed = Self {
            forge,
            mirror,
            first,
        };
        let done = deployed.check_out(first, None, "live").unwrap();
        assert_eq!((done.files, done.copied), (FILES, 0));
        deployed
    }

    fn release(&self, name: &str) -> PathBuf {
        self.forge.dir.path().join(name)
    }

    fn live(&self) -> PathBuf {
        self.release("live")
    }

    fn check_out(
        &self,
        commit: ObjectId,
        live: Option<&Path>,
        name: &str,
    ) -> Result<CheckedOut, CheckoutError> {
        let into = self.release(name);
        fs::create_dir(&into).unwrap();
        check_out(&self.mirror, commit, live, &into, &Budget::default())
    }

    /// Checks out the first commit again beside the live release, compares it with git's own
    /// checkout of it, and gives how many files were copied.
    fn copied(&self) -> u64 {
        let done = self
            .check_out(self.first, Some(&self.live()), "new")
            .unwrap();
        let new = self.release("new");
        same_tree(&self.forge.repo(), &new);
        for path in files(&new) {
            let found = path.symlink_metadata().unwrap();
            let mode = if path.ends_with("manage.py") {
                0o775
            } else {
                0o664
            };
            assert_eq!(found.mode() & 0o7777, mode, "{path:?}");
            assert_eq!(found.nlink(), 1, "{path:?} is shared with another release");
        }
        fs::remove_dir_all(&new).unwrap();
        done.copied
    }
}

fn fetch(forge: &Forge) -> (Mirror, ObjectId) {
    let wanted = RefSelector::Branch("main".into());
    let mirror = forge.mirror();
    let mut remote = Remote::connect(&forge.url(), &RemoteOptions::default()).unwrap();
    let revision = wanted.resolve(&remote.list(&wanted).unwrap()).unwrap();
    let commit = support::fetch(&mut remote, &mirror, &revision, &mut |_| {}).unwrap();
    (mirror, commit.commit)
}

fn same_tree(expected: &Path, found: &Path) {
    let compared = Command::new("diff")
        .args(["-r", "--no-dereference", "--exclude=.git"])
        .args([expected, found])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&compared.stdout);
    assert!(compared.status.success(), "{said}");
}

/// Every regular file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

/// Changes a byte of a file in place and puts its modification time back.
fn change_unnoticed(path: &Path, at: u64) {
    let mut file = fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let before = file.metadata().unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(b"X").unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
    let after = file.metadata().unwrap();
    assert_eq!(
        (before.len(), before.mtime_nsec(), before.ino()),
        (after.len(), after.mtime_nsec(), after.ino())
    );
}

#[test]
fn an_untouched_release_is_copied_file_by_file() {
    let deployed = Deployed::new();
    assert_eq!(deployed.copied(), FILES);
}

#[test]
fn what_a_push_changed_comes_from_the_repository_and_the_rest_is_copied() {
    let deployed = Deployed::new();
    let repo = deployed.forge.repo();
    fs::remove_dir_all(repo.join("d3")).unwrap();
    fs::set_permissions(repo.join("d1/e/f1"), PermissionsExt::from_mode(0o755)).unwrap();
    fs::write(repo.join("new"), "new").unwrap();
    deployed.forge.commit("version", "2\n", "second");
    let (_, second) = fetch(&deployed.forge);
    let live = deployed.live();
    let done = deployed.check_out(second, Some(&live), "new").unwrap();
    same_tree(&repo, &deployed.release("new"));
    // Ten files are gone; `new` and `version` are not in the live release.
    assert_eq!((done.files, done.copied), (33, 31));
    let mode = |path: &str| {
        fs::metadata(deployed.release("new").join(path))
            .unwrap()
            .mode()
    };
    assert_eq!(mode("d1/e/f1") & 0o7777, 0o775);
    assert_eq!(mode("d1/e/f5") & 0o7777, 0o664);
}

#[test]
fn a_file_changed_in_place_in_the_live_release_never_reaches_the_next_one() {
    let deployed = Deployed::new();
    let live = deployed.live();
    change_unnoticed(&live.join("version"), 0);
    // In its first, a middle and its last part.
    let long = live.join("d3/e/f39");
    let end = fs::metadata(&long).unwrap().len() - 1;
    assert!(end > 256 * 1024);
    for (path, at) in [("f39", end), ("f35", 200_000), ("f31", 0)] {
        change_unnoticed(&live.join("d3/e").join(path), at);
    }
    assert_eq!(deployed.copied(), FILES - 4);
}

#[test]
fn a_file_changed_through_a_shared_mapping_never_reaches_the_next_one() {
    let deployed = Deployed::new();
    let script = "import mmap, os, sys\n\
                  f = open(sys.argv[1], 'r+b')\n\
                  m = mmap.mmap(f.fileno(), 0)\n\
                  m[0] = ord('X')\n\
                  print('changed', flush=True)\n\
                  sys.stdin.read()\n";
    // It keeps the mapping while the next release is made: nothing was written back, no time stamp
    // need have moved.
    let mut app = match Command::new("python3")
        .args(["-c", script])
        .arg(deployed.live().join("version"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
    {
        Ok(app) => app,
        Err(error) => {
            eprintln!("SKIPPED: python3, which has mmap: {error}");
            return;
        }
    };
    let mut said = [0; 7];
    std::io::Read::read_exact(app.stdout.as_mut().unwrap(), &mut said).unwrap();
    let copied = deployed.copied();
    drop(app.stdin.take());
    assert!(app.wait().unwrap().success());
    assert_eq!(copied, FILES - 1);
}

#[test]
fn what_was_put_in_a_files_place_is_not_followed_opened_or_waited_for() {
    let deployed = Deployed::new();
    let live = deployed.live();
    let outside = deployed.release("outside");
    fs::create_dir_all(outside.join("e")).unwrap();
    let here = live.join("d1/e");
    // The same content, through a link: even that is not taken.
    fs::rename(here.join("f1"), outside.join("f1")).unwrap();
    symlink(outside.join("f1"), here.join("f1")).unwrap();
    // Another file of the same size, as a second name of a file elsewhere.
    let other = "x".repeat(fs::read(here.join("f5")).unwrap().len());
    fs::write(outside.join("other"), other).unwrap();
    fs::remove_file(here.join("f5")).unwrap();
    fs::hard_link(outside.join("other"), here.join("f5")).unwrap();
    fs::remove_file(here.join("f9")).unwrap();
    let fifo = Command::new("mkfifo").arg(here.join("f9")).status();
    assert!(fifo.unwrap().success());
    fs::remove_file(here.join("f13")).unwrap();
    fs::create_dir(here.join("f13")).unwrap();
    fs::remove_file(here.join("f17")).unwrap();
    std::os::unix::net::UnixListener::bind(here.join("f17")).unwrap();
    assert_eq!(deployed.copied(), FILES - 5);
    // A directory that leads out of the release, with the very same files in it.
    fs::remove_dir(outside.join("e")).unwrap();
    fs::rename(live.join("d2/e"), outside.join("e")).unwrap();
    symlink(outside.join("e"), live.join("d2/e")).unwrap();
    assert_eq!(deployed.copied(), FILES - 15);
    fs::remove_dir_all(&live).unwrap();
    assert_eq!(deployed.copied(), 0, "no live release at all");
    symlink(&outside, &live).unwrap();
    assert_eq!(deployed.copied(), 0, "a link in its place");
}

#[test]
fn modes_of_the_live_release_are_not_taken_over() {
    let deployed = Deployed::new();
    for (n, path) in files(&deployed.live()).iter().enumerate() {
        let mode = [0o000, 0o4777, 0o600, 0o2775][n % 4];
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
    // Root reads what nobody may read; everybody else takes it from the repository.
    assert!(deployed.copied() >= FILES / 2);
}

#[test]
fn a_pointer_that_stands_in_the_live_release_is_refused_all_the_same() {
    let deployed = Deployed::new();
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12\n",
        "0".repeat(64)
    );
    deployed.forge.commit("large.bin", &pointer, "a pointer");
    let (_, second) = fetch(&deployed.forge);
    fs::write(deployed.live().join("large.bin"), &pointer).unwrap();
    let live = deployed.live();
    let error = deployed.check_out(second, Some(&live), "new").unwrap_err();
    assert!(error.to_string().contains("Git LFS"), "{error}");
    assert!(!deployed.release("new").exists());
}

#[test]
fn a_live_release_on_another_file_system_is_copied_and_what_is_mounted_in_it_is_not() {
    let deployed = Deployed::new();
    let other = deployed.release("other");
    fs::create_dir(&other).unwrap();
    let Some(_mounted) = Mounted::tmpfs(&other) else {
        eprintln!("SKIPPED: no right to mount; run as root");
        return;
    };
    let moved = other.join("live");
    copy(&deployed.live(), &moved);
    let done = deployed.check_out(deployed.first, Some(&moved), "new");
    assert_eq!(done.unwrap().copied, FILES);
    same_tree(&deployed.forge.repo(), &deployed.release("new"));
    let inside = moved.join("d0");
    let Some(_inside) = Mounted::tmpfs(&inside) else {
        panic!("a second mount is refused");
    };
    copy(&deployed.live().join("d0/e"), &inside);
    let done = deployed.check_out(deployed.first, Some(&moved), "newer");
    assert_eq!(done.unwrap().copied, FILES - 10);
    same_tree(&deployed.forge.repo(), &deployed.release("newer"));
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

/// A small file system, unmounted when it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(at: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"])
            .arg(at);
        let mounted = mount.status().is_ok_and(|status| status.success());
        mounted.then(|| Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// What an app or somebody's hand does to a release.
#[derive(Debug, Clone)]
enum Edit {
    Change(u64),
    Append(Vec<u8>),
    Truncate(u64),
    Delete,
    Replace(Vec<u8>),
    Swap(usize),
    Link(usize),
    Mode(u32),
}

fn edit() -> impl Strategy<Value = Edit> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        any::<u64>().prop_map(Edit::Change),
        bytes().prop_map(Edit::Append),
        (0..100_000_u64).prop_map(Edit::Truncate),
        Just(Edit::Delete),
        bytes().prop_map(Edit::Replace),
        (0..COUNT).prop_map(Edit::Swap),
        (0..COUNT).prop_map(Edit::Link),
        (0..0o10000_u32).prop_map(Edit::Mode),
    ]
}

fn apply(all: &[PathBuf], path: &Path, edit: &Edit) -> std::io::Result<()> {
    match edit {
        Edit::Change(at) => match fs::metadata(path)?.len() {
            0 => {}
            length => change_unnoticed(path, at % length),
        },
        Edit::Append(bytes) => fs::File::options()
            .append(true)
            .open(path)?
            .write_all(bytes)?,
        Edit::Truncate(to) => fs::File::options().write(true).open(path)?.set_len(*to)?,
        Edit::Delete => fs::remove_file(path)?,
        Edit::Replace(bytes) => fs::write(path, bytes)?,
        Edit::Swap(other) => {
            let aside = path.with_extension("aside");
            fs::rename(path, &aside)?;
            fs::rename(&all[*other], path)?;
            fs::rename(&aside, &all[*other])?;
        }
        Edit::Link(other) => {
            fs::remove_file(path)?;
            fs::hard_link(&all[*other], path)?;
        }
        Edit::Mode(mode) => fs::set_permissions(path, PermissionsExt::from_mode(*mode))?,
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_is_done_to_the_live_release_the_next_one_is_the_commit(
        edits in proptest::collection::vec((0..COUNT, edit()), 1..60)
    ) {
        let deployed = Deployed::new();
        let all = files(&deployed.live());
        for (which, edit) in &edits {
            // What an earlier edit has taken away cannot be edited.
            let _ = apply(&all, &all[*which], edit);
        }
        deployed.copied();
    }
}
