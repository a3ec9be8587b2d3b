//! What a way back crosses is named before it goes, and in the reason of one that is taken by itself.

use std::fs;

use super::world::{Version, World, answering, good};
use crate::state::Outcome;

fn with(files: &[(&'static str, &'static str)], version: Version) -> Version {
    Version {
        files: files.to_vec(),
        ..version
    }
}

#[test]
fn a_release_that_is_taken_back_names_its_migrations_and_the_copy() {
    let world = World::new("migrations = [\"*/migrations/*.py\"]\n");
    let first = ("todo/migrations/0001_first.py", "");
    let second = ("todo/migrations/0002_second.py", "");
    world.push('1', with(&[first], good()));
    world.attempt();
    let live = world.state().live.unwrap().name;
    fs::create_dir_all(world.layout().shared()).unwrap();
    fs::write(
        world
            .layout()
            .shared()
            .join("db.sqlite3.before-last-deploy"),
        "",
    )
    .unwrap();
    world.push(
        '2',
        with(&[first, second, ("todo/views.py", "")], answering(500)),
    );
    let attempt = world.attempt();
    assert_eq!(attempt.outcome, Outcome::RolledBack);
    let reason = attempt.reason.unwrap();
    let named = format!("{live} does not have a file that may have changed the database already");
    assert!(reason.contains(&named), "{reason}");
    assert!(
        reason.contains("0002_second.py") && !reason.contains("0001_first.py"),
        "{reason}"
    );
    assert!(!reason.contains("views.py"), "{reason}");
    assert!(reason.contains("db.sqlite3.before-last-deploy"), "{reason}");
    world.push('3', with(&[first], answering(500)));
    let reason = world.attempt().reason.unwrap();
    assert!(
        !reason.contains("may have changed the database"),
        "{reason}"
    );
}

#[test]
fn without_patterns_nothing_is_named() {
    let world = World::new("");
    world.push('1', good());
    world.attempt();
    world.push(
        '2',
        with(&[("todo/migrations/0002_second.py", "")], answering(500)),
    );
    let reason = world.attempt().reason.unwrap();
    assert!(!reason.contains("migrations"), "{reason}");
}
