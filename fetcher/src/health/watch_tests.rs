//! Tests of `Watch`: the verdict after each of a series of observations.

use std::path::Path;
use std::sync::LazyLock;

use super::*;
use crate::config::health::Health;
use crate::health::Cause;
use crate::health::unit::{ProcessSeen, UnitDefinition};

#[path = "watch_answer_tests.rs"]
mod answers;

const RELEASE: &str = "/srv/todo/releases/2";

fn unit() -> UnitSeen {
    UnitSeen {
        name: "todo.service".into(),
        in_job: false,
        active_since: 0,
        active: "active".into(),
        sub: "running".into(),
        result: "success".into(),
        main_pid: 100,
        restarts: 0,
        invocation: vec![1],
        setup: UnitDefinition {
            kind: "simple".into(),
            ..UnitDefinition::default()
        },
        cwd: Some(RELEASE.into()),
        processes: Vec::new(),
    }
}

fn health() -> &'static Health {
    static HEALTH: LazyLock<Health> = LazyLock::new(|| {
        let written =
            toml::from_str("url = \"http://127.0.0.1:8000/\"\nsteady = \"5s\"\n").unwrap();
        crate::config::health::health(written).unwrap()
    });
    &HEALTH
}

fn expected() -> Expected<'static> {
    Expected {
        release: Path::new(RELEASE),
        releases: Path::new("/srv/todo/releases"),
        current: Path::new("/srv/todo/current"),
        health: health(),
        reloaded: Vec::new(),
        elsewhere: Vec::new(),
    }
}

fn watch() -> Watch<'static> {
    Watch::new(expected())
}

fn see(unit: UnitSeen, answer: Result<u16, &str>) -> Observation {
    Observation {
        units: vec![unit],
        answer: Some(match answer {
            Ok(status) => Answer::status(status),
            Err(why) => Answer::Failed(why.to_owned()),
        }),
        stranger: None,
    }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn reason(verdict: Verdict) -> String {
    match verdict {
        Verdict::NotWell(illness) => illness.what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn well_is_well_for_long_enough() {
    let mut watch = watch();
    assert_eq!(
        watch.observe(at(0), see(unit(), Err("refused"))),
        Verdict::Wait
    );
    assert_eq!(watch.observe(at(1), see(unit(), Ok(200))), Verdict::Wait);
    assert_eq!(watch.observe(at(5), see(unit(), Ok(200))), Verdict::Wait);
    assert_eq!(watch.observe(at(6), see(unit(), Ok(200))), Verdict::Well);
}

#[test]
fn becoming_well_at_the_last_moment_still_gets_its_steady_time() {
    let mut watch = watch();
    assert_eq!(watch.observe(at(29), see(unit(), Ok(200))), Verdict::Wait);
    assert_eq!(watch.observe(at(32), see(unit(), Ok(200))), Verdict::Wait);
    assert_eq!(watch.observe(at(34), see(unit(), Ok(200))), Verdict::Well);
}

#[test]
fn an_error_in_between_starts_the_steady_time_again_while_there_is_time() {
    let mut watch = watch();
    assert_eq!(watch.observe(at(1), see(unit(), Ok(200))), Verdict::Wait);
    assert_eq!(watch.observe(at(4), see(unit(), Ok(502))), Verdict::Wait);
    assert_eq!(watch.observe(at(7), see(unit(), Ok(200))), Verdict::Wait);
    assert_eq!(watch.observe(at(12), see(unit(), Ok(200))), Verdict::Well);
}

#[test]
fn an_app_that_only_answers_errors_is_given_up_when_its_time_is_over() {
    let mut watch = watch();
    assert_eq!(watch.observe(at(29), see(unit(), Ok(500))), Verdict::Wait);
    assert!(reason(watch.observe(at(30), see(unit(), Ok(500)))).contains("500 instead of 200"));
}

#[test]
fn a_unit_that_failed_to_stop_in_time_is_waited_for_while_its_restart_goes_on() {
    let mut watch = watch();
    let between = UnitSeen {
        in_job: true,
        active: "failed".into(),
        main_pid: 0,
        cwd: None,
        ..unit()
    };
    assert_eq!(
        watch.observe(at(0), see(between, Err("refused"))),
        Verdict::Wait
    );
    assert_eq!(watch.observe(at(1), see(unit(), Ok(200))), Verdict::Wait);
}

#[test]
fn rule_18_a_unit_that_failed_is_given_up_at_once() {
    let failed = UnitSeen {
        active: "failed".into(),
        result: "exit-code".into(),
        main_pid: 0,
        ..unit()
    };
    assert!(reason(watch().observe(at(0), see(failed, Ok(200)))).contains("exit-code"));
}

#[test]
fn an_app_that_crashed_and_was_started_again_by_systemd_is_given_up_at_once() {
    let mut watch = watch();
    assert_eq!(watch.observe(at(0), see(unit(), Ok(200))), Verdict::Wait);
    let again = UnitSeen {
        restarts: 1,
        main_pid: 101,
        invocation: vec![2],
        ..unit()
    };
    assert!(reason(watch.observe(at(1), see(again, Ok(200)))).contains("start it again"));
}

#[test]
fn automatic_starts_from_before_the_restart_are_not_held_against_the_release() {
    let mut watch = watch();
    let counted = || UnitSeen {
        restarts: 3,
        ..unit()
    };
    assert_eq!(watch.observe(at(0), see(counted(), Ok(200))), Verdict::Wait);
    assert_eq!(watch.observe(at(5), see(counted(), Ok(200))), Verdict::Well);
}

#[test]
fn an_app_that_crashed_is_given_up_before_systemd_starts_it_again() {
    let waits = UnitSeen {
        active: "activating".into(),
        sub: "auto-restart".into(),
        result: "exit-code".into(),
        main_pid: 0,
        ..unit()
    };
    assert!(reason(watch().observe(at(0), see(waits, Ok(200)))).contains("exit-code"));
}

#[test]
fn a_main_process_that_changes_is_not_steady() {
    let mut watch = watch();
    watch.observe(at(0), see(unit(), Ok(200)));
    let other = UnitSeen {
        main_pid: 101,
        ..unit()
    };
    assert!(reason(watch.observe(at(1), see(other, Ok(200)))).contains("replaced"));
}

#[test]
fn a_process_that_still_works_in_the_old_release_is_not_the_new_one() {
    let mut watch = watch();
    let old = UnitSeen {
        cwd: Some("/srv/todo/releases/1".into()),
        ..unit()
    };
    assert_eq!(
        watch.observe(at(1), see(old.clone(), Ok(200))),
        Verdict::Wait
    );
    let why = reason(watch.observe(at(30), see(old, Ok(200))));
    assert!(
        why.contains("runs from the release 1") && why.contains("KillMode="),
        "{why}"
    );
}

#[test]
fn without_a_health_url_the_units_decide() {
    let mut watch = watch();
    let seen = || Observation {
        units: vec![unit()],
        answer: None,
        stranger: None,
    };
    assert_eq!(watch.observe(at(0), seen()), Verdict::Wait);
    assert_eq!(watch.observe(at(5), seen()), Verdict::Well);
}

/// Gives the verdict at the end of `within`, if every observation is like `seen`.
fn in_the_end(expected: Expected<'_>, seen: Observation) -> Verdict {
    let mut watch = Watch::new(expected);
    assert!(!matches!(watch.observe(at(0), seen.clone()), Verdict::Well));
    match watch.observe(at(30), seen.clone()) {
        Verdict::Wait => watch.observe(at(40), seen),
        other => other,
    }
}

#[test]
fn a_worker_of_the_old_release_is_seen_beside_a_main_process_of_the_new_one() {
    let worker = ProcessSeen {
        pid: 99,
        name: "gunicorn".into(),
        cwd: "/srv/todo/releases/1/src (deleted)".into(),
    };
    let left = UnitSeen {
        processes: vec![worker],
        ..unit()
    };
    match in_the_end(expected(), see(left, Ok(200))) {
        Verdict::NotWell(illness) => {
            assert!(illness.what.contains("gunicorn (pid 99)"), "{illness:?}");
            assert_eq!(illness.cause, Cause::Setup);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reload_that_does_nothing_is_told_with_the_list_the_unit_belongs_to() {
    let old = UnitSeen {
        cwd: Some("/srv/todo/releases/1".into()),
        ..unit()
    };
    let reloaded = || Expected {
        reloaded: vec!["todo.service"],
        ..expected()
    };
    let why = reason(in_the_end(reloaded(), see(old, Ok(200))));
    assert!(why.contains("list todo.service in `units`"), "{why}");
    let elsewhere = UnitSeen {
        cwd: Some("/".into()),
        ..unit()
    };
    assert_eq!(
        in_the_end(reloaded(), see(elsewhere, Ok(200))),
        Verdict::Well
    );
}

#[test]
fn a_daemon_that_goes_to_the_root_is_judged_by_how_it_was_started() {
    let at_root = |directory: &str| UnitSeen {
        cwd: Some("/".into()),
        setup: UnitDefinition {
            directory: directory.into(),
            ..UnitDefinition::default()
        },
        ..unit()
    };
    let through = at_root("/srv/todo/current");
    assert_eq!(in_the_end(expected(), see(through, Ok(200))), Verdict::Well);
    let why = reason(in_the_end(expected(), see(at_root("/opt"), Ok(200))));
    assert!(why.contains("elsewhere = [\"todo.service\"]"), "{why}");
    let exempt = Expected {
        elsewhere: vec!["todo.service"],
        ..expected()
    };
    assert_eq!(
        in_the_end(exempt, see(at_root("/opt"), Ok(200))),
        Verdict::Well
    );
}

#[test]
fn a_unit_that_has_done_its_work_is_well_and_one_that_ended_is_not() {
    let ended = |kind: &str, result: &str| UnitSeen {
        active: "inactive".into(),
        sub: "dead".into(),
        result: result.into(),
        main_pid: 0,
        cwd: None,
        setup: UnitDefinition {
            kind: kind.into(),
            ..UnitDefinition::default()
        },
        ..unit()
    };
    let well = |unit| in_the_end(expected(), see(unit, Ok(200))) == Verdict::Well;
    assert!(well(ended("oneshot", "success")));
    assert!(!well(ended("oneshot", "exit-code")));
    assert!(!well(ended("simple", "success")));
    let stays = UnitSeen {
        active: "active".into(),
        sub: "exited".into(),
        ..ended("oneshot", "success")
    };
    assert!(well(stays));
}

#[test]
fn a_main_process_that_hands_over_begins_its_steady_time_anew() {
    let forking = |pid| UnitSeen {
        main_pid: pid,
        setup: UnitDefinition {
            kind: "forking".into(),
            ..UnitDefinition::default()
        },
        ..unit()
    };
    let mut watch = watch();
    assert_eq!(
        watch.observe(at(0), see(forking(100), Ok(200))),
        Verdict::Wait
    );
    assert_eq!(
        watch.observe(at(4), see(forking(101), Ok(200))),
        Verdict::Wait
    );
    assert_eq!(
        watch.observe(at(5), see(forking(101), Ok(200))),
        Verdict::Wait
    );
    assert_eq!(
        watch.observe(at(9), see(forking(101), Ok(200))),
        Verdict::Wait
    );
    assert_eq!(
        watch.observe(at(10), see(forking(101), Ok(200))),
        Verdict::Well
    );
}
