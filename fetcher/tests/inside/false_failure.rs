//! Kind C: nothing is held against a revision, and no app is called ill, for what lies outside of it.

use std::time::Duration;

use super::world::{World, answering, good};
use crate::deploy::Verdict;
use crate::deploy::dry_run::DryRun;
use crate::health::holder::ForeignHolder;
use crate::state::Outcome;

#[test]
fn a_live_app_that_is_down_does_not_stop_the_push_that_mends_it() {
    let (world, one) = World::with_one_live();
    world.versions.borrow_mut().insert(one, answering(500));
    let two = world.push('2', good());
    assert_eq!(world.attempt().outcome, Outcome::Good);
    assert_eq!(world.served(), Some(two));
    let notes = world.notes.lock().unwrap().join("\n");
    assert!(
        notes.contains("before this deploy the app is not well"),
        "{notes}"
    );
}

#[test]
fn a_failure_that_the_live_release_has_as_well_is_not_held_against_the_new_one() {
    let (world, one) = World::with_one_live();
    // As a health URL with a mistake in it does.
    world.versions.borrow_mut().insert(one, answering(404));
    let two = world.push('2', answering(404));
    let attempt = world.attempt();
    assert_eq!(
        attempt.outcome,
        Outcome::RolledBack,
        "not stuck: it was so before"
    );
    let reason = attempt.reason.unwrap();
    for part in [
        "in the same way before this deploy",
        "`url`",
        "todo.toml",
        "is back, and is not well",
    ] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    let state = world.state();
    assert!(
        state.quarantined.is_empty() && state.stuck.is_none(),
        "{state:?}"
    );
    assert_eq!(world.served(), Some(one));
    // Later and later, and at once for somebody who asks.
    world.attempt();
    assert!(matches!(world.scheduled_pass().unwrap(), Verdict::Waiting(t) if t.count == 2));
    world.versions.borrow_mut().insert(two, good());
    assert_eq!(world.attempt().outcome, Outcome::Good);
    assert_eq!(world.served(), Some(two));
}

#[test]
fn a_release_that_nobody_restarted_is_not_said_to_be_back_however_ill_it_was() {
    let (world, one) = World::with_one_live();
    world.versions.borrow_mut().insert(one, answering(404));
    world.push('2', answering(404));
    // The restart into the new release is passed on, the one back is refused.
    let limit = Some(Duration::from_secs(300));
    *world.busy.borrow_mut() = vec![limit, limit, None];
    let attempt = world.attempt();
    assert_eq!(attempt.outcome, Outcome::Stuck, "the new code still runs");
    let reason = attempt.reason.unwrap();
    assert!(!reason.contains("is back"), "{reason}");
    assert!(world.state().stuck.is_some());
    world.busy.borrow_mut().clear();
    world.versions.borrow_mut().insert(one, good());
    world.remote.replace(Some(one));
    assert_eq!(world.attempt().outcome, Outcome::RolledBack);
    assert_eq!((world.served(), world.state().stuck), (Some(one), None));
}

#[test]
fn a_failure_of_another_kind_is_told_beside_the_old_one() {
    let (world, one) = World::with_one_live();
    world.versions.borrow_mut().insert(one, answering(502));
    world.push('2', answering(500));
    let reason = world.attempt().reason.unwrap();
    assert!(
        reason.contains("not well either before this deploy"),
        "{reason}"
    );
    assert!(reason.contains("502 instead of 200"), "{reason}");
}

#[test]
fn a_failure_of_a_release_after_a_good_one_is_still_held_against_it() {
    let (world, _) = World::with_one_live();
    world.push('2', answering(500));
    assert_eq!(world.attempt().outcome, Outcome::RolledBack);
    assert!(matches!(world.try_pass().unwrap(), Verdict::Held(_)));
}

#[test]
fn what_is_wrong_with_a_units_settings_is_found_before_anything_is_fetched() {
    type Change = fn(&mut crate::health::unit::UnitSeen);
    let cases: [(Change, &str); 4] = [
        (
            |u| u.setup.load = "not-found".into(),
            "knows no unit todo.service",
        ),
        (
            |u| u.setup.load = "masked".into(),
            "systemctl unmask todo.service",
        ),
        (
            |u| u.setup.needs_daemon_reload = true,
            "systemctl daemon-reload",
        ),
        (
            |u| (u.setup.directory, u.cwd) = ("/srv/old".into(), None),
            "WorkingDirectory=",
        ),
    ];
    for (change, mend) in cases {
        let (world, one) = World::with_one_live();
        let two = world.push('2', good());
        world.unit.replace(change);
        match world.predict() {
            DryRun::Deploy {
                obstacle: Some(why),
                ..
            } => {
                assert!(why.what.contains(mend), "{why}");
            }
            other => panic!("{other:?}"),
        }
        let error = world.try_pass().unwrap_err();
        assert!(
            error.starts_with("look: ") && error.contains(mend),
            "{error}"
        );
        assert_eq!((world.served(), world.restarts.get()), (Some(one), 1));
        assert!(world.state().quarantined.is_empty());
        world.unit.replace(|_| ());
        assert_eq!(
            world.attempt().outcome,
            Outcome::Good,
            "the mend is all it needs"
        );
        assert_eq!(world.served(), Some(two));
    }
}

#[test]
fn a_stranger_at_the_health_url_is_not_the_revisions_fault() {
    let (world, _) = World::with_one_live();
    let two = world.push('2', good());
    world.stranger.replace(Some(ForeignHolder {
        pid: 4711,
        command: "python3 -m http.server".into(),
    }));
    let reason = world.attempt().reason.unwrap();
    assert!(
        reason.contains("pid 4711 (python3 -m http.server)"),
        "{reason}"
    );
    assert!(world.state().quarantined.is_empty());
    world.stranger.replace(None);
    assert_eq!(world.attempt().outcome, Outcome::Good);
    assert_eq!(world.served(), Some(two));
}

#[test]
fn a_hold_that_a_mistake_in_the_apps_file_caused_ends_with_another_file() {
    let mut world = World::new("");
    world.push('1', good());
    world.attempt();
    let two = world.push('2', answering(204));
    assert_eq!(world.attempt().outcome, Outcome::RolledBack);
    assert!(matches!(world.try_pass().unwrap(), Verdict::Held(_)));
    world.app.fingerprint = "another".into();
    world.app.health.expect = toml::from_str::<Expected>("expect = [200, 204]")
        .unwrap()
        .expect;
    assert_eq!(world.attempt().outcome, Outcome::Good, "tried at once");
    assert_eq!(world.served(), Some(two));
}

#[test]
fn what_was_left_by_hand_stays_left_whatever_the_file_says() {
    let mut world = World::new("");
    world.push('1', good());
    world.attempt();
    world.push('2', good());
    world.attempt();
    world.rollback(None).unwrap();
    world.app.fingerprint = "another".into();
    assert!(matches!(world.try_pass().unwrap(), Verdict::Held(_)));
}

#[derive(serde::Deserialize)]
struct Expected {
    expect: crate::config::expect::Expect,
}
