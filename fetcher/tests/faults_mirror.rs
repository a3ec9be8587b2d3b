//! A mirror that is damaged, and every lock that git may leave in it: set aside or swept, begun again,
//! and the releases are not touched (rule 31).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod site;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use site::{Site, invariants};

/// Every file of the mirror.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found
}

/// Whatever is done to the mirror, what serves goes on serving, and the next push is deployed, by the
/// first poll or at the latest by the second.
fn spoilt(spoil: impl Fn(&Path)) {
    let site = Site::with_one_live();
    let releases = site.layout().on_disk();
    let mirror = site.state_path("mirror.git");
    spoil(&mirror);
    // Whoever runs this, what is found there is the program's own.
    let owner = fs::metadata(site.state_path("state.json")).unwrap();
    let owner = format!("{}:{}", owner.uid(), owner.gid());
    let chown = Command::new("chown")
        .args(["-R", &owner])
        .arg(&mirror)
        .status();
    assert!(chown.unwrap().success());
    site.poll().ended(0);
    site.push("two", "200", "");
    let first = site.poll();
    invariants::always(&site);
    invariants::nothing_runs(&site);
    if first.code != Some(0) {
        assert_eq!(site.served().as_deref(), Some("one"), "{first:?}");
        let second = site.poll();
        assert_eq!(
            site.served().as_deref(),
            Some("two"),
            "{first:?}\n{second:?}"
        );
    }
    for release in &releases {
        let kept = site
            .state()
            .earlier
            .iter()
            .any(|kept| kept.name == *release);
        assert!(
            !kept || site.layout().release(release).is_dir(),
            "{release} was touched"
        );
    }
    site.converges("two");
}

fn packs(mirror: &Path, ending: &str) -> Vec<PathBuf> {
    let found = files(&mirror.join("objects"));
    let found: Vec<_> = found
        .into_iter()
        .filter(|f| f.extension().is_some_and(|e| e == ending))
        .collect();
    assert!(!found.is_empty(), "there is no {ending}");
    found
}

/// Writes over a file that is read-only.
fn overwrite(path: &Path, change: impl Fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn fault_mirror_pack_truncated() {
    spoilt(|mirror| {
        for pack in packs(mirror, "pack") {
            overwrite(&pack, |bytes| bytes.truncate(bytes.len() / 2));
        }
    });
}

#[test]
fn fault_mirror_pack_empty() {
    spoilt(|mirror| {
        packs(mirror, "pack")
            .iter()
            .for_each(|pack| overwrite(pack, Vec::clear));
    });
}

#[test]
fn fault_mirror_pack_with_bytes_flipped() {
    spoilt(|mirror| {
        for pack in packs(mirror, "pack") {
            overwrite(&pack, |bytes| {
                let end = bytes.len() - 20;
                bytes
                    .iter_mut()
                    .take(end)
                    .skip(12)
                    .step_by(7)
                    .for_each(|byte| *byte ^= 0x55);
            });
        }
    });
}

#[test]
fn fault_mirror_index_missing() {
    spoilt(|mirror| {
        packs(mirror, "idx")
            .iter()
            .for_each(|idx| fs::remove_file(idx).unwrap());
    });
}

#[test]
fn fault_mirror_pack_missing() {
    spoilt(|mirror| {
        packs(mirror, "pack")
            .iter()
            .for_each(|pack| fs::remove_file(pack).unwrap());
    });
}

#[test]
fn fault_mirror_head_garbage() {
    spoilt(|mirror| fs::write(mirror.join("HEAD"), [0xff; 100]).unwrap());
}

#[test]
fn fault_mirror_config_garbage() {
    spoilt(|mirror| fs::write(mirror.join("config"), "[[[\0").unwrap());
}

#[test]
fn fault_mirror_refs_garbage() {
    spoilt(|mirror| {
        for file in files(&mirror.join("refs")) {
            fs::write(file, "not an id\n").unwrap();
        }
    });
}

#[test]
fn fault_mirror_refs_to_nothing() {
    spoilt(|mirror| {
        for file in files(&mirror.join("refs")) {
            fs::write(file, format!("{}\n", "1".repeat(40))).unwrap();
        }
    });
}

#[test]
fn fault_mirror_objects_missing() {
    spoilt(|mirror| fs::remove_dir_all(mirror.join("objects")).unwrap());
}

#[test]
fn fault_mirror_emptied() {
    spoilt(|mirror| {
        fs::remove_dir_all(mirror).unwrap();
        fs::create_dir(mirror).unwrap();
    });
}

#[test]
fn fault_mirror_is_a_file() {
    spoilt(|mirror| {
        fs::remove_dir_all(mirror).unwrap();
        fs::write(mirror, "not a repository").unwrap();
    });
}

#[test]
fn fault_mirror_every_stale_lock() {
    spoilt(|mirror| {
        let refs = [
            "refs/heads/main",
            "refs/pp/last-fetched",
            "refs/pp/live",
            "packed-refs",
        ];
        let all = files(mirror)
            .into_iter()
            .chain(refs.map(|name| mirror.join(name)));
        for file in all {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(format!("{}.lock", file.display()), "").unwrap();
        }
        fs::write(
            mirror.join("objects/pack/pack_git2_0123456789abcdef"),
            "half",
        )
        .unwrap();
        fs::write(mirror.join("objects/pack/tmp_pack_x"), "half").unwrap();
        fs::create_dir(mirror.join("incoming-x")).unwrap();
        fs::write(mirror.join("incoming-x/pack"), "half").unwrap();
        for lock in ["shallow.lock", "index.lock", "gc.pid.lock"] {
            fs::write(mirror.join(lock), "").unwrap();
        }
    });
}
