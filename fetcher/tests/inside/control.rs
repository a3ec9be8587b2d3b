//! What people decide: rollback, retry, pause, force, and what a pass would do.

use super::world::{World, answering, good};
use crate::deploy::Verdict;
use crate::deploy::dry_run::DryRun;
use crate::deploy::rollback::NoWayBack;
use crate::state::{Outcome, Pause};
use jiff::Timestamp;

fn three_releases() -> World {
    let world = World::new("");
    for digit in ['1', '2', '3'] {
        world.push(digit, good());
        assert_eq!(world.attempt().outcome, Outcome::Good);
    }
    world
}

#[test]
fn a_rollback_serves_the_last_good_release_and_holds_back_what_it_left() {
    let world = three_releases();
    let three = world.served().unwrap();
    let attempt = world.rollback(None).unwrap();
    assert_eq!(attempt.outcome, Outcome::Good);
    assert_eq!(world.served().unwrap().short(), "222222222222");
    assert!(matches!(world.try_pass().unwrap(), Verdict::Held(q) if q.revision == three));
    let four = world.push('4', good());
    assert_eq!(
        world.attempt().outcome,
        Outcome::Good,
        "the next newer push is deployed"
    );
    assert_eq!(world.served(), Some(four));
}

#[test]
fn a_rollback_goes_to_a_named_release_and_says_which_there_are() {
    let world = three_releases();
    assert_eq!(world.rollback(Some("1111")).unwrap().outcome, Outcome::Good);
    assert_eq!(world.served().unwrap().short(), "111111111111");
    assert!(matches!(
        world.rollback(Some("1111")),
        Err(NoWayBack::Live(_))
    ));
    let unknown = world.rollback(Some("nine")).unwrap_err().to_string();
    assert!(
        unknown.contains("222222222222") && unknown.contains("333333333333"),
        "{unknown}"
    );
}

#[test]
fn a_rollback_to_what_is_not_well_either_comes_back() {
    let world = three_releases();
    let two = world.state().earlier.first().unwrap().revision;
    world.versions.borrow_mut().insert(two, answering(500));
    assert_eq!(world.rollback(None).unwrap().outcome, Outcome::RolledBack);
    assert_eq!(world.served().unwrap().short(), "333333333333");
}

#[test]
fn with_one_release_there_is_no_way_back() {
    let (world, _) = World::with_one_live();
    assert_eq!(world.rollback(None).unwrap_err(), NoWayBack::NoEarlier);
}

#[test]
fn a_pause_holds_until_it_is_over_and_asks_nobody() {
    let (world, _) = World::with_one_live();
    let two = world.push('2', good());
    let now = Timestamp::now();
    let pause = |until| Pause {
        reason: "exams".into(),
        since: now,
        until,
    };
    world.change(|state| state.paused = Some(pause(None)));
    let listings = world.listings.get();
    assert!(matches!(world.try_pass().unwrap(), Verdict::Paused(p) if p.reason == "exams"));
    assert_eq!(world.listings.get(), listings);
    world.change(|state| state.paused = Some(pause(Some(now))));
    assert_eq!(world.attempt().outcome, Outcome::Good, "its time is over");
    assert_eq!(world.served(), Some(two));
}

#[test]
fn force_deploys_what_is_held_back() {
    let (world, _) = World::with_one_live();
    let two = world.push('2', answering(500));
    assert_eq!(world.attempt().outcome, Outcome::RolledBack);
    world.versions.borrow_mut().insert(two, good());
    assert!(matches!(world.try_pass().unwrap(), Verdict::Held(_)));
    assert!(
        matches!(world.forced_pass().unwrap(), Verdict::Attempted(a) if a.outcome == Outcome::Good)
    );
    assert_eq!(
        (world.served(), world.state().quarantine_of(&two)),
        (Some(two), None)
    );
}

#[test]
fn what_a_pass_would_do_is_told_and_not_done() {
    let (world, one) = World::with_one_live();
    let before = world.state();
    assert_eq!(world.predict(), DryRun::Nothing(Verdict::Nothing(one)));
    let two = world.push('2', good());
    let would = DryRun::Deploy {
        revision: two,
        live: Some(one),
        obstacle: None,
        looked: crate::deploy::look::HostReport::default(),
        shared: Vec::new(),
    };
    assert_eq!(world.predict(), would);
    world.permitted.set(false);
    assert!(matches!(
        world.predict(),
        DryRun::Deploy {
            obstacle: Some(_),
            ..
        }
    ));
    assert_eq!((world.state(), world.served()), (before, Some(one)));
}
