//! Kind A: no state of an app keeps a good commit from going live, and from each there is a command that
//! leads out.

use std::os::unix::fs::symlink;

use super::world::{Version, World, answering, crashing, good};
use crate::deploy::Verdict;
use crate::revision::Revision;
use crate::state::Outcome;

fn sick() -> Version {
    answering(500)
}

/// After it no other version is well.
fn one_way() -> Version {
    Version {
        one_way: true,
        ..sick()
    }
}

/// `1` was good, `2` is sick and has migrated, so that `1` is sick too.
fn stuck() -> (World, Revision, Revision) {
    let (world, one) = World::with_one_live();
    let two = world.push('2', one_way());
    let attempt = world.attempt();
    assert_eq!(attempt.outcome, Outcome::Stuck);
    let reason = attempt.reason.unwrap();
    for advice in [
        "pp-fetcher retry todo",
        "pp-fetcher rollback todo",
        "a newer commit",
    ] {
        assert!(reason.contains(advice), "{advice}: {reason}");
    }
    (world, one, two)
}

#[test]
fn after_first_commits_that_were_bad_the_first_good_one_goes_live() {
    let world = World::new("");
    for digit in ['1', '2'] {
        world.push(digit, crashing());
        let attempt = world.attempt();
        assert_eq!((attempt.outcome, attempt.previous), (Outcome::Stuck, None));
        assert!(matches!(world.try_pass().unwrap(), Verdict::Held(_)));
    }
    let three = world.push('3', good());
    assert_eq!(world.attempt().outcome, Outcome::Good);
    assert_eq!(world.served(), Some(three));
    assert!(matches!(world.try_pass().unwrap(), Verdict::Nothing(_)));
}

#[test]
fn a_first_release_that_failed_is_tried_again_by_retry_and_is_no_way_back() {
    let world = World::new("");
    let one = world.push('1', crashing());
    assert_eq!(world.attempt().outcome, Outcome::Stuck);
    world.change(|state| assert_eq!(state.lift(), [one]));
    assert_eq!(world.attempt().outcome, Outcome::Stuck);
    let two = world.push('2', crashing());
    let attempt = world.attempt();
    assert_eq!((attempt.outcome, attempt.previous), (Outcome::Stuck, None));
    world.change(|state| assert!(state.lift().contains(&two)));
    world.versions.borrow_mut().insert(two, good());
    assert_eq!(world.attempt().outcome, Outcome::Good, "as the advice says");
    assert_eq!(world.served(), Some(two));
}

#[test]
fn a_newer_commit_goes_ahead_of_a_way_back_that_fails() {
    let (world, one, _) = stuck();
    assert_eq!(
        world.attempt().outcome,
        Outcome::Stuck,
        "it is gone on with"
    );
    assert_eq!(world.served(), Some(one));
    let three = world.push('3', good());
    let attempt = world.attempt();
    assert_eq!(
        (attempt.outcome, attempt.previous),
        (Outcome::Good, Some(one))
    );
    assert_eq!((world.served(), world.state().stuck), (Some(three), None));
}

#[test]
fn a_newer_commit_that_is_bad_too_stays_on_the_way_back_until_a_good_one_comes() {
    let (world, one, _) = stuck();
    for digit in ['3', '4'] {
        world.push(digit, sick());
        let attempt = world.attempt();
        assert_ne!(attempt.outcome, Outcome::Good);
        assert_eq!(world.served(), Some(one), "{digit}");
        assert!(world.state().stuck.is_some());
    }
    world.push('5', good());
    assert_eq!(world.attempt().outcome, Outcome::Good);
}

#[test]
fn a_newer_commit_that_is_refused_does_not_end_the_way_back() {
    let (world, one, two) = stuck();
    world.push(
        '3',
        Version {
            hostile: true,
            ..good()
        },
    );
    assert_eq!(world.attempt().outcome, Outcome::Refused);
    world.versions.borrow_mut().insert(one, good());
    let back = world.attempt();
    assert_eq!((back.outcome, &back.revision), (Outcome::RolledBack, &two));
    let numbers: Vec<_> = world
        .attempts()
        .iter()
        .map(|a| (a.number, a.outcome))
        .collect();
    let expected = [
        (1, Outcome::Good),
        (2, Outcome::RolledBack),
        (3, Outcome::Refused),
    ];
    assert_eq!(
        numbers, expected,
        "the way back is still the second attempt's"
    );
    assert_eq!((world.served(), world.state().stuck), (Some(one), None));
}

#[test]
fn the_way_back_goes_on_while_the_forge_cannot_be_asked() {
    let (world, one, _) = stuck();
    *world.remote.borrow_mut() = None;
    assert_eq!(world.attempt().outcome, Outcome::Stuck);
    world.versions.borrow_mut().insert(one, good());
    assert_eq!(world.attempt().outcome, Outcome::RolledBack);
    assert_eq!(world.served(), Some(one));
}

#[test]
fn the_way_back_keeps_the_phases_of_its_attempt() {
    let (world, ..) = stuck();
    let before = world.attempts().pop().unwrap().phases.len();
    let attempt = world.attempt();
    let names: Vec<_> = attempt.phases.iter().map(|p| p.phase.as_str()).collect();
    assert!(names.len() > before, "{names:?}");
    let begun = [
        "poll", "look", "fetch", "verify", "checkout", "shared", "switch", "restart", "probe",
    ];
    assert!(names.starts_with(&begun), "{names:?}");
    // Every poll goes on, for weeks perhaps: what is written down does not grow with them.
    for _ in 0..3 {
        assert_eq!(world.attempt().phases.len(), attempt.phases.len());
    }
}

#[test]
fn retry_lets_what_is_followed_go_ahead_of_the_way_back() {
    let (world, _, two) = stuck();
    // What was wrong was outside of the repository, and was mended.
    world.versions.borrow_mut().insert(two, good());
    assert_eq!(world.attempt().outcome, Outcome::Stuck, "nobody knows");
    world.change(|state| assert_eq!(state.lift(), std::slice::from_ref(&two)));
    assert_eq!(world.attempt().outcome, Outcome::Good);
    assert_eq!(world.served(), Some(two));
}

#[test]
fn force_deploys_what_is_followed_in_spite_of_the_way_back() {
    let (world, _, two) = stuck();
    world.versions.borrow_mut().insert(two, good());
    assert!(
        matches!(world.forced_pass().unwrap(), Verdict::Attempted(a) if a.outcome == Outcome::Good)
    );
    assert_eq!((world.served(), world.state().stuck), (Some(two), None));
}

#[test]
fn rollback_leads_to_an_older_release_and_the_polls_stay_there() {
    let world = World::new("");
    let zero = world.push('0', good());
    world.attempt();
    world.push('1', good());
    world.attempt();
    world.push('2', one_way());
    assert_eq!(world.attempt().outcome, Outcome::Stuck);
    world.versions.borrow_mut().insert(zero, good());
    assert_eq!(world.rollback(None).unwrap().outcome, Outcome::Good);
    assert_eq!((world.served(), world.state().stuck), (Some(zero), None));
    assert!(matches!(world.try_pass().unwrap(), Verdict::Held(_)));
    assert_eq!(world.served(), Some(zero));
}

#[test]
fn rollback_names_the_live_release_where_that_is_not_well() {
    let (world, one, _) = stuck();
    world.versions.borrow_mut().insert(one, good());
    assert_eq!(
        world.rollback(Some(&one.to_string())).unwrap().outcome,
        Outcome::Good
    );
    assert_eq!((world.served(), world.state().stuck), (Some(one), None));
    let state = world.state();
    assert_eq!(state.live.unwrap().revision, one);
    assert_eq!(state.earlier, [], "it is not an earlier one of itself");
    assert!(!world.layout().on_disk().is_empty());
}

#[test]
fn a_link_that_was_switched_by_hand_is_told_and_each_advice_ends_well() {
    let switched = || {
        let (world, one) = World::with_one_live();
        let first = world.state().live.unwrap().name;
        let two = world.push('2', good());
        world.attempt();
        let link = world.layout().current_link();
        std::fs::remove_file(&link).unwrap();
        symlink(format!("releases/{first}"), &link).unwrap();
        let live = match world.try_pass().unwrap() {
            Verdict::Switched { live, current } => {
                assert_eq!(current, first);
                live
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(world.served(), Some(one), "what somebody has done stays");
        (world, two, live)
    };
    let (world, two, live) = switched();
    assert_eq!(
        world.rollback(Some(&live.name)).unwrap().outcome,
        Outcome::Good
    );
    assert_eq!(world.served(), Some(two));
    assert!(matches!(world.try_pass().unwrap(), Verdict::Nothing(r) if r == two));
    let (world, two, _) = switched();
    world.forced_pass().unwrap();
    assert_eq!(world.served(), Some(two));
    let (world, ..) = switched();
    let three = world.push('3', good());
    assert_eq!(world.attempt().outcome, Outcome::Good);
    assert_eq!(world.served(), Some(three));
}
