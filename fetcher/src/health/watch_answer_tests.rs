//! Tests of `Watch`: whose answer it is, and how long it took.

use super::*;

#[test]
fn an_answer_that_comes_from_a_stranger_is_none_of_the_app() {
    let stranger = ForeignHolder {
        pid: 4711,
        command: "python3 -m http.server".into(),
    };
    let seen = Observation {
        stranger: Some(stranger),
        ..see(unit(), Ok(200))
    };
    match in_the_end(expected(), seen) {
        Verdict::NotWell(illness) => {
            let what = &illness.what;
            assert!(what.contains("pid 4711 (python3 -m http.server)"), "{what}");
            assert_eq!(illness.cause, Cause::Setup);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_that_is_still_waited_for_is_not_there_yet() {
    let waiting = || Observation {
        answer: Some(Answer::Waiting(Duration::from_secs(7))),
        ..see(unit(), Ok(200))
    };
    let mut watch = watch();
    assert_eq!(watch.observe(at(7), waiting()), Verdict::Wait);
    assert_eq!(watch.observe(at(8), see(unit(), Ok(200))), Verdict::Wait);
    let why = reason(in_the_end(expected(), waiting()));
    assert!(why.contains("has not answered for 7.0 s"), "{why}");
}

#[test]
fn answers_that_take_longer_than_a_look_are_steady_all_the_same() {
    let waiting = || Observation {
        answer: Some(Answer::Waiting(Duration::from_millis(250))),
        ..see(unit(), Ok(200))
    };
    let mut watch = watch();
    for second in 0..5 {
        assert_eq!(
            watch.observe(at(second), see(unit(), Ok(200))),
            Verdict::Wait
        );
        assert_eq!(watch.observe(at(second), waiting()), Verdict::Wait);
    }
    assert_eq!(watch.observe(at(5), see(unit(), Ok(200))), Verdict::Well);
    // A unit that fails while the health URL has yet to answer is seen.
    let mut watch = Watch::new(expected());
    watch.observe(at(0), see(unit(), Ok(200)));
    let failed = Observation {
        units: vec![UnitSeen {
            active: "failed".into(),
            ..unit()
        }],
        ..waiting()
    };
    assert!(matches!(watch.observe(at(1), failed), Verdict::NotWell(_)));
}
