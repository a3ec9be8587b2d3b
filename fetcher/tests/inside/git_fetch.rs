//! Listing and fetching from real repositories, served by git through the pipe that ssh uses.

use super::git_support::Forge;
use super::support;
use super::support::Mirror;
use crate::git::fetch::{FetchError, Fetched};
use crate::git::listing::ListedRevision;
use crate::git::listing::Unresolved;
use crate::git::{RefSelector, Remote, RemoteError, RemoteOptions};
use pp_objects::{Kind, ObjectId};

fn main_branch() -> RefSelector {
    RefSelector::Branch("main".into())
}

fn resolve(forge: &Forge, wanted: &RefSelector) -> Result<ListedRevision, Unresolved> {
    let mut remote = Remote::connect(&forge.url(), &RemoteOptions::default()).unwrap();
    wanted.resolve(&remote.list(wanted).unwrap())
}

fn fetch(forge: &Forge, mirror: &Mirror, wanted: &RefSelector) -> Result<Fetched, FetchError> {
    let mut remote = Remote::connect(&forge.url(), &RemoteOptions::default())?;
    let revision = wanted.resolve(&remote.list(wanted)?).unwrap();
    support::fetch(&mut remote, mirror, &revision, &mut |_| {})
}

#[test]
fn one_connection_lists_and_fetches_a_branch() {
    let forge = Forge::new();
    let tip = forge.commit("a/b.txt", "two\n", "second\n\nbody");
    let mirror = forge.mirror();
    let mut remote = Remote::connect(&forge.url(), &RemoteOptions::default()).unwrap();
    let revision = main_branch()
        .resolve(&remote.list(&main_branch()).unwrap())
        .unwrap();
    assert_eq!((revision.id, revision.commit), (tip, tip));
    let mut last = None;
    let fetched = support::fetch(&mut remote, &mirror, &revision, &mut |p| {
        last = Some((p.of, p.done, p.bytes));
    })
    .unwrap();
    // The commit before, and its tree, stay on the server.
    assert_eq!((fetched.commit, fetched.objects), (tip, 5));
    assert_eq!(last, Some((5, 5, fetched.bytes)));
    let raw = mirror.object(tip, Kind::Commit);
    let commit = pp_objects::commit::commit(&raw).unwrap();
    assert_eq!(
        (commit.author, commit.subject),
        (&b"Ada Example "[..], &b"second"[..])
    );
}

#[test]
fn an_update_brings_only_what_is_new() {
    let forge = Forge::new();
    let big = forge.commit("big", &"x\n".repeat(100_000), "big");
    let mirror = forge.mirror();
    fetch(&forge, &mirror, &main_branch()).unwrap();
    let next = forge.commit("app.py", "print('v2')\n", "v2");
    let fetched = fetch(&forge, &mirror, &main_branch()).unwrap();
    assert_eq!((fetched.commit, fetched.objects), (next, 3));
    assert!(mirror.is_ancestor(big, next));
    assert!(!mirror.is_ancestor(next, big));
    let again = fetch(&forge, &mirror, &main_branch()).unwrap();
    assert_eq!(
        (again.commit, again.bytes),
        (next, 0),
        "nothing is sent twice"
    );
}

#[test]
fn a_thin_pack_is_completed_from_the_mirror() {
    let forge = Forge::empty();
    let text: String = (0..5_000).map(|n| format!("line {n}\n")).collect();
    forge.commit("text", &text, "one");
    let mirror = forge.mirror();
    fetch(&forge, &mirror, &main_branch()).unwrap();
    let second = forge.commit("text", &text.replace("line 77\n", "changed\n"), "two");
    let fetched = fetch(&forge, &mirror, &main_branch()).unwrap();
    assert!(
        fetched.bytes < 2_000,
        "{} bytes: no delta was sent",
        fetched.bytes
    );
    let again = forge.mirror();
    assert!(again.contains(second), "the pack stands alone");
}

#[test]
fn rule_26_a_rewritten_history_is_told_apart_from_a_fast_forward() {
    let forge = Forge::new();
    let old = forge.commit("a", "a\n", "old");
    let mirror = forge.mirror();
    fetch(&forge, &mirror, &main_branch()).unwrap();
    forge.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let new = forge.commit("b", "b\n", "new");
    assert_eq!(fetch(&forge, &mirror, &main_branch()).unwrap().commit, new);
    assert!(!mirror.is_ancestor(old, new));
}

#[test]
fn tags_resolve_to_the_highest_release_and_to_its_commit() {
    let forge = Forge::new();
    let first = forge.git(&["rev-parse", "HEAD"]);
    forge.git(&["tag", "-a", "-m", "nine", "v1.9.0"]);
    let tip = forge.commit("b", "b\n", "ten");
    for tag in ["v1.10.0", "v2.0.0-rc.1", "vnext", "w9.0.0"] {
        forge.git(&["tag", "-a", "-m", tag, tag]);
    }
    let highest = resolve(&forge, &RefSelector::TagGlob("v*".into())).unwrap();
    assert_eq!(
        (highest.reference.as_str(), highest.commit),
        ("refs/tags/v1.10.0", tip)
    );
    assert_ne!(highest.id, tip, "the tag object itself, for its signature");
    let nine = resolve(&forge, &RefSelector::TagGlob("v1.9*".into())).unwrap();
    assert_eq!(nine.commit.to_string(), first);
    let candidate = resolve(&forge, &RefSelector::TagGlob("v*-rc*".into())).unwrap();
    assert_eq!(candidate.reference, "refs/tags/v2.0.0-rc.1");
    let mirror = forge.mirror();
    let fetched = fetch(&forge, &mirror, &RefSelector::TagGlob("v*".into())).unwrap();
    assert_eq!(fetched.commit, tip);
    assert!(mirror.contains(highest.id), "the tag object came along");
}

#[test]
fn what_is_not_there_is_said_clearly() {
    let empty = Forge::empty();
    assert_eq!(
        resolve(&empty, &main_branch()),
        Err(Unresolved::EmptyRepository)
    );
    let forge = Forge::new();
    forge.git(&["branch", "-m", "main", "trunk"]);
    let gone = resolve(&forge, &main_branch()).unwrap_err();
    assert_eq!(
        gone.to_string(),
        "there is no branch \"main\" (there are: trunk; its default is trunk): was it renamed or deleted?"
    );
    let no_tag = resolve(&forge, &RefSelector::TagGlob("v*".into())).unwrap_err();
    assert!(matches!(no_tag, Unresolved::NoTag { .. }), "{no_tag}");
    forge.git(&["tag", "vanilla"]);
    let no_version = resolve(&forge, &RefSelector::TagGlob("v*".into())).unwrap_err();
    assert!(
        no_version.to_string().contains("there is vanilla"),
        "{no_version}"
    );
    let no_ref = resolve(&forge, &RefSelector::Ref("refs/x/y".into())).unwrap_err();
    assert!(matches!(no_ref, Unresolved::NoRef { .. }), "{no_ref}");
}

#[test]
fn a_branch_is_not_taken_for_one_whose_name_it_begins() {
    let forge = Forge::new();
    forge.git(&["branch", "-m", "main", "main2"]);
    assert!(resolve(&forge, &main_branch()).is_err());
}

#[test]
fn a_repository_with_submodules_in_its_history_can_be_fetched() {
    let inner = Forge::new();
    let forge = Forge::new();
    let path = inner.repo();
    forge.git(&["submodule", "--quiet", "add", path.to_str().unwrap(), "sub"]);
    forge.git(&["commit", "-q", "-m", "sub"]);
    let tip = forge.git(&["rev-parse", "HEAD"]);
    let fetched = fetch(&forge, &forge.mirror(), &main_branch()).unwrap();
    assert_eq!(fetched.commit.to_string(), tip);
}

#[test]
fn a_missing_repository_and_a_missing_git_are_said_clearly() {
    let forge = Forge::new();
    let url = "file:///nowhere/x.git".parse().unwrap();
    let error = Remote::connect(&url, &RemoteOptions::default())
        .err()
        .unwrap();
    assert!(matches!(error, RemoteError::NoRepository { .. }), "{error}");
    let options = RemoteOptions {
        git: "/nowhere/git".into(),
        ..RemoteOptions::default()
    };
    let error = Remote::connect(&forge.url(), &options).err().unwrap();
    assert!(error.to_string().contains("install git"), "{error}");
}

#[test]
fn a_sha256_repository_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let forge = Forge { dir };
    forge.git(&["init", "-q", "--object-format=sha256", "-b", "main", "repo"]);
    for commit in [false, true] {
        if commit {
            std::fs::write(forge.repo().join("a"), "a").unwrap();
            forge.git(&["add", "a"]);
            forge.git(&["commit", "-q", "-m", "a"]);
        }
        let error = Remote::connect(&forge.url(), &RemoteOptions::default())
            .err()
            .unwrap();
        assert!(matches!(error, RemoteError::ObjectFormat { .. }), "{error}");
    }
}

#[test]
fn the_byte_budget_ends_a_fetch_and_leaves_the_mirror_as_it_was() {
    use std::io::Read;
    let forge = Forge::new();
    let mut noise = vec![0; 2 << 20];
    std::fs::File::open("/dev/urandom")
        .unwrap()
        .read_exact(&mut noise)
        .unwrap();
    std::fs::write(forge.repo().join("noise"), noise).unwrap();
    let tip = forge.commit("b", "b", "noise");
    let mirror = forge.mirror();
    let options = RemoteOptions {
        budget: 1 << 20,
        ..RemoteOptions::default()
    };
    let mut remote = Remote::connect(&forge.url(), &options).unwrap();
    let group = remote.process_group();
    let revision = main_branch()
        .resolve(&remote.list(&main_branch()).unwrap())
        .unwrap();
    let error = support::fetch(&mut remote, &mirror, &revision, &mut |_| {}).unwrap_err();
    assert!(
        matches!(
            error,
            FetchError::Remote(RemoteError::TooLarge {
                budget: 1_048_576,
                ..
            })
        ),
        "{error}"
    );
    super::git_support::nothing_left(group);
    assert!(!mirror.contains(tip));
    let left: Vec<_> = std::fs::read_dir(mirror.path())
        .unwrap()
        .filter(|e| {
            e.as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .starts_with("incoming-")
        })
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_want_that_the_server_does_not_have_is_the_servers_error() {
    let forge = Forge::new();
    let mirror = forge.mirror();
    let mut remote = Remote::connect(&forge.url(), &RemoteOptions::default()).unwrap();
    let id = ObjectId::parse("1234567890123456789012345678901234567890").unwrap();
    let revision = ListedRevision {
        reference: "refs/heads/main".into(),
        id,
        commit: id,
    };
    let error = support::fetch(&mut remote, &mirror, &revision, &mut |_| {}).unwrap_err();
    assert!(
        matches!(error, FetchError::Remote(RemoteError::Server { .. })),
        "{error}"
    );
    assert!(error.to_string().contains("not our ref"), "{error}");
}
