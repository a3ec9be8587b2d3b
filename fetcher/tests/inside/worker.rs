//! The git worker as its parent sees it: never believed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use pp_objects::protocol::VERSION;
use pp_objects::{Kind, ObjectId};

use super::git_support::{Forge, built_worker, nothing_left, script, write_files};
use super::support;
use crate::checkout::{Budget, CheckoutError, check_out};
use crate::deploy::FailureClass;
use crate::deploy::source::{Source, SourceError};
use crate::git::{RefSelector, Remote, RemoteOptions};
use crate::repository::Repository;
use crate::worker::channel::{Channel, Task};
use crate::worker::{Client, ObjectPiece, Objects, WorkerError};

/// The repository of an app that follows `main`, with a worker that may be another program.
fn repository(forge: &Forge, worker: PathBuf) -> Repository {
    let text = format!(
        "repository = \"file://{}\"\n[deploy]\nroot = \"/srv/todo\"\n",
        forge.repo().display()
    );
    support::repository(&text, forge.mirror_path()).with_worker(worker)
}

/// A poll, a fetch and a checkout.
fn deployed(forge: &Forge, repository: &Repository) -> Result<PathBuf, SourceError> {
    let into = forge.dir.path().join("release");
    support::deploy(repository, &into)?;
    Ok(into)
}

/// A worker of our own making: what it does instead of, or around, the real one.
fn fake(forge: &Forge, body: &str) -> PathBuf {
    let program = forge.dir.path().join("worker");
    // It is started with an empty environment.
    script(&program, &format!("PATH=/usr/bin:/bin\n{body}"));
    program
}

/// Says that it is ready, and answers the first request with what follows.
const READY: &str = "say() { printf \"$1\\\\0\\\\0\\\\0\\\\$(printf %03o ${#2})%s\" \"$2\"; }\n\
                     say J '{\"Ready\":{\"version\":\"0.1.0/3\",\"lacking\":null}}'\n";

#[test]
fn a_revision_is_fetched_and_checked_out_by_workers() {
    let forge = Forge::new();
    forge.commit("bin/run", "#!/bin/sh\n", "a program");
    let release = deployed(&forge, &repository(&forge, built_worker())).unwrap();
    assert_eq!(
        fs::read_to_string(release.join("app.py")).unwrap(),
        "print('v1')\n"
    );
    let mode = |name: &str| {
        fs::metadata(release.join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!((mode("app.py"), mode("bin")), (0o664, 0o775));
}

#[test]
fn a_poll_starts_no_worker() {
    let forge = Forge::new();
    let repository = repository(&forge, "/nonexistent".into());
    let listing = repository.poll(&[]).unwrap();
    assert!(!forge.mirror_path().exists(), "and writes nothing");
    let error = listing.fetch(&mut |_| {}).err().unwrap();
    assert!(
        error.what.contains("git worker cannot be started"),
        "{}",
        error.what
    );
}

#[test]
fn a_damaged_mirror_is_set_aside_by_the_parent() {
    let forge = Forge::new();
    deployed(&forge, &repository(&forge, built_worker())).unwrap();
    fs::remove_dir_all(forge.dir.path().join("release")).unwrap();
    fs::remove_file(forge.mirror_path().join("HEAD")).unwrap();
    forge.commit("b", "b\n", "next");
    deployed(&forge, &repository(&forge, built_worker())).unwrap();
    let names = fs::read_dir(forge.dir.path()).unwrap().flatten();
    let aside = names.filter(|e| e.file_name().to_string_lossy().contains(".broken-"));
    assert_eq!(aside.count(), 1);
}

#[test]
fn a_worker_that_misbehaves_is_a_clear_error_and_the_next_poll_converges() {
    for (body, expected) in [
        (
            "kill -SEGV $$".to_owned(),
            "was ended by signal 11 (SIGSEGV) while opening the mirror",
        ),
        ("kill -KILL $$".to_owned(), "short of memory"),
        ("exit 7".to_owned(), "exit code 7"),
        ("echo it is broken >&2; exit 1".to_owned(), "it is broken"),
        ("echo rubbish".to_owned(), "a frame of an unknown kind"),
        (
            "printf 'J\\377\\377\\377\\377'".to_owned(),
            "a frame that is too long",
        ),
        ("printf 'J\\0\\0\\0\\002no'".to_owned(), "what is no answer"),
        ("cat /dev/zero".to_owned(), "a frame of an unknown kind"),
        (
            format!("{READY} say J '\"Done\"'; cat >/dev/null"),
            "something else than was asked",
        ),
        (
            format!("{READY} say J '{{\"Haves\":[[\"../../etc\"],[]]}}'; cat >/dev/null"),
            "what is no answer",
        ),
        (
            format!(
                "{READY} say J '{{\"Failed\":[\"Other\",\"\\u001b[31mred\",null]}}'; cat >/dev/null"
            ),
            "[31mred",
        ),
        (
            format!("{READY} say J '\"Here\"'; say J '{{\"Commit\":\"x\"}}'; cat >/dev/null"),
            "what is no answer",
        ),
    ] {
        let forge = Forge::new();
        let program = fake(&forge, &body);
        let error = deployed(&forge, &repository(&forge, program)).unwrap_err();
        println!("{}\n", error.what);
        assert!(error.what.contains(expected), "{body}: {}", error.what);
        assert!(!error.what.contains('\u{1b}'), "{}", error.what);
        assert_eq!(error.class, FailureClass::Environment, "{body}");
        deployed(&forge, &repository(&forge, built_worker())).unwrap();
    }
}

#[test]
fn a_worker_that_hands_over_another_commit_is_found_out() {
    let forge = Forge::new();
    // Everything is here, it says; the commit it gives is not the one of that name.
    let tip = forge.git(&["rev-parse", "HEAD"]);
    let body = format!(
        "{READY} say J '\"Here\"'; say J '{{\"Commit\":\"{tip}\"}}'; \n\
         printf 'O\\0\\0\\0\\033\\0\\0\\0\\0\\001tree of another commit'; say J '\"Done\"'; cat >/dev/null"
    );
    let program = fake(&forge, &body);
    let error = deployed(&forge, &repository(&forge, program)).unwrap_err();
    assert!(
        error.what.contains("is not the object of that name"),
        "{}",
        error.what
    );
}

/// A worker that hands over what the real one does, but for a lie.
struct Liar<'a> {
    honest: Client,
    lie: &'a Lie,
    sizes: Sizes,
}

type Sizes = fn(u64) -> u64;

type Lie = dyn Fn(ObjectPiece) -> Vec<ObjectPiece>;

impl Objects for Liar<'_> {
    fn read(&mut self, kind: Kind, ids: &[ObjectId]) -> Result<Vec<Vec<u8>>, WorkerError> {
        self.honest.read(kind, ids)
    }

    fn sizes(&mut self, ids: &[ObjectId]) -> Result<Vec<u64>, WorkerError> {
        let sizes = self.honest.sizes(ids)?;
        Ok(sizes.into_iter().map(self.sizes).collect())
    }

    fn stream(
        &mut self,
        ids: &[ObjectId],
        take: &mut dyn FnMut(ObjectPiece) -> bool,
    ) -> Result<(), WorkerError> {
        let lie = self.lie;
        self.honest
            .stream(ids, &mut |piece| lie(piece).into_iter().all(&mut *take))
    }
}

#[test]
fn a_worker_that_hands_over_other_files_is_found_out_and_nothing_is_left() {
    let honest = |piece| vec![piece];
    let other = |piece| {
        let bytes = Bytes::from_static(b"evil");
        vec![ObjectPiece { bytes, ..piece }]
    };
    let as_long = |piece: ObjectPiece| {
        let bytes = piece.bytes.iter().map(|byte| byte ^ 1).collect();
        vec![ObjectPiece { bytes, ..piece }]
    };
    let longer = |piece: ObjectPiece| {
        let (first, second) = (piece.clone(), piece);
        vec![
            ObjectPiece {
                last: false,
                ..first
            },
            second,
        ]
    };
    let swapped = |piece: ObjectPiece| {
        let index = 1 - piece.index;
        vec![ObjectPiece { index, ..piece }]
    };
    let never_ends = |piece| {
        vec![ObjectPiece {
            last: false,
            ..piece
        }]
    };
    let beyond = |piece: ObjectPiece| {
        let index = piece.index + 7;
        vec![ObjectPiece { index, ..piece }]
    };
    let same: Sizes = |size| size;
    let lies: [(&Lie, Sizes); 8] = [
        (&other, same),
        (&as_long, same),
        (&longer, same),
        (&swapped, same),
        (&never_ends, same),
        (&beyond, same),
        (&honest, |size| size - 1),
        (&honest, |size| size + 1),
    ];
    for (n, (lie, sizes)) in lies.into_iter().enumerate() {
        let forge = Forge::new();
        let commit = forge.commit("b.py", "print('b')\n", "two files");
        deployed(&forge, &repository(&forge, built_worker())).unwrap();
        let into = forge.dir.path().join("forged");
        fs::create_dir(&into).unwrap();
        let honest = forge.mirror().open().unwrap();
        let mut liar = Liar { honest, lie, sizes };
        let budget = Budget::default();
        let error =
            check_out(&mut liar, (commit, None), None, &into, &budget, &mut |_| {}).unwrap_err();
        assert!(
            error.to_string().contains("is not the object of that name"),
            "{n}: {error}"
        );
        assert!(!error.is_refusal(), "{n}: the revision is not at fault");
        assert!(!into.exists(), "{n}: left behind");
    }
}

/// Checks out with a liar, and gives the error.
fn lied_to(
    forge: &Forge,
    commit: ObjectId,
    lie: &Lie,
    sizes: Sizes,
    budget: &Budget,
) -> CheckoutError {
    let into = forge.dir.path().join("lied");
    fs::create_dir(&into).unwrap();
    let honest = forge.mirror().open().unwrap();
    let mut liar = Liar { honest, lie, sizes };
    check_out(&mut liar, (commit, None), None, &into, budget, &mut |_| {}).unwrap_err()
}

/// Fetches `main` into the mirror; checks nothing out.
fn fetch_main(forge: &Forge) {
    let mut remote = Remote::connect(&forge.url(), &RemoteOptions::default()).unwrap();
    let wanted = RefSelector::Branch("main".into());
    let revision = wanted.resolve(&remote.list(&wanted).unwrap()).unwrap();
    support::fetch(&mut remote, &forge.mirror(), &revision, &mut |_| {}).unwrap();
}

fn deploy_commit(files: &[(&str, &str)]) -> (Forge, ObjectId) {
    let forge = Forge::new();
    write_files(&forge.repo(), files);
    let commit = forge.commit("last", "last\n", "files");
    deployed(&forge, &repository(&forge, built_worker())).unwrap();
    (forge, commit)
}

#[test]
fn a_worker_that_never_ends_a_file_does_not_fill_the_disk() {
    let (forge, commit) = deploy_commit(&[]);
    let largest = Arc::new(AtomicU64::new(0));
    let (into, seen) = (forge.dir.path().join("lied"), Arc::clone(&largest));
    let endless = move |piece: ObjectPiece| {
        for entry in fs::read_dir(&into).unwrap().flatten() {
            let length = entry.metadata().map_or(0, |found| found.len());
            seen.fetch_max(length, Ordering::Relaxed);
        }
        let bytes = Bytes::from(vec![b'x'; 128 * 1024]);
        let piece = ObjectPiece {
            last: false,
            bytes,
            ..piece
        };
        vec![piece; 200]
    };
    let error = lied_to(&forge, commit, &endless, |size| size, &Budget::default());
    assert!(
        error.to_string().contains("is not the object of that name"),
        "{error}"
    );
    assert!(!forge.dir.path().join("lied").exists(), "left behind");
    let largest = largest.load(Ordering::Relaxed);
    assert!(largest < 128 * 1024, "{largest} bytes were written");
}

#[test]
fn a_worker_that_ends_no_file_does_not_use_up_the_descriptors() {
    let names: Vec<_> = (0..2000).map(|n| format!("file{n}")).collect();
    let files: Vec<_> = names.iter().map(|n| (n.as_str(), n.as_str())).collect();
    let (forge, commit) = deploy_commit(&files);
    let most = Arc::new(AtomicU64::new(0));
    let (into, seen) = (forge.dir.path().join("lied"), Arc::clone(&most));
    // None of the files is complete, so each that is there is held open.
    let unfinished = move |piece: ObjectPiece| {
        if piece.index.is_multiple_of(100) {
            let open = fs::read_dir(&into).unwrap().count();
            seen.fetch_max(open as u64, Ordering::Relaxed);
        }
        vec![ObjectPiece {
            last: false,
            ..piece
        }]
    };
    let error = lied_to(&forge, commit, &unfinished, |size| size, &Budget::default());
    assert!(
        error.to_string().contains("is not the object of that name"),
        "{error}"
    );
    let most = most.load(Ordering::Relaxed);
    assert!(most <= 64, "{most} files were open");
}

#[test]
fn a_large_file_pointer_is_refused_however_the_worker_cuts_it() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 7\n";
    let forge = Forge::new();
    let commit = forge.commit("movie.bin", pointer, "a pointer");
    fetch_main(&forge);
    let cut = |piece: ObjectPiece| {
        let nothing = ObjectPiece {
            last: false,
            bytes: Bytes::new(),
            ..piece
        };
        vec![nothing, piece]
    };
    let error = lied_to(&forge, commit, &cut, |size| size, &Budget::default());
    assert!(
        error.is_refusal() && error.to_string().contains("LFS"),
        "{error}"
    );
}

#[test]
fn a_worker_that_makes_a_pointer_of_a_file_does_not_put_the_blame_on_the_revision() {
    let (forge, commit) = deploy_commit(&[]);
    let pointer = |piece| {
        let bytes =
            Bytes::from_static(b"version https://git-lfs.github.com/spec/v1\noid sha256:a\n");
        vec![ObjectPiece { bytes, ..piece }]
    };
    let error = lied_to(&forge, commit, &pointer, |size| size, &Budget::default());
    assert!(!error.is_refusal(), "{error}");
}

#[test]
fn the_limit_of_attributes_does_not_rest_on_the_workers_word() {
    let many = "*.a text\n".repeat(200_000);
    let forge = Forge::new();
    write_files(&forge.repo(), &[(".gitattributes", &many)]);
    let commit = forge.commit("last", "last\n", "files");
    fetch_main(&forge);
    let honest = |piece| vec![piece];
    let error = lied_to(&forge, commit, &honest, |_| 0, &Budget::default());
    assert!(
        error.to_string().contains("is not the object of that name"),
        "{error}"
    );
}

#[test]
fn a_worker_of_another_version_is_not_asked() {
    let forge = Forge::new();
    let program = fake(&forge, &READY.replace(VERSION, "0.0.9/1"));
    let error = deployed(&forge, &repository(&forge, program)).unwrap_err();
    assert!(
        error.what.contains("systemctl restart pp-fetcher"),
        "{}",
        error.what
    );
}

#[test]
fn a_worker_that_hangs_is_ended_with_all_it_started() {
    let forge = Forge::new();
    let program = fake(&forge, "trap '' TERM; sleep 300 & echo $! >&2; wait");
    let task = Task {
        doing: "opening the mirror",
        time: Duration::from_secs(1),
    };
    let mut channel = Channel::start(&program, &forge.mirror_path(), task).unwrap();
    let group = channel.pid();
    let error = channel.receive().unwrap_err();
    assert!(matches!(error, WorkerError::TimedOut { .. }), "{error}");
    nothing_left(group);
}
