//! `[verify] allowed_signers` in the pipeline: what it refuses, and that nothing goes round it.

use super::world::{Signed, Version, World, good, on_another_line};
use crate::deploy::Verdict;
use crate::state::{Attempt, Outcome};
use jiff::Timestamp;

const ASKED: &str = "[verify]\nallowed_signers = \"/etc/pp-fetcher/allowed_signers\"\n";

fn unsigned() -> Version {
    Version {
        signed: Signed::ByNobody,
        ..good()
    }
}

/// A world in which a signed '1' is live.
fn signed_world() -> World {
    let world = World::new(ASKED);
    world.push('1', good());
    assert_eq!(world.attempt().outcome, Outcome::Good);
    world
}

#[test]
fn who_signed_is_written_down() {
    let world = signed_world();
    let attempt = world.attempts().pop().unwrap();
    let signer = "ada@example.org (ED25519 SHA256:x)";
    assert_eq!(attempt.signed_by.as_deref(), Some(signer));
}

#[test]
fn without_the_setting_nobody_is_asked() {
    let world = World::new("");
    world.push('1', unsigned());
    let attempt = world.attempt();
    assert_eq!(
        (attempt.outcome, &attempt.signed_by),
        (Outcome::Good, &None)
    );
}

#[test]
fn an_unsigned_revision_is_refused_once_and_never_built() {
    let world = signed_world();
    let one = world.served();
    let two = world.push('2', unsigned());
    let attempt = world.attempt();
    assert_eq!(attempt.outcome, Outcome::Refused);
    assert_eq!((attempt.release(), &attempt.signed_by), (None, &None));
    let reason = attempt.reason.unwrap();
    assert!(reason.contains("not signed"), "{reason}");
    assert!(reason.contains("`pp-fetcher retry todo`"), "{reason}");
    assert_eq!((world.served(), world.restarts.get()), (one, 1));
    assert!(matches!(world.try_pass().unwrap(), Verdict::Held(q) if q.revision == two));
    world.push('3', good());
    assert_eq!(world.attempt().outcome, Outcome::Good);
}

#[test]
fn a_first_deploy_is_checked_too() {
    let world = World::new(ASKED);
    world.push('1', unsigned());
    assert_eq!(world.attempt().outcome, Outcome::Refused);
    assert_eq!(world.served(), None);
}

#[test]
fn force_and_retry_do_not_go_round_it() {
    let world = signed_world();
    let one = world.served();
    world.push('2', unsigned());
    for _ in 0..2 {
        let Verdict::Attempted(attempt) = world.forced_pass().unwrap() else {
            panic!("no attempt")
        };
        assert_eq!(attempt.outcome, Outcome::Refused);
    }
    world.change(|state| state.quarantined.clear());
    assert_eq!(world.attempt().outcome, Outcome::Refused);
    assert_eq!((world.served(), world.restarts.get()), (one, 1));
}

#[test]
fn a_rollback_reaches_only_what_was_good_once() {
    let world = signed_world();
    let one = world.served();
    let two = world.push('2', unsigned());
    world.attempt();
    assert!(world.rollback(Some(&two.to_string())).is_err());
    assert_eq!(world.served(), one);
}

#[test]
fn when_it_cannot_be_found_out_nothing_is_deployed_and_it_is_tried_again() {
    let world = signed_world();
    let unclear = Version {
        signed: Signed::CannotTell,
        ..good()
    };
    let two = world.push('2', unclear);
    for _ in 0..2 {
        assert_eq!(world.attempt().outcome, Outcome::Failed);
    }
    assert!(world.state().quarantined.is_empty());
    world.versions.borrow_mut().insert(two, good());
    assert_eq!(world.attempt().outcome, Outcome::Good);
}

#[test]
fn rule_26_a_signed_downgrade_is_refused() {
    let world = signed_world();
    let one = world.served();
    world.push('0', on_another_line());
    let attempt = world.attempt();
    assert_eq!(attempt.outcome, Outcome::Refused);
    assert!(attempt.reason.unwrap().contains("another line"));
    assert_eq!(world.served(), one);
}

#[test]
fn an_attempt_that_was_cut_short_before_the_switch_is_checked_again() {
    let world = signed_world();
    let two = world.push('2', unsigned());
    let release = world.layout().new_name(Timestamp::now(), &two);
    std::fs::create_dir(world.layout().release(&release)).unwrap();
    let previous = world.layout().current().unwrap();
    world.change(|state| {
        state.trying = Some(Attempt {
            number: 2,
            started_at: Timestamp::now(),
            revision: two,
            author: "Ada".into(),
            subject: "a change".into(),
            signed_by: Some("ada".into()),
            release,
            previous: None,
            by: None,
            code: None,
            step: None,
            previous_release: previous,
            going_back: None,
            tag: None,
            ill_before: None,
            surroundings: None,
            phases: Vec::new(),
        });
    });
    assert_eq!(world.attempt().outcome, Outcome::Refused);
    assert_eq!(world.layout().on_disk().len(), 1);
}
