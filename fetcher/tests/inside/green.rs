//! Only green commits are deployed.

use super::world::{World, good};
use crate::checks::Verdict as Said;
use crate::deploy::Verdict;
use crate::state::Outcome;

const CHECKS: &str = "[verify]\nchecks = [\"ci/test\"]\nchecks_forge = \"github\"\nchecks_repository = \"me/todo\"\n";

fn says(world: &World, said: Said) {
    *world.checks.borrow_mut() = Some(said);
}

#[test]
fn a_commit_waits_for_its_checks_and_is_deployed_when_they_have_succeeded() {
    let world = World::new(CHECKS);
    let one = world.push('1', good());
    says(&world, Said::Pending("not ended: ci/test".into()));
    for _ in 0..2 {
        let waits = world.try_pass().unwrap();
        assert!(
            matches!(waits, Verdict::Waits { revision, hold } if revision == one && hold.code == "checks")
        );
    }
    says(&world, Said::Unknown("connection refused".into()));
    assert!(
        matches!(world.try_pass().unwrap(), Verdict::Waits { hold, .. } if hold.until.is_none())
    );
    assert_eq!(world.attempts(), []);
    says(&world, Said::Green);
    assert_eq!(world.attempt().outcome, Outcome::Good);
    assert_eq!(world.state().unchecked, None);
}

#[test]
fn a_commit_whose_checks_have_failed_is_held_back_and_a_newer_one_is_tried() {
    let world = World::new(CHECKS);
    let one = world.push('1', good());
    says(&world, Said::Failed("not successful: ci/test".into()));
    assert!(matches!(world.try_pass().unwrap(), Verdict::Held(held) if held.revision == one));
    says(&world, Said::Green);
    assert!(
        matches!(world.try_pass().unwrap(), Verdict::Held(_)),
        "until somebody says so"
    );
    world.change(|state| drop(state.lift()));
    assert_eq!(world.attempt().outcome, Outcome::Good);
    says(&world, Said::Failed("not successful: ci/test".into()));
    let two = world.push('2', good());
    assert!(matches!(world.forced_pass().unwrap(), Verdict::Held(held) if held.revision == two));
    says(&world, Said::Green);
    world.push('3', good());
    assert_eq!(world.attempt().outcome, Outcome::Good);
}

#[test]
fn checks_that_never_end_are_given_up() {
    let world = World::new(&CHECKS.replace("checks =", "checks_within = \"1s\"\nchecks ="));
    world.push('1', good());
    says(&world, Said::Pending("not begun".into()));
    assert!(matches!(world.try_pass().unwrap(), Verdict::Waits { .. }));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let held = world.try_pass().unwrap();
    assert!(
        matches!(held, Verdict::Held(held) if held.reason.contains("not succeeded within 1.0 s: not begun"))
    );
}
