//! Windows and freezes: what they hold, what goes through, and what is said.

use jiff::{SignedDuration, Timestamp};

use super::world::{Version, World, good};
use crate::deploy::Verdict;
use crate::revision::Revision;
use crate::state::{Asked, Freeze, FreezeFile, Outcome};

/// A window of four hours that began or begins so many hours from now.
fn window(hours: i64) -> String {
    let start = Timestamp::now() + SignedDuration::from_hours(hours);
    let start = start.strftime("%H:%M");
    format!("[[window]]\nstart = \"{start}\"\nlength = \"4h\"\ntz = \"UTC\"\n")
}

fn freezes(world: &World) -> FreezeFile {
    FreezeFile::new(&world.directory.path().join("state"))
}

fn freeze(world: &World, app: Option<&str>, until: Option<Timestamp>) {
    let freeze = Freeze {
        reason: "inventory".into(),
        by: None,
        since: Timestamp::now(),
        until,
    };
    freezes(world)
        .change(|all| all.set(app, Some(freeze)))
        .unwrap();
}

/// What holds the revision that the next pass finds.
fn held(world: &World) -> Option<(Revision, &'static str)> {
    match world.try_pass().unwrap() {
        Verdict::Waits { revision, hold } => Some((revision, hold.code)),
        _ => None,
    }
}

#[test]
fn a_push_waits_for_the_window_and_what_a_person_asks_for_does_not() {
    let world = World::new(&window(6));
    let one = world.push('1', good());
    assert_eq!(held(&world), Some((one, "window")));
    assert_eq!(world.attempts(), []);
    assert!(
        matches!(world.forced_pass().unwrap(), Verdict::Attempted(a) if a.outcome == Outcome::Good)
    );
    assert_eq!(
        world.attempts()[0].attempt.by.as_deref(),
        Some("poll --force")
    );
    let two = world.push('2', good());
    assert_eq!(held(&world), Some((two, "window")));
    world.change(|state| drop(state.lift()));
    assert_eq!(world.attempt().attempt.by.as_deref(), Some("retry"));
    assert_eq!(world.state().asked, None);
    // The way back by hand goes through as well.
    assert_eq!(world.rollback(None).unwrap().outcome, Outcome::Good);
    assert_eq!(world.served(), Some(one));
}

#[test]
fn in_an_open_window_a_push_is_deployed() {
    let world = World::new(&window(-1));
    world.push('1', good());
    assert_eq!(world.attempt().attempt.by, None);
}

#[test]
fn a_freeze_of_the_app_or_of_the_host_holds_until_it_is_over() {
    let (world, _) = World::with_one_live();
    let two = world.push('2', good());
    for app in [Some("todo"), None] {
        freeze(&world, app, None);
        assert_eq!(held(&world), Some((two, "frozen")));
        freezes(&world).change(|all| all.set(app, None)).unwrap();
    }
    freeze(&world, Some("shop"), None);
    freeze(&world, None, Some(Timestamp::now()));
    assert_eq!(world.attempt().outcome, Outcome::Good);
}

#[test]
fn a_freeze_that_cannot_be_read_holds() {
    let (world, _) = World::with_one_live();
    world.push('2', good());
    std::fs::write(world.directory.path().join("state/freezes.json"), "{").unwrap();
    assert!(matches!(held(&world), Some((_, "frozen"))));
}

#[test]
fn a_freeze_that_comes_during_the_build_leaves_what_is_live() {
    let world = World::new("build = \"deploy.sh\"\n[deploy.env]\nFREEZES = \"@\"\n");
    let path = world.directory.path().join("state/freezes.json");
    let mut world = world;
    world
        .app
        .deploy
        .env
        .insert("FREEZES".into(), path.display().to_string());
    let built = |script| Version {
        files: vec![("deploy.sh", script)],
        ..good()
    };
    let one = world.push('1', built("#!/bin/sh\n"));
    world.attempt();
    let script = "#!/bin/sh\n[ -e \"$FREEZES\" ] || echo '{\"host\":{\"reason\":\"now\",\"by\":null,\"since\":\"2026-01-01T00:00:00Z\",\"until\":null}}' >\"$FREEZES\"\n";
    let two = world.push('2', built(script));
    let attempt = world.attempt();
    assert_eq!(
        (attempt.outcome, attempt.attempt.code.as_deref()),
        (Outcome::Failed, Some("frozen"))
    );
    assert_eq!((world.served(), world.state().trouble), (Some(one), None));
    assert_eq!(world.state().quarantined, []);
    assert_eq!(held(&world), Some((two, "frozen")));
    freezes(&world).change(|all| all.set(None, None)).unwrap();
    assert_eq!(world.attempt().outcome, Outcome::Good);
}

#[test]
fn a_redeploy_makes_a_new_release_of_the_live_revision_whatever_is_followed() {
    let (world, one) = World::with_one_live();
    let before = world.state().live.unwrap().name;
    world.push('2', good());
    freeze(&world, None, None);
    world.change(|state| state.asked = Some(Asked::Redeploy));
    let attempt = world.attempt();
    assert_eq!(
        (attempt.attempt.revision, attempt.attempt.by.as_deref()),
        (one, Some("redeploy"))
    );
    let live = world.state().live.unwrap();
    assert_eq!(live.revision, one);
    assert_ne!(live.name, before);
    assert_eq!(world.state().asked, None);
}

#[test]
fn a_redeploy_that_is_cut_short_is_still_asked_for_and_one_that_fails_is_not_well_again() {
    let (world, one) = World::with_one_live();
    world.change(|state| state.asked = Some(Asked::Redeploy));
    // Killed after it had begun.
    let mut trying = world.attempts()[0].attempt.clone();
    (trying.number, trying.by) = (2, Some("redeploy".into()));
    trying.release = "20990101T000000Z-111111111111".into();
    world.change(|state| {
        (state.asked, state.next_attempt) = (None, 3);
        state.trying = Some(trying);
    });
    let attempt = world.attempt();
    assert_eq!(
        (attempt.attempt.revision, attempt.attempt.by.as_deref()),
        (one, Some("redeploy"))
    );
}

#[test]
fn what_was_ready_before_the_host_went_down_waits_for_the_window_like_the_rest() {
    let (world, one) = World::with_one_live();
    let two = world.push('2', good());
    let name = "20990101T000000Z-222222222222";
    std::fs::create_dir(world.layout().release(name)).unwrap();
    let mut trying = world.attempts()[0].attempt.clone();
    (trying.number, trying.revision, trying.release) = (2, two, name.into());
    trying.step = Some(crate::deploy::Step::Switch);
    trying.previous_release = world.layout().current().unwrap();
    world.change(|state| {
        state.next_attempt = 3;
        state.trying = Some(trying);
    });
    freeze(&world, None, None);
    assert_eq!(held(&world), Some((two, "frozen")));
    assert_eq!(world.served(), Some(one));
    assert!(!world.layout().release(name).exists());
}

#[test]
fn a_dry_run_says_what_holds() {
    let (world, _) = World::with_one_live();
    world.push('2', good());
    freeze(&world, None, None);
    let predicted = world.predict();
    assert!(
        matches!(
            predicted,
            crate::deploy::dry_run::DryRun::Nothing(Verdict::Waits { .. })
        ),
        "{predicted:?}"
    );
}

#[test]
fn windows_that_could_never_be_used_are_mistakes_of_the_file() {
    let mistake = |window: &str| {
        let text = format!(
            "repository = \"f:x\"\ninterval = \"1h\"\n[deploy]\nroot = \"/srv/x\"\n[[window]]\n{window}\n"
        );
        let fragment = toml::from_str(&text).unwrap();
        let app = crate::config::App::new("todo", std::path::Path::new("todo.toml"), fragment);
        app.err().map(|error| error.to_string()).unwrap_or_default()
    };
    for (window, why) in [
        (
            "start = \"22:00\"\nlength = \"2h\"\ntz = \"Europe/Berlin\"",
            "",
        ),
        (
            "start = \"22:00\"\nlength = \"1h59m\"\ntz = \"UTC\"",
            "less than twice the interval",
        ),
        (
            "start = \"22:00\"\nlength = \"8d\"\ntz = \"UTC\"",
            "a week at most",
        ),
        (
            "start = \"25:00\"\nlength = \"2h\"\ntz = \"UTC\"",
            "no time such as",
        ),
        (
            "start = \"2\"\nlength = \"2h\"\ntz = \"UTC\"",
            "no time such as",
        ),
        (
            "start = \"22:00\"\nlength = \"2h\"\ntz = \"CEST\"",
            "no time zone that this host knows",
        ),
        (
            "start = \"22:00\"\nlength = \"2h\"",
            "`window.tz` is missing",
        ),
        ("length = \"2h\"\ntz = \"UTC\"", "`window.start` is missing"),
        (
            "days = [\"monday\"]\nstart = \"22:00\"\nlength = \"2h\"\ntz = \"UTC\"",
            "none of mon, tue",
        ),
        (
            "days = []\nstart = \"22:00\"\nlength = \"2h\"\ntz = \"UTC\"",
            "leave it out for every day",
        ),
    ] {
        let found = mistake(window);
        assert!(
            found.contains(why) && found.is_empty() == why.is_empty(),
            "{window}: {found}"
        );
    }
}
