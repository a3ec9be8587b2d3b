//! Rule 27: trees made to do harm, written with git's own tools into real repositories.

use std::fs;

use super::git_support::Forge;
use super::support;
use super::support::check_out;
use crate::checkout::error::Refusal;
use crate::checkout::{Budget, CheckedOut, CheckoutError};
use crate::git::{RefSelector, Remote, RemoteOptions};
use pp_objects::ObjectId;

/// Fetches the commit and checks it out, as a deploy does.
fn deploy(forge: &Forge, commit: ObjectId, budget: &Budget) -> Result<CheckedOut, CheckoutError> {
    let wanted = RefSelector::Branch("main".into());
    let mirror = forge.mirror();
    let mut remote = Remote::connect(&forge.url(), &RemoteOptions::default()).unwrap();
    let revision = wanted.resolve(&remote.list(&wanted).unwrap()).unwrap();
    assert_eq!(
        support::fetch(&mut remote, &mirror, &revision, &mut |_| {})
            .unwrap()
            .commit,
        commit
    );
    let into = forge.dir.path().join("release");
    fs::create_dir(&into).unwrap();
    let result = check_out(&mirror, commit, None, &into, budget);
    assert_eq!(
        into.exists(),
        result.is_ok(),
        "nothing is left of a refused tree"
    );
    result
}

/// The path and the reason with which a tree of these entries is refused.
fn refused(forge: &Forge, entries: &[(&str, &[u8], &str)], budget: &Budget) -> (String, Refusal) {
    let commit = forge.commit_tree(&forge.tree(entries));
    match deploy(forge, commit, budget) {
        Err(CheckoutError::Refused { path, why }) => (path, why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_that_are_not_for_files_are_refused_with_their_path() {
    for (name, why) in [
        (&b".git"[..], Refusal::DotGit),
        (b".GIT", Refusal::DotGit),
        (b"git~1", Refusal::DotGit),
        (b".git ", Refusal::DotGit),
        (b"..", Refusal::Name),
        (b".", Refusal::Name),
        (b"a/b", Refusal::Name),
        (b"../../etc/cron.d/x", Refusal::Name),
        (b"a\nb", Refusal::Control),
    ] {
        let forge = Forge::empty();
        let blob = forge.blob(b"harm\n");
        let found = refused(&forge, &[("100644", name, &blob)], &Budget::default());
        assert_eq!(found.1, why, "{name:?}");
        assert!(!found.0.contains('\n'));
        // The same in a directory below.
        let forge = Forge::empty();
        let inner = forge.tree(&[("100644", name, &forge.blob(b"harm\n"))]);
        let found = refused(&forge, &[("40000", b"sub", &inner)], &Budget::default());
        assert_eq!(found.1, why, "sub/{name:?}");
        assert!(found.0.starts_with("sub/"), "{}", found.0);
    }
}

#[test]
fn a_git_directory_is_refused_as_a_directory_too() {
    let forge = Forge::empty();
    let hooks = forge.tree(&[("100755", b"post-checkout", &forge.blob(b"#!/bin/sh\nid\n"))]);
    let found = refused(&forge, &[("40000", b".git", &hooks)], &Budget::default());
    assert_eq!(found, (".git".into(), Refusal::DotGit));
}

#[test]
fn links_that_leave_the_release_are_refused() {
    for target in ["/etc/passwd", "../x", "..", "a/../../x", "./..", "a/.."] {
        let forge = Forge::empty();
        let blob = forge.blob(target.as_bytes());
        let (path, why) = refused(&forge, &[("120000", b"link", &blob)], &Budget::default());
        assert_eq!(path, "link");
        assert_eq!(
            why,
            Refusal::Link {
                target: target.into()
            }
        );
    }
}

#[test]
fn a_file_is_never_written_through_a_link_of_the_same_tree() {
    // The attack: a link `d` to elsewhere, and a directory `d` with a file in it.
    for order in [false, true] {
        let forge = Forge::empty();
        let inner = forge.tree(&[("100644", b"pwned", &forge.blob(b"x\n"))]);
        let link = forge.blob(b"elsewhere");
        let mut entries = [
            ("120000", &b"d"[..], link.as_str()),
            ("40000", b"d", &inner),
        ];
        if order {
            entries.reverse();
        }
        assert_eq!(
            refused(&forge, &entries, &Budget::default()),
            ("d".into(), Refusal::Twice)
        );
    }
}

#[test]
fn setuid_bits_and_write_bits_of_the_world_are_masked() {
    use std::os::unix::fs::PermissionsExt;
    let forge = Forge::empty();
    let blob = forge.blob(b"#!/bin/sh\n");
    let tree = forge.tree(&[
        ("104755", b"a", &blob),
        ("100666", b"b", &blob),
        ("107777", b"c", &blob),
    ]);
    deploy(&forge, forge.commit_tree(&tree), &Budget::default()).unwrap();
    for (name, mode) in [("a", 0o775), ("b", 0o664), ("c", 0o775)] {
        let path = forge.dir.path().join("release").join(name);
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o7777,
            mode,
            "{name}"
        );
    }
}

#[test]
fn kinds_that_git_does_not_write_are_refused() {
    for (mode, number) in [
        ("20666", 0o20_666),
        ("60660", 0o60_660),
        ("10644", 0o10_644),
    ] {
        let forge = Forge::empty();
        let blob = forge.blob(b"x");
        let (_, why) = refused(&forge, &[(mode, b"dev", &blob)], &Budget::default());
        assert_eq!(why, Refusal::Mode(number));
    }
}

#[test]
fn a_submodule_is_refused_unless_it_is_configured() {
    let forge = Forge::new();
    let head = forge.git(&["rev-parse", "HEAD"]);
    let entries = [("160000", &b"sub"[..], head.as_str())];
    let found = refused(&forge, &entries, &Budget::default());
    assert_eq!(found, ("sub".into(), Refusal::Submodule));
    // Where another one stands is of no help.
    let budget = Budget {
        submodules: ["other".into()].into(),
        ..Budget::default()
    };
    assert_eq!(refused(&forge, &entries, &budget), found);
}

#[test]
fn a_large_blob_that_is_small_on_the_wire_is_refused_unread() {
    let forge = Forge::empty();
    let zeros = forge.dir.path().join("zeros");
    fs::File::create(&zeros).unwrap().set_len(64 << 20).unwrap();
    let blob = forge.git(&["hash-object", "-w", zeros.to_str().unwrap()]);
    let budget = Budget {
        file_bytes: 16 << 20,
        ..Budget::default()
    };
    let found = refused(&forge, &[("100644", b"zeros", &blob)], &budget);
    let (size, limit) = (64 << 20, 16 << 20);
    assert_eq!(found, ("zeros".into(), Refusal::FileSize { size, limit }));
}

#[test]
fn a_tree_that_explodes_is_refused_at_the_budget() {
    // Ten levels of ten entries each: eleven objects, ten thousand million files.
    let forge = Forge::empty();
    let mut id = forge.blob(b"x");
    let names: Vec<String> = (0..10).map(|n| format!("n{n}")).collect();
    for level in 0..10 {
        let mode = if level == 0 { "100644" } else { "40000" };
        let entries: Vec<_> = names
            .iter()
            .map(|n| (mode, n.as_bytes(), id.as_str()))
            .collect();
        id = forge.tree(&entries);
    }
    let commit = forge.commit_tree(&id);
    let error = deploy(&forge, commit, &Budget::default()).unwrap_err();
    assert!(
        matches!(
            error,
            CheckoutError::Refused {
                why: Refusal::Entries(200_000),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn depth_and_bytes_are_budgeted() {
    let forge = Forge::empty();
    let mut id = forge.tree(&[("100644", b"x", &forge.blob(b"x"))]);
    for _ in 0..70 {
        id = forge.tree(&[("40000", b"d", &id)]);
    }
    let error = deploy(&forge, forge.commit_tree(&id), &Budget::default()).unwrap_err();
    assert!(
        matches!(
            error,
            CheckoutError::Refused {
                why: Refusal::Depth(64),
                ..
            }
        ),
        "{error}"
    );
    let forge = Forge::empty();
    let blob = forge.blob(b"0123456789");
    let budget = Budget {
        bytes: 25,
        ..Budget::default()
    };
    let entries = [
        ("100644", &b"a"[..], blob.as_str()),
        ("100644", b"b", &blob),
        ("100644", b"c", &blob),
    ];
    assert_eq!(
        refused(&forge, &entries, &budget),
        ("c".into(), Refusal::Bytes(25))
    );
}

#[test]
fn an_lfs_pointer_is_refused_instead_of_deployed_as_text() {
    let forge = Forge::empty();
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
    let inner = forge.tree(&[("100644", b"photo.jpg", &forge.blob(pointer))]);
    let found = refused(&forge, &[("40000", b"media", &inner)], &Budget::default());
    assert_eq!(found, ("media/photo.jpg".into(), Refusal::Lfs));
}

#[test]
fn a_file_named_like_a_commit_id_is_an_ordinary_file() {
    let forge = Forge::new();
    let head = forge.git(&["rev-parse", "HEAD"]);
    let commit = forge.commit(&head, "hello\n", "named like a commit");
    assert_eq!(deploy(&forge, commit, &Budget::default()).unwrap().files, 2);
}

#[test]
fn a_submodule_address_that_runs_a_command_is_never_looked_at() {
    let forge = Forge::new();
    let gitmodules = "[submodule \"x\"]\n\tpath = x\n\turl = ext::sh -c touch% /tmp/pp-pwned\n";
    let commit = forge.commit(".gitmodules", gitmodules, "modules");
    deploy(&forge, commit, &Budget::default()).unwrap();
    assert!(!std::path::Path::new("/tmp/pp-pwned").exists());
}

#[test]
fn time_is_budgeted() {
    let forge = Forge::new();
    let commit = forge.commit("b", "b", "b");
    let budget = Budget {
        time: std::time::Duration::ZERO,
        ..Budget::default()
    };
    let error = deploy(&forge, commit, &budget).unwrap_err();
    assert!(matches!(error, CheckoutError::TimedOut(_)), "{error}");
}
