//! Events: each change of an app's state is told once, whatever comes between.

use std::fs;

use pp_events::{Event, Kind, Outbox};

use super::world::{Version, World, answering, good};
use crate::deploy::source::SourceError;
use crate::deploy::{Trigger, Verdict, pipeline};
use crate::events;
use crate::revision::Revision;
use crate::state::Pause;
use jiff::Timestamp;

fn outbox(world: &World) -> Outbox {
    Outbox::of(&world.directory.path().join("state"))
}

fn all(world: &World) -> Vec<Event> {
    outbox(world).read().unwrap()
}

/// The events so far, each as its kind and code.
fn told(world: &World) -> Vec<(Kind, String)> {
    let told = all(world).into_iter();
    told.map(|event| (event.event, event.code.unwrap_or_default()))
        .collect()
}

fn kinds(world: &World) -> Vec<Kind> {
    told(world).into_iter().map(|(kind, _)| kind).collect()
}

/// A pass as the program makes it. Gives what could not be told.
fn pass(world: &World) -> Option<String> {
    world.process(|deployment, recorder| {
        events::around(deployment, |deployment| {
            pipeline::pass(deployment, Trigger::Requested, recorder)
        })
        .1
    })
}

fn building(script: &'static str) -> Version {
    Version {
        files: vec![("deploy.sh", script)],
        ..good()
    }
}

/// A host on which version 1 is live, of which nothing was told.
fn with_one_live() -> (World, Revision) {
    let (world, one) = World::with_one_live();
    world.change(|state| events::begin(state, Timestamp::now()));
    (world, one)
}

#[test]
fn a_failure_is_told_once_for_each_revision_and_its_end_once() {
    let world = World::new("build = \"deploy.sh\"\n");
    let one = world.push('1', building("#!/bin/sh\n"));
    pass(&world);
    pass(&world);
    assert_eq!(told(&world), [(Kind::Deployed, String::new())]);
    world.push('2', building("#!/bin/sh\nexit 1\n"));
    for _ in 0..3 {
        pass(&world);
    }
    let failed = (Kind::Failed, "build".to_owned());
    assert_eq!(told(&world)[1..], std::slice::from_ref(&failed)[..]);
    world.push('3', building("#!/bin/sh\nexit 1\n"));
    pass(&world);
    assert_eq!(told(&world)[2..], [failed]);
    let four = world.push('4', building("#!/bin/sh\n"));
    pass(&world);
    pass(&world);
    assert_eq!(told(&world)[3..], [(Kind::Recovered, "build".to_owned())]);
    let last = all(&world).pop().unwrap();
    assert_eq!(last.revision, Some(four.to_string()));
    assert_eq!(last.previous, Some(one.to_string()));
    assert_eq!(
        (last.author.as_deref(), last.attempt),
        (Some("Ada"), Some(4))
    );
}

#[test]
fn a_release_that_is_taken_back_and_a_branch_that_goes_back() {
    let (world, one) = with_one_live();
    world.push('2', answering(500));
    pass(&world);
    pass(&world);
    let taken = (Kind::TakenBack, "unhealthy".to_owned());
    assert_eq!(told(&world), [taken]);
    let event = all(&world).pop().unwrap();
    assert_eq!(event.live, Some(one.to_string()));
    assert!(event.reason.unwrap().contains("500"));
    // Whoever sets the branch back to what is live has ended the trouble.
    *world.remote.borrow_mut() = Some(one);
    pass(&world);
    pass(&world);
    assert_eq!(kinds(&world)[1..], [Kind::Recovered]);
}

#[test]
fn a_network_that_is_away_for_two_polls_is_no_news() {
    let (world, _) = with_one_live();
    let fail = |error: SourceError| *world.poll_fails.borrow_mut() = Some(error);
    let network = || {
        let error = SourceError::environment("forge: connection refused");
        error.with_code(crate::deploy::code::Code::Network)
    };
    for _ in 0..2 {
        fail(network());
        pass(&world);
    }
    *world.poll_fails.borrow_mut() = None;
    pass(&world);
    assert_eq!(kinds(&world), []);
    for _ in 0..20 {
        fail(network());
        pass(&world);
    }
    assert_eq!(told(&world), [(Kind::Unreachable, "network".to_owned())]);
    // With the forge comes a new revision: two changes.
    *world.poll_fails.borrow_mut() = None;
    world.push('2', good());
    pass(&world);
    assert_eq!(kinds(&world)[1..], [Kind::Reachable, Kind::Deployed]);
}

#[test]
fn another_reason_is_told_at_once_and_a_deploy_that_ends_it_is_one_event() {
    let (world, _) = with_one_live();
    let changed = crate::deploy::code::Code::HostKeyChanged;
    let error = SourceError::environment("THE HOST KEY HAS CHANGED").with_code(changed);
    for _ in 0..2 {
        *world.poll_fails.borrow_mut() = Some(error.clone());
        pass(&world);
    }
    assert_eq!(kinds(&world), [Kind::HostKeyChanged]);
    *world.poll_fails.borrow_mut() = None;
    world.push('2', good());
    pass(&world);
    pass(&world);
    let over = (Kind::Recovered, "host-key-changed".to_owned());
    assert_eq!(told(&world)[1..], [over]);
}

#[test]
fn a_pause_is_told_with_its_reason_and_its_end() {
    let (world, _) = with_one_live();
    let now = Timestamp::now();
    let pause = |until: Option<Timestamp>| Pause {
        reason: "inventory".into(),
        since: now,
        until,
    };
    world.change(|state| state.paused = Some(pause(None)));
    pass(&world);
    pass(&world);
    assert_eq!(all(&world)[0].reason.as_deref(), Some("inventory"));
    world.change(|state| state.paused = Some(pause(Some(now))));
    pass(&world);
    let expired = (Kind::Resumed, "expired".to_owned());
    assert_eq!(told(&world), [(Kind::Paused, String::new()), expired]);
}

#[test]
fn what_a_killed_pass_has_not_told_the_next_one_tells() {
    let (world, _) = with_one_live();
    // The pass ended, and was killed before it told anybody.
    world.push('2', good());
    world.attempt();
    world.push('3', answering(500));
    world.attempt();
    assert_eq!(kinds(&world), []);
    pass(&world);
    assert_eq!(kinds(&world), [Kind::Deployed, Kind::TakenBack]);
    // It was killed after the event was in the outbox, and before that was written down.
    let before = all(&world);
    world.change(|state| state.told.as_mut().unwrap().pending = before.clone());
    pass(&world);
    assert_eq!(all(&world), before);
    assert_eq!(world.state().told.unwrap().pending, []);
}

#[test]
fn an_outbox_that_cannot_be_written_costs_no_deploy_and_no_event() {
    let (world, _) = with_one_live();
    let directory = outbox(&world).directory().to_owned();
    let _ = fs::remove_dir_all(&directory);
    fs::write(&directory, "in the way").unwrap();
    let two = world.push('2', good());
    let why = pass(&world).unwrap();
    assert!(why.contains("the next poll tries again"), "{why}");
    assert_eq!(world.served(), Some(two));
    world.push('3', answering(500));
    pass(&world);
    fs::remove_file(&directory).unwrap();
    assert_eq!(pass(&world), None);
    assert_eq!(kinds(&world), [Kind::Deployed, Kind::TakenBack]);
}

#[test]
fn checks_that_are_waited_for_and_fail_are_told_once_each() {
    use crate::checks::Verdict as Said;
    let world = World::new(
        "[verify]\nchecks = \"all\"\nchecks_forge = \"github\"\nchecks_repository = \"me/todo\"\n",
    );
    world.push('1', good());
    for said in [Said::Pending("a".into()), Said::Failed("b".into())] {
        *world.checks.borrow_mut() = Some(said);
        for _ in 0..3 {
            pass(&world);
        }
    }
    let word = |kind| (kind, "checks".to_owned());
    assert_eq!(told(&world), [word(Kind::Held), word(Kind::Failed)]);
    *world.checks.borrow_mut() = None;
    world.push('2', good());
    pass(&world);
    assert_eq!(told(&world)[2..], [word(Kind::Recovered)]);
}

/// What the mended faults of this kind would tell: an end that nobody has seen, or none of one that is.
#[test]
fn the_forge_is_reached_again_when_it_has_answered_and_not_before() {
    let (world, _) = with_one_live();
    world.push('2', good());
    pass(&world);
    for _ in 0..4 {
        let error =
            SourceError::environment("refused").with_code(crate::deploy::code::Code::Network);
        *world.poll_fails.borrow_mut() = Some(error);
        pass(&world);
    }
    assert_eq!(kinds(&world), [Kind::Deployed, Kind::Unreachable]);
    // Neither a rollback nor a retry asks the forge.
    world.process(|deployment, recorder| {
        let target = crate::deploy::rollback::choose(deployment, None).unwrap();
        let (ended, _) = events::around(deployment, |deployment| {
            pipeline::roll_back(deployment, &target, recorder)
        });
        ended.unwrap();
    });
    world.process(|deployment, _| {
        deployment.state.lift();
        events::tell_command("todo", &deployment.dir, &mut deployment.state);
    });
    assert!(
        !kinds(&world).contains(&Kind::Reachable),
        "{:?}",
        kinds(&world)
    );
    *world.poll_fails.borrow_mut() = None;
    pass(&world);
    assert!(
        kinds(&world).contains(&Kind::Reachable),
        "{:?}",
        kinds(&world)
    );
}

#[test]
fn a_state_that_cannot_be_read_is_told_with_its_end() {
    let (world, _) = with_one_live();
    let path = world.dir().file();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, "{").unwrap();
    let error = world.dir().load().unwrap_err();
    for _ in 0..2 {
        events::tell_unreadable("todo", &world.dir(), &error);
    }
    fs::write(&path, whole).unwrap();
    pass(&world);
    pass(&world);
    let state = |kind| (kind, "state".to_owned());
    assert_eq!(told(&world), [state(Kind::Failed), state(Kind::Recovered)]);
}

#[test]
fn a_first_version_that_tells_is_silent_about_what_was_before() {
    let (world, _) = World::with_one_live();
    world.push('2', answering(500));
    world.attempt();
    world.change(|state| state.told = None);
    pass(&world);
    assert_eq!(kinds(&world), []);
    assert!(matches!(world.try_pass().unwrap(), Verdict::Held(_)));
}
