//! The judgement, observation by observation.

use super::*;

const RELEASE: &str = "/srv/todo/releases/2";

fn unit() -> UnitSeen {
    UnitSeen {
        name: "todo.service".into(),
        in_job: false,
        active: "active".into(),
        sub: "running".into(),
        result: "success".into(),
        main_pid: 100,
        restarts: 0,
        invocation: vec![1],
        cwd: Some(RELEASE.into()),
    }
}

fn watch() -> Watch<'static> {
    Watch::new(Expected {
        release: Path::new(RELEASE),
        status: 200,
        within: Duration::from_secs(30),
        steady: Duration::from_secs(5),
    })
}

fn see(unit: UnitSeen, answer: Result<u16, &str>) -> Observation {
    Observation {
        units: vec![unit],
        answer: Some(answer.map_err(str::to_owned)),
    }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn reason(verdict: Verdict) -> String {
    match verdict {
        Verdict::NotWell(why) => why,
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
    assert!(reason(watch.observe(at(30), see(old, Ok(200)))).contains("WorkingDirectory"));
}

#[test]
fn without_a_health_url_the_units_decide() {
    let mut watch = watch();
    let seen = || Observation {
        units: vec![unit()],
        answer: None,
    };
    assert_eq!(watch.observe(at(0), seen()), Verdict::Wait);
    assert_eq!(watch.observe(at(5), seen()), Verdict::Well);
}
