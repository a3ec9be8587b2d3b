//! The restarter lets a unit be restarted only so often: a deploy waits its turn, and says so.

use std::time::Duration;

use super::world::{World, crashing, good};
use crate::deploy::Verdict;
use crate::state::Outcome;

/// What was noted that speaks of waiting.
fn waits(world: &World) -> Vec<String> {
    let notes = world.notes.lock().unwrap();
    notes
        .iter()
        .filter(|note| note.contains("waiting"))
        .cloned()
        .collect()
}

#[test]
fn a_deploy_waits_for_the_restarters_limit_and_says_how_long() {
    let (world, _) = World::with_one_live();
    assert_eq!(waits(&world), Vec::<String>::new());
    let before = world.waited();
    let two = world.push('2', good());
    *world.busy.borrow_mut() = vec![Some(Duration::from_millis(7_200))];
    let attempt = world.attempt();
    assert_eq!(attempt.outcome, Outcome::Good);
    assert_eq!(world.served(), Some(two));
    assert_eq!(
        waits(&world),
        ["waiting 7.2 s for the restarter's limit on todo.service"]
    );
    assert!(world.waited() - before >= Duration::from_millis(7_200));
}

#[test]
fn the_way_back_waits_for_it_too() {
    let (world, one) = World::with_one_live();
    world.push('2', crashing());
    // The restart is let through at once, the way back's is not.
    *world.busy.borrow_mut() = vec![Some(Duration::from_secs(3)), None];
    let attempt = world.attempt();
    assert_eq!(attempt.outcome, Outcome::RolledBack);
    assert_eq!(world.served(), Some(one));
    assert_eq!(
        waits(&world),
        ["waiting 3.0 s for the restarter's limit on todo.service"]
    );
}

#[test]
fn a_limit_that_is_out_of_reach_is_not_the_revisions_fault() {
    let (world, one) = World::with_one_live();
    let two = world.push('2', good());
    // Longer than anybody waits: for the deploy, and for the way back.
    *world.busy.borrow_mut() = vec![Some(Duration::from_secs(300)); 2];
    let attempt = world.attempt();
    let reason = attempt.reason.unwrap();
    assert!(
        reason.contains("the restarter takes the next one in 5 min 00 s")
            && reason.contains("policy.d"),
        "{reason}"
    );
    assert_eq!(waits(&world), Vec::<String>::new());
    assert!(world.state().quarantine_of(&two).is_none());
    // The process of the release before was never touched: it serves, and is told apart by that.
    assert_eq!(attempt.outcome, Outcome::RolledBack);
    assert_eq!(world.served(), Some(one));
    assert!(
        matches!(world.try_pass().unwrap(), Verdict::Attempted(a) if a.outcome == Outcome::Good)
    );
    assert_eq!(world.served(), Some(two));
}
