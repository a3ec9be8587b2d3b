//! The mirror after a crash, a full disk, a bad block: rule 31 and what fetching keeps.

use std::fs;
use std::path::{Path, PathBuf};

use super::git_support::Forge;
use super::git_support::built_worker;
use super::support;
use super::support::Mirror;
use crate::git::{RefSelector, Remote, RemoteOptions};
use crate::worker::error::FailureKind;
use crate::worker::{Client, WorkerError, mirror};
use pp_objects::{Kind, ObjectId};

fn fetch(forge: &Forge, mirror: &Mirror) -> ObjectId {
    let wanted = RefSelector::Branch("main".into());
    let mut remote = Remote::connect(&forge.url(), &RemoteOptions::default()).unwrap();
    let revision = wanted.resolve(&remote.list(&wanted).unwrap()).unwrap();
    support::fetch(&mut remote, mirror, &revision, &mut |_| {})
        .unwrap()
        .commit
}

fn packs(mirror: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(mirror.join("objects/pack")).unwrap();
    let paths = entries.map(|e| e.unwrap().path());
    paths
        .filter(|p| p.extension().is_some_and(|e| e == ending))
        .collect()
}

fn overwrite(path: &Path, content: &[u8]) {
    // Packs are read-only files.
    fs::remove_file(path).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn rule_31_every_stale_lock_and_leftover_is_swept() {
    let forge = Forge::new();
    fetch(&forge, &forge.mirror());
    let mirror = forge.mirror_path();
    let left = [
        "HEAD.lock",
        "config.lock",
        "packed-refs.lock",
        "refs/pp/last-fetched.lock",
        "refs/pp/deep/er/x.lock",
        "refs/heads/main.lock",
        "objects/pack/pack_git2_a8bc7d",
        "objects/pack/tmp_pack_Xy",
        "incoming-abc/pack/pack_git2_xyz",
    ];
    for name in left {
        fs::create_dir_all(mirror.join(name).parent().unwrap()).unwrap();
        fs::write(mirror.join(name), "").unwrap();
    }
    let next = forge.commit("b", "b\n", "next");
    assert_eq!(
        fetch(&forge, &forge.mirror()),
        next,
        "nothing stands in the way"
    );
    for name in left {
        assert!(!mirror.join(name).exists(), "{name} is still there");
    }
    assert!(!mirror.join("incoming-abc").exists());
}

#[test]
fn rule_31_a_sweep_follows_no_link() {
    let forge = Forge::new();
    fetch(&forge, &forge.mirror());
    let outside = forge.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("x.lock"), "").unwrap();
    std::os::unix::fs::symlink(&outside, forge.mirror_path().join("refs/elsewhere")).unwrap();
    std::os::unix::fs::symlink(&outside, forge.mirror_path().join("incoming-x")).unwrap();
    forge.mirror();
    assert!(outside.join("x.lock").exists());
}

#[test]
fn rule_31_a_damaged_mirror_is_seen_set_aside_and_made_anew() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 6] = [
        ("a pack of no bytes", |m| {
            overwrite(&packs(m, "pack")[0], b"");
        }),
        ("a cut pack", |m| {
            let pack = &packs(m, "pack")[0];
            let whole = fs::read(pack).unwrap();
            overwrite(pack, &whole[..whole.len() - 30]);
        }),
        ("a pack that is gone", |m| {
            fs::remove_file(&packs(m, "pack")[0]).unwrap();
        }),
        ("an index of zeros", |m| {
            overwrite(&packs(m, "idx")[0], &[0; 1200]);
        }),
        ("no HEAD", |m| fs::remove_file(m.join("HEAD")).unwrap()),
        ("a pin on nothing", |m| {
            fs::write(
                m.join("refs/pp/live"),
                "1234567890123456789012345678901234567890\n",
            )
            .unwrap();
        }),
    ];
    for (what, damage) in damages {
        let forge = Forge::new();
        let tip = fetch(&forge, &forge.mirror());
        let path = forge.mirror_path();
        damage(&path);
        let worker = Client::start(&built_worker(), &path);
        let error = worker.err().unwrap_or_else(|| panic!("{what}: not seen"));
        assert!(
            matches!(
                error,
                WorkerError::Refused {
                    trouble: FailureKind::Broken,
                    ..
                }
            ),
            "{what}: {error}"
        );
        fs::create_dir(path.with_file_name("mirror.git.broken-20200101T000000Z")).unwrap();
        let aside = mirror::set_aside(&path).unwrap();
        assert!(aside.join("objects").exists());
        let old = path.with_file_name("mirror.git.broken-20200101T000000Z");
        assert!(!old.exists(), "one set aside is enough");
        assert_eq!(fetch(&forge, &forge.mirror()), tip, "{what}: cloned again");
    }
}

#[test]
fn a_new_mirror_is_closed_to_the_group_and_never_half_made() {
    use std::os::unix::fs::PermissionsExt;
    let forge = Forge::new();
    // As the service and the cron line have it.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o002));
    forge.mirror();
    let mode = |name: &str| {
        let path = forge.mirror_path().join(name);
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    };
    for directory in ["", "objects", "objects/pack", "refs"] {
        assert_eq!(mode(directory), 0o2750, "{directory:?}");
    }
    let left: Vec<_> = fs::read_dir(forge.dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.starts_with(".mirror-new"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn rule_19_what_a_commit_says_is_fit_for_a_terminal() {
    let forge = Forge::new();
    let tree = forge.git(&["rev-parse", "HEAD^{tree}"]);
    let raw = format!(
        "tree {tree}\nauthor E\x1b[31mvil <e@x> 1700000000 +0200\ncommitter C <c@x> 1700000001 +0200\n\nsub\x07ject\r\x1b[2J\n\nbody\n"
    );
    let id = forge.git_with(
        &[
            "hash-object",
            "-t",
            "commit",
            "-w",
            "--stdin",
            "--literally",
        ],
        raw.as_bytes(),
    );
    forge.git(&["update-ref", "refs/heads/main", &id]);
    let mirror = forge.mirror();
    let raw = mirror.object(fetch(&forge, &mirror), Kind::Commit);
    let commit = pp_objects::commit::commit(&raw).unwrap();
    let shown = |text| crate::util::text::line(text);
    assert_eq!(shown(commit.author), "E [31mvil");
    assert_eq!(shown(commit.subject), "sub ject [2J");
}
