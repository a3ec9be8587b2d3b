//! Rule 26: `accept-rewrite` is the one way past `fast_forward_only`, for one revision, once.

use super::world::{Signed, Version, World, good, on_another_line};
use crate::deploy::Verdict;
use crate::revision::Revision;
use crate::state::Outcome;
use jiff::Timestamp;

fn rewritten() -> Version {
    on_another_line()
}

/// A world in which '1' is live and '2' was refused for leaving its history.
fn refused(more: &str, two: Version) -> (World, [Revision; 2]) {
    let world = World::new(more);
    let one = world.push('1', good());
    world.attempt();
    let two = world.push('2', two);
    assert_eq!(world.attempt().outcome, Outcome::Refused);
    (world, [one, two])
}

fn accept(world: &World, revision: &Revision) {
    world.change(|state| {
        let accepted = state.accept_rewrite(&revision.to_string(), Timestamp::now());
        assert_eq!(accepted.as_ref(), Ok(revision));
    });
}

#[test]
fn the_refusal_names_the_command_word_for_word() {
    let (world, [_, two]) = refused("", rewritten());
    let reason = world.attempts().pop().unwrap().reason.unwrap();
    let command = format!("pp-fetcher accept-rewrite todo {two}");
    assert!(reason.contains(&command), "{reason}");
}

#[test]
fn an_accepted_rewrite_is_deployed_and_used_up() {
    let (world, [one, two]) = refused("", rewritten());
    assert!(matches!(world.try_pass().unwrap(), Verdict::Held(_)));
    accept(&world, &two);
    assert_eq!(world.attempt().outcome, Outcome::Good);
    assert_eq!(world.served(), Some(two));
    assert_eq!(world.state().accepted_rewrite, None);
    world.versions.borrow_mut().insert(one, rewritten());
    world.push('1', rewritten());
    assert_eq!(world.attempt().outcome, Outcome::Refused, "only once");
    assert_eq!(world.served(), Some(two));
}

#[test]
fn another_revision_is_not_let_through() {
    let (world, [one, two]) = refused("", rewritten());
    accept(&world, &two);
    world.push('3', rewritten());
    assert_eq!(world.attempt().outcome, Outcome::Refused);
    assert_eq!(world.served(), Some(one));
    assert!(world.state().accepts_rewrite(&two), "nothing went live");
}

#[test]
fn it_ends_when_another_revision_goes_live_instead() {
    let (world, [_, two]) = refused("", rewritten());
    accept(&world, &two);
    world.push('3', good());
    assert_eq!(world.attempt().outcome, Outcome::Good);
    world.push('2', rewritten());
    assert_eq!(world.attempt().outcome, Outcome::Refused);
}

#[test]
fn a_rewrite_that_is_not_well_is_taken_back_and_stays_accepted_for_a_retry() {
    let unwell = Version {
        status: Some(500),
        ..rewritten()
    };
    let (world, [one, two]) = refused("", unwell);
    accept(&world, &two);
    assert_eq!(world.attempt().outcome, Outcome::RolledBack);
    assert_eq!(world.served(), Some(one));
    assert!(matches!(world.try_pass().unwrap(), Verdict::Held(_)));
    world.versions.borrow_mut().insert(two, rewritten());
    world.change(|state| state.quarantined.clear());
    assert_eq!(world.attempt().outcome, Outcome::Good);
}

#[test]
fn neither_force_nor_retry_accepts_a_rewrite() {
    let (world, [one, _]) = refused("", rewritten());
    world.change(|state| state.quarantined.clear());
    assert_eq!(world.attempt().outcome, Outcome::Refused);
    let forced = world.forced_pass().unwrap();
    assert!(matches!(forced, Verdict::Attempted(a) if a.outcome == Outcome::Refused));
    assert_eq!(world.served(), Some(one));
}

#[test]
fn it_says_nothing_about_the_signature() {
    let asked = "[verify]\nallowed_signers = \"/etc/x\"\n";
    let unsigned = Version {
        signed: Signed::ByNobody,
        ..rewritten()
    };
    let (world, [one, two]) = refused(asked, unsigned);
    accept(&world, &two);
    let attempt = world.attempt();
    assert_eq!(attempt.outcome, Outcome::Refused);
    assert!(attempt.reason.unwrap().contains("not signed"));
    assert_eq!(world.served(), Some(one));
}
