//! What the state stores, and what it does not store twice.

use super::*;

fn revision(digit: char) -> Revision {
    Revision::parse(&digit.to_string().repeat(40)).unwrap()
}

fn good(digit: char) -> Release {
    Release {
        revision: revision(digit),
        name: digit.into(),
        deployed_at: Timestamp::UNIX_EPOCH,
        tag: None,
        surroundings: None,
    }
}

#[test]
fn a_good_release_becomes_live_and_lifts_its_own_quarantine() {
    let mut state = State::default();
    state.quarantine(&revision('a'), "build failed", Timestamp::UNIX_EPOCH, None);
    state.went_live(good('b'));
    state.went_live(good('a'));
    assert_eq!(state.live, Some(good('a')));
    assert_eq!(state.earlier, [good('b')]);
    assert_eq!(state.quarantine_of(&revision('a')), None);
}

#[test]
fn an_accepted_rewrite_is_one_revision_and_ends_when_any_goes_live() {
    let now = Timestamp::UNIX_EPOCH;
    let mut state = State::default();
    state.quarantine(&revision('a'), "rewritten", now, None);
    state.quarantine(&revision('b'), "build failed", now, None);
    assert_eq!(state.accept_rewrite("aaaaaaa", now), Ok(revision('a')));
    assert!(state.accepts_rewrite(&revision('a')) && !state.accepts_rewrite(&revision('b')));
    assert_eq!(state.quarantine_of(&revision('a')), None);
    assert!(state.quarantine_of(&revision('b')).is_some());
    for written in ["bbbb", "ccccccc", "", "main", "AAAAAAAA"] {
        let why = state.accept_rewrite(written, now).unwrap_err();
        assert!(why.contains(&revision('b').to_string()), "{why}");
    }
    let whole = "c".repeat(40);
    assert_eq!(state.accept_rewrite(&whole, now), Ok(revision('c')));
    assert!(!state.accepts_rewrite(&revision('a')), "one at a time");
    state.went_live(good('d'));
    assert_eq!(state.accepted_rewrite, None);
    let live = "d".repeat(40);
    assert!(
        state
            .accept_rewrite(&live, now)
            .unwrap_err()
            .contains("live")
    );
}

#[test]
fn quarantine_keeps_the_latest_reason_and_a_bounded_number() {
    let mut state = State::default();
    state.quarantine(&revision('a'), "first", Timestamp::UNIX_EPOCH, None);
    state.quarantine(&revision('a'), "second", Timestamp::UNIX_EPOCH, None);
    assert_eq!(
        state.quarantine_of(&revision('a')).unwrap().reason,
        "second"
    );
    for n in 0..100 {
        let other = Revision::parse(&format!("{n:040x}")).unwrap();
        state.quarantine(&other, "x", Timestamp::UNIX_EPOCH, None);
    }
    assert_eq!(state.quarantined.len(), 50);
}
