use super::super::{IS_CURRENT, LEAVE, VERBS};
use super::*;
use proptest::prelude::*;

fn report() -> Report {
    Report {
        job: JobResult::Done,
        refusal: None,
        active: ActiveState::Active,
        sub: "running".into(),
        result: "success".into(),
        main_pid: 4711,
        invocation_before: [0x11; 16],
        invocation: [0x22; 16],
        needs_daemon_reload: true,
        elapsed_ms: 620,
    }
}

#[test]
fn every_value_of_a_report_comes_back() {
    let fixed: [u8; REPLY] = MonitorReply::Finished(1, report()).encode();
    let used = fixed.iter().rposition(|b| *b != 0).unwrap();
    assert!(used < REPLY, "the longest word fits");
    let mut words = vec![
        MonitorReply::Drain,
        MonitorReply::Current,
        MonitorReply::Accepted(5),
        MonitorReply::Busy(7, Duration::from_millis(15_000)),
    ];
    words.extend(JOBS.map(|job| MonitorReply::Finished(1, Report { job, ..report() })));
    words.extend(REFUSALS.map(|refusal| {
        MonitorReply::Finished(
            2,
            Report {
                refusal,
                ..report()
            },
        )
    }));
    words.extend(STATES.map(|active| MonitorReply::Finished(3, Report { active, ..report() })));
    let longest = "x".repeat(STATE);
    words.push(MonitorReply::Finished(
        u64::MAX,
        Report {
            sub: longest.clone(),
            result: longest,
            ..report()
        },
    ));
    for word in words {
        assert_eq!(MonitorReply::decode(&word.encode()), Some(word));
    }
    for verb in VERBS {
        let order = Order {
            id: 9,
            unit: 3,
            verb,
        };
        assert_eq!(Order::decode(&order.encode()), Some(order));
    }
}

#[test]
fn no_order_reads_like_leaving_or_asking() {
    assert_eq!(Order::decode(&LEAVE), None);
    assert_eq!(Order::decode(&IS_CURRENT), None);
}

#[test]
fn rule_19_no_control_character_of_systemd_reaches_a_report() {
    let sub = "run\nning\x1b[0m\u{1F600}".to_owned();
    let word = MonitorReply::Finished(1, Report { sub, ..report() });
    let Some(MonitorReply::Finished(_, seen)) = MonitorReply::decode(&word.encode()) else {
        panic!("not decoded");
    };
    assert_eq!(seen.sub, "running[0m");
}

proptest! {
    #[test]
    fn rule_20_any_bytes_are_an_order_or_none(bytes in any::<[u8; ORDER]>()) {
        if let Some(order) = Order::decode(&bytes) {
            prop_assert_eq!(order.encode(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_a_word_or_none(head in any::<[u8; 32]>(), kind in 0u8..6) {
        let mut bytes = [0; REPLY];
        bytes[..32].copy_from_slice(&head);
        bytes[0] = kind;
        let _ = MonitorReply::decode(&bytes);
    }
}
