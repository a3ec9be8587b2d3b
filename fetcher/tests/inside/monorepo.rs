//! A repository of several apps: one directory of it is a release, and only some of its paths make a deploy.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::git_support::Forge;
use super::support::{self, Mirror, check_out};
use super::world::{World, good};
use crate::checkout::{Budget, CheckoutError, within};
use crate::deploy::Verdict;
use crate::git::{RefSelector, Remote, RemoteOptions};
use crate::state::Outcome;
use pp_objects::ObjectId;

fn fetched(forge: &Forge) -> (Mirror, ObjectId) {
    let wanted = RefSelector::Branch("main".into());
    let mirror = forge.mirror();
    let mut remote = Remote::connect(&forge.url(), &RemoteOptions::default()).unwrap();
    let revision = wanted.resolve(&remote.list(&wanted).unwrap()).unwrap();
    let fetched = support::fetch(&mut remote, &mirror, &revision, &mut |_| {}).unwrap();
    (mirror, fetched.commit)
}

fn only(subdirectory: &str) -> Budget {
    Budget {
        subdirectory: subdirectory.into(),
        ..Budget::default()
    }
}

fn into(forge: &Forge, name: &str) -> PathBuf {
    let into = forge.dir.path().join(name);
    fs::create_dir(&into).unwrap();
    into
}

#[test]
fn a_release_is_the_directory_and_nothing_beside_it() {
    let forge = Forge::empty();
    forge.commit("README", "all of it", "readme");
    forge.commit("apps/api/manage.py", "api", "api");
    forge.commit("apps/api/lib/a.py", "a", "api");
    forge.commit("apps/shop/manage.py", "shop", "shop");
    let (mirror, commit) = fetched(&forge);
    let release = into(&forge, "release");
    let done = check_out(&mirror, commit, None, &release, &only("apps/api")).unwrap();
    assert_eq!((done.files, done.directories), (2, 1));
    assert_eq!(
        fs::read_to_string(release.join("manage.py")).unwrap(),
        "api"
    );
    assert!(release.join("lib/a.py").exists() && !release.join("README").exists());
}

#[test]
fn a_directory_that_the_revision_has_not_is_refused_by_its_name() {
    let forge = Forge::empty();
    forge.commit("apps/api", "a file", "api");
    let (mirror, commit) = fetched(&forge);
    for (asked, named) in [
        ("apps/shop", "apps/shop"),
        ("apps/api", "apps/api"),
        ("x/y", "x"),
    ] {
        let release = into(&forge, &asked.replace('/', "-"));
        let error = check_out(&mirror, commit, None, &release, &only(asked)).unwrap_err();
        assert!(error.is_refusal());
        let said = error.to_string();
        assert!(
            said.contains(&format!(
                "because of {named}: the revision has no directory there"
            )),
            "{said}"
        );
    }
}

#[test]
fn a_link_to_what_is_beside_the_directory_leaves_the_release() {
    let forge = Forge::empty();
    forge.commit("common/x", "x", "common");
    fs::create_dir_all(forge.repo().join("api")).unwrap();
    symlink("../common/x", forge.repo().join("api/x")).unwrap();
    forge.commit("api/y", "y", "link");
    let (mirror, commit) = fetched(&forge);
    let whole = into(&forge, "whole");
    check_out(&mirror, commit, None, &whole, &Budget::default()).unwrap();
    let release = into(&forge, "release");
    let error = check_out(&mirror, commit, None, &release, &only("api")).unwrap_err();
    assert!(error.to_string().contains("because of x"), "{error}");
}

#[test]
fn a_filter_that_a_directory_above_asks_for_is_asked_for() {
    let forge = Forge::empty();
    forge.commit(
        ".gitattributes",
        "api/*.key filter=git-crypt\n",
        "attributes",
    );
    forge.commit("api/a.key", "secret", "key");
    let (mirror, commit) = fetched(&forge);
    let release = into(&forge, "release");
    let error = check_out(&mirror, commit, None, &release, &only("api")).unwrap_err();
    let CheckoutError::Filter { path, filter } = error else {
        panic!("{error}")
    };
    assert_eq!((path.as_str(), filter.as_str()), ("a.key", "git-crypt"));
    // A file of its own overrides it, as in git.
    forge.commit("api/.gitattributes", "a.key !filter\n", "override");
    let (mirror, commit) = fetched(&forge);
    check_out(&mirror, commit, None, &into(&forge, "again"), &only("api")).unwrap();
}

#[test]
fn a_path_differs_by_content_kind_and_presence() {
    let forge = Forge::empty();
    let one = forge.commit("api/a", "1", "one");
    fetched(&forge);
    let two = forge.commit("docs/x", "1", "two");
    fetched(&forge);
    let three = forge.commit("api/deep/b", "1", "three");
    let (mirror, _) = fetched(&forge);
    let differs = |one: ObjectId, other: ObjectId, path: &str| {
        let mut worker = mirror.open().unwrap();
        within::differs(&mut worker, one, other, &[PathBuf::from(path)]).unwrap()
    };
    assert!(!differs(one, two, "api"));
    assert!(differs(one, two, "docs"));
    assert!(differs(two, three, "api"));
    assert!(differs(two, three, "api/deep"));
    assert!(!differs(two, three, "api/a"));
    assert!(!differs(one, three, "api/a/below"), "a file has no entries");
    assert!(!differs(one, three, "nowhere"));
}

#[test]
fn a_rollback_leaves_what_differs_outside_of_the_paths_as_well() {
    let world = World::new("paths = [\"api\"]\n");
    let one = world.push('1', with("docs", "1"));
    world.attempt();
    world.push('2', with("docs", "2"));
    world.attempt();
    let three = world.push('3', with("notes", "2"));
    assert!(matches!(
        world.try_pass().unwrap(),
        Verdict::Unchanged { .. }
    ));
    assert_eq!(world.rollback(None).unwrap().outcome, Outcome::Good);
    assert!(matches!(world.try_pass().unwrap(), Verdict::Held(q) if q.revision == three));
    assert_eq!(world.served(), Some(one));
}

fn with(name: &'static str, content: &'static str) -> super::world::Version {
    super::world::Version {
        files: vec![("api", content), (name, "x")],
        ..good()
    }
}

#[test]
fn a_push_that_changes_none_of_the_paths_is_left_out_and_not_fetched_again() {
    let mut world = World::new("paths = [\"api\"]\n");
    let one = world.push('1', with("docs", "1"));
    world.attempt();
    let two = world.push('2', with("notes", "1"));
    let left_out = Verdict::Unchanged {
        revision: two,
        live: one,
    };
    assert_eq!(world.try_pass().unwrap(), left_out);
    assert_eq!(world.served(), Some(one));
    // Known from now on: the forge is asked for its list, and for nothing else.
    let removed = world.versions.borrow_mut().remove(&two).unwrap();
    assert_eq!(world.try_pass().unwrap(), left_out);
    world.versions.borrow_mut().insert(two, removed);
    // What has come since the live release counts, not only the last push.
    let three = world.push('3', with("docs", "2"));
    assert_eq!(world.attempt().outcome, Outcome::Good);
    assert_eq!(world.served(), Some(three));
    // Somebody wants this revision.
    let four = world.push('4', with("docs", "2"));
    assert!(matches!(
        world.try_pass().unwrap(),
        Verdict::Unchanged { .. }
    ));
    assert!(matches!(
        world.forced_pass().unwrap(),
        Verdict::Attempted(_)
    ));
    assert_eq!(world.served(), Some(four));
    // Other paths: the same revision may matter now.
    world.push('5', with("notes", "2"));
    assert!(matches!(
        world.try_pass().unwrap(),
        Verdict::Unchanged { .. }
    ));
    world.app.deploy.paths = vec![Path::new("notes").into()];
    world.app.fingerprint = "another".into();
    assert_eq!(world.attempt().outcome, Outcome::Good);
}
