//! The pipeline, from a push to what serves, without a forge, a systemd or an app.

use std::fs;

use super::world::{Version, World, answering, crashing, good, on_another_line};
use crate::deploy::Verdict;
use crate::state::Outcome;

fn phases(attempt: &crate::state::Attempt) -> Vec<&str> {
    attempt.phases.iter().map(|p| p.phase.as_str()).collect()
}

#[test]
fn a_first_deploy_then_an_update_then_nothing() {
    let world = World::new("");
    let one = world.push('1', good());
    let attempt = world.attempt();
    assert_eq!((attempt.outcome, attempt.previous), (Outcome::Good, None));
    let two = world.push('2', good());
    let attempt = world.attempt();
    assert_eq!(
        (attempt.outcome, attempt.previous),
        (Outcome::Good, Some(one))
    );
    let expected = [
        "poll", "look", "fetch", "verify", "checkout", "shared", "switch", "restart", "probe",
    ];
    assert_eq!(phases(&attempt), expected);
    assert_eq!(world.served(), Some(two));
    assert_eq!(world.state().live.unwrap().revision, two);
    assert!(matches!(world.try_pass().unwrap(), Verdict::Nothing(r) if r == two));
    assert_eq!((world.restarts.get(), world.attempts().len()), (2, 2));
}

#[test]
fn a_release_is_made_beside_the_one_that_was_found_good_and_no_other() {
    let (world, _) = World::with_one_live();
    assert_eq!(*world.beside.borrow(), None);
    let live = |world: &World| world.layout().release(&world.state().live.unwrap().name);
    let first = live(&world);
    let ill = answering(500);
    for digit in ['2', '3'] {
        world.push(digit, ill.clone());
        assert_eq!(world.attempt().outcome, Outcome::RolledBack);
        assert_eq!(world.beside.borrow().as_ref(), Some(&first));
    }
    world.push('4', good());
    assert_eq!(world.attempt().outcome, Outcome::Good);
    assert_eq!(world.beside.borrow().as_ref(), Some(&first));
    assert_ne!(live(&world), first);
}

#[test]
fn a_no_op_asks_once_and_writes_nothing() {
    let (world, _) = World::with_one_live();
    let stamp = |_: ()| {
        let list = |path: &std::path::Path| {
            let mut all: Vec<_> = fs::read_dir(path)
                .unwrap()
                .map(|e| e.unwrap())
                .map(|e| (e.file_name(), e.metadata().unwrap().modified().unwrap()))
                .collect();
            all.sort();
            all
        };
        (
            list(&world.directory.path().join("state/todo")),
            list(&world.app.deploy.root),
        )
    };
    let (before, listings) = (stamp(()), world.listings.get());
    assert!(matches!(world.try_pass().unwrap(), Verdict::Nothing(_)));
    assert_eq!(stamp(()), before);
    assert_eq!(world.listings.get(), listings + 1);
}

#[test]
fn a_build_that_fails_switches_nothing_and_is_not_tried_again() {
    let world = World::new("build = \"deploy.sh\"\n");
    let built = |script| Version {
        files: vec![("deploy.sh", script)],
        ..good()
    };
    let one = world.push('1', built("#!/bin/sh\necho $PP_REVISION >built\n"));
    assert_eq!(world.attempt().outcome, Outcome::Good);
    assert_eq!(
        fs::read_to_string(world.app.deploy.root.join("current/built"))
            .unwrap()
            .trim(),
        one.to_string()
    );
    let two = world.push('2', built("#!/bin/sh\necho no such module\nexit 7\n"));
    let attempt = world.attempt();
    assert_eq!(attempt.outcome, Outcome::Failed);
    let reason = attempt.reason.unwrap();
    assert!(
        reason.contains("exit code 7") && reason.contains("no such module"),
        "{reason}"
    );
    assert_eq!((world.served(), world.restarts.get()), (Some(one), 1));
    assert_eq!(
        world.layout().on_disk().len(),
        2,
        "the release that was not built can be looked into"
    );
    assert!(matches!(world.try_pass().unwrap(), Verdict::Held(q) if q.revision == two));
    world.push('3', built("#!/bin/sh\n"));
    assert_eq!(world.attempt().outcome, Outcome::Good);
}

#[test]
fn an_app_that_crashes_or_answers_errors_is_taken_back_and_quarantined() {
    let (world, one) = World::with_one_live();
    let bad = [
        ('2', crashing(), "exit-code"),
        ('3', answering(500), "500 instead of 200"),
        (
            '4',
            Version {
                status: None,
                ..good()
            },
            "does not answer",
        ),
    ];
    for (digit, version, why) in bad {
        let revision = world.push(digit, version);
        let attempt = world.attempt();
        assert_eq!(attempt.outcome, Outcome::RolledBack);
        assert!(
            attempt.reason.as_deref().unwrap().contains(why),
            "{:?}",
            attempt.reason
        );
        assert!(phases(&attempt).ends_with(&["back-switch", "back-restart", "back-probe"]));
        assert_eq!(world.served(), Some(one));
        assert!(
            world
                .running
                .borrow()
                .as_ref()
                .unwrap()
                .ends_with(world.state().live.unwrap().name)
        );
        assert!(world.state().quarantine_of(&revision).is_some());
        assert!(matches!(world.try_pass().unwrap(), Verdict::Held(_)));
    }
    let on_disk = world.layout().on_disk().len();
    assert_eq!(on_disk, 2, "the good one and the last that was not well");
    let five = world.push('5', good());
    assert_eq!(
        world.attempt().outcome,
        Outcome::Good,
        "the next good push is deployed at once"
    );
    assert_eq!(world.served(), Some(five));
}

#[test]
fn a_first_release_that_is_not_well_has_no_way_back_and_says_so() {
    let world = World::new("");
    world.push('1', crashing());
    let attempt = world.attempt();
    assert_eq!(attempt.outcome, Outcome::Stuck);
    assert!(attempt.reason.unwrap().contains("none to go back to"));
    world.push('2', good());
    assert_eq!(world.attempt().outcome, Outcome::Good);
}

#[test]
fn when_the_way_back_is_not_well_either_every_poll_tries_again() {
    let (world, one) = World::with_one_live();
    // A migration that the old release cannot work with.
    world.push(
        '2',
        Version {
            status: Some(500),
            one_way: true,
            ..good()
        },
    );
    assert_eq!(world.attempt().outcome, Outcome::Stuck);
    assert_eq!(world.attempt().outcome, Outcome::Stuck);
    world.versions.borrow_mut().get_mut(&one).unwrap().status = Some(200);
    assert_eq!(world.attempt().outcome, Outcome::RolledBack);
    assert_eq!(world.served(), Some(one));
    assert!(matches!(world.try_pass().unwrap(), Verdict::Held(_)));
    let numbers: Vec<_> = world.attempts().iter().map(|a| a.number).collect();
    assert_eq!(
        numbers,
        [1, 2],
        "it is one attempt, however often it is gone on with"
    );
}

#[test]
fn rule_26_a_rewritten_history_is_refused_once() {
    let (world, one) = World::with_one_live();
    world.push('2', on_another_line());
    let attempt = world.attempt();
    assert_eq!(attempt.outcome, Outcome::Refused);
    assert!(attempt.reason.unwrap().contains("another line"));
    assert_eq!(world.served(), Some(one));
    assert!(matches!(world.try_pass().unwrap(), Verdict::Held(_)));
}

#[test]
fn losing_the_state_does_not_lose_the_protection_against_a_downgrade() {
    let (world, _) = World::with_one_live();
    fs::remove_dir_all(world.directory.path().join("state")).unwrap();
    world.push('2', on_another_line());
    assert_eq!(world.attempt().outcome, Outcome::Refused);
}

#[test]
fn rule_27_a_hostile_tree_leaves_nothing_behind() {
    let (world, _) = World::with_one_live();
    world.push(
        '2',
        Version {
            hostile: true,
            files: vec![("x", "y")],
            ..good()
        },
    );
    let attempt = world.attempt();
    assert_eq!(attempt.outcome, Outcome::Refused);
    assert_eq!(fs::read_dir(world.layout().releases()).unwrap().count(), 1);
}

#[test]
fn a_restarter_that_would_refuse_is_found_out_before_anything_is_switched() {
    let (world, one) = World::with_one_live();
    let two = world.push('2', good());
    for (permitted, reachable, why) in [
        (false, true, "policy.d"),
        (true, false, "pp-restarter.socket"),
    ] {
        world.permitted.set(permitted);
        world.reachable.set(reachable);
        let error = world.try_pass().unwrap_err();
        assert!(
            error.starts_with("look: ") && error.contains(why),
            "{error}"
        );
        assert_eq!((world.served(), world.restarts.get()), (Some(one), 1));
    }
    world.permitted.set(true);
    world.reachable.set(true);
    assert_eq!(
        world.attempt().outcome,
        Outcome::Good,
        "not the revision's fault: tried again"
    );
    assert_eq!(world.served(), Some(two));
}

#[test]
fn a_forge_that_cannot_be_reached_is_counted_and_forgotten_when_it_can() {
    let (world, _) = World::with_one_live();
    let remote = world.remote.borrow_mut().take();
    for count in 1..=3 {
        assert!(world.try_pass().unwrap_err().contains("connection refused"));
        assert_eq!(world.state().trouble.unwrap().count, count);
    }
    *world.remote.borrow_mut() = remote;
    assert!(matches!(world.try_pass().unwrap(), Verdict::Nothing(_)));
    assert_eq!(world.state().trouble, None);
    assert_eq!(world.attempts().len(), 1, "no attempt was made");
}

#[test]
fn what_fails_again_and_again_is_tried_less_often_unless_somebody_asks() {
    let (world, _) = World::with_one_live();
    world.push('2', good());
    world.permitted.set(false);
    for _ in 0..2 {
        assert!(world.try_pass().is_err());
    }
    let listings = world.listings.get();
    assert!(matches!(world.scheduled_pass().unwrap(), Verdict::Waiting(t) if t.count == 2));
    assert_eq!(world.listings.get(), listings, "the forge was left alone");
    world.permitted.set(true);
    assert_eq!(world.attempt().outcome, Outcome::Good);
    assert_eq!(world.state().trouble, None);
}

#[test]
fn old_releases_go_and_the_way_back_stays() {
    let world = World::new("keep = 2\n");
    for digit in ['1', '2', '3', '4'] {
        world.push(digit, good());
        assert_eq!(world.attempt().outcome, Outcome::Good);
    }
    assert_eq!(world.layout().on_disk().len(), 2);
    assert_eq!(world.state().earlier.len(), 1);
}

#[test]
fn a_current_that_is_not_our_link_is_found_out_before_anything_is_built() {
    let world = World::new("");
    fs::create_dir_all(world.app.deploy.root.join("current")).unwrap();
    world.push('1', good());
    assert!(
        world
            .try_pass()
            .unwrap_err()
            .contains("not a symbolic link")
    );
    fs::remove_dir(world.app.deploy.root.join("current")).unwrap();
    assert_eq!(world.attempt().outcome, Outcome::Good);
}
