//! Rule 28: an attempt that was cut short is finished or undone by the next poll.

use std::fs;

use super::world::{Version, World, answering, good};
use crate::release::Layout;
use crate::revision::Revision;
use crate::state::{Attempt, Outcome, State};
use jiff::Timestamp;

/// A world in which '1' is live and an attempt at '2' was cut short, with its release on disk.
fn cut_short(second: Version, switched: bool, going_back: Option<&str>) -> (World, [Revision; 2]) {
    let (world, one) = World::with_one_live();
    let two = world.push('2', second);
    let layout = world.layout();
    let release = layout.new_name(Timestamp::now(), &two);
    fs::create_dir(layout.release(&release)).unwrap();
    Layout::write_revision(&layout.release(&release), &two).unwrap();
    let state = world.state();
    let trying = Attempt {
        number: 2,
        started_at: Timestamp::now(),
        revision: two,
        author: "Ada".into(),
        subject: "a change".into(),
        signed_by: Some("ada".into()),
        release: release.clone(),
        previous: Some(one),
        by: None,
        code: None,
        step: None,
        previous_release: layout.current().unwrap(),
        going_back: going_back.map(str::to_owned),
        tag: None,
        ill_before: None,
        surroundings: None,
        phases: Vec::new(),
    };
    world
        .dir()
        .save(&State {
            trying: Some(trying),
            next_attempt: 3,
            ..state
        })
        .unwrap();
    if switched {
        layout.switch(&release).unwrap();
    }
    (world, [one, two])
}

#[test]
fn before_the_switch_it_is_undone_and_tried_afresh() {
    let (world, [_, two]) = cut_short(good(), false, None);
    let attempt = world.attempt();
    assert_eq!((attempt.outcome, attempt.number), (Outcome::Good, 3));
    assert_eq!(world.served(), Some(two));
    assert_eq!(
        world.layout().on_disk().len(),
        2,
        "the unfinished release is gone"
    );
}

#[test]
fn after_the_switch_it_is_restarted_probed_and_found_good() {
    let (world, [one, two]) = cut_short(good(), true, None);
    let attempt = world.attempt();
    assert_eq!((attempt.outcome, attempt.number), (Outcome::Good, 2));
    assert_eq!((attempt.previous, world.served()), (Some(one), Some(two)));
    assert_eq!(world.state().live.unwrap().revision, two);
    assert_eq!(world.state().trying, None);
}

#[test]
fn after_the_switch_it_is_taken_back_if_it_is_not_well() {
    let (world, [one, two]) = cut_short(answering(500), true, None);
    assert_eq!(world.attempt().outcome, Outcome::RolledBack);
    assert_eq!(world.served(), Some(one));
    assert!(world.state().quarantine_of(&two).is_some());
}

#[test]
fn a_way_back_that_was_cut_short_is_gone_on_with() {
    for switched in [true, false] {
        let (world, [one, _]) = cut_short(good(), switched, Some("probe: answered 500"));
        let attempt = world.attempt();
        assert_eq!(attempt.outcome, Outcome::RolledBack, "switched: {switched}");
        assert_eq!(attempt.reason.as_deref(), Some("probe: answered 500"));
        assert_eq!(world.served(), Some(one));
        assert_eq!(world.state().trying, None);
    }
}

#[test]
fn a_state_that_cannot_be_read_stops_everything() {
    let (world, one) = World::with_one_live();
    fs::write(world.directory.path().join("state/todo/state.json"), "{").unwrap();
    world.push('2', good());
    assert!(world.dir().load().is_err());
    assert_eq!(world.served(), Some(one));
}
