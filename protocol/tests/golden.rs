//! The wire format, byte for byte. A change here is a new protocol version.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

use pp_protocol::codec::{CodecError, decode_reply, decode_request, encode_reply, encode_request};
use pp_protocol::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn request(ask: Ask, golden: &str) {
    let message = Request {
        version: VERSION,
        ask,
    };
    assert_eq!(
        hex(&encode_request(&message).unwrap()),
        hex(&bytes(golden)),
        "{message:?}"
    );
    assert_eq!(decode_request(&bytes(golden)).unwrap(), message);
}

fn reply(message: Reply, golden: &str) {
    assert_eq!(
        hex(&encode_reply(&message).unwrap()),
        hex(&bytes(golden)),
        "{message:?}"
    );
    assert_eq!(decode_reply(&bytes(golden)).unwrap(), message);
}

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
fn requests() {
    let unit = || "todo.service".to_owned();
    request(
        Ask::Act {
            verb: Verb::Restart,
            unit: unit(),
        },
        "01 00 00 0c 746f646f2e73657276696365",
    );
    request(
        Ask::Act {
            verb: Verb::Reload,
            unit: unit(),
        },
        "01 00 01 0c 746f646f2e73657276696365",
    );
    request(
        Ask::Act {
            verb: Verb::TryRestart,
            unit: unit(),
        },
        "01 00 02 0c 746f646f2e73657276696365",
    );
    request(Ask::List, "01 01");
}

#[test]
fn replies() {
    reply(Reply::Denied, "01 00");
    reply(
        Reply::Busy {
            retry_after_ms: 250,
        },
        "01 01 fa",
    );
    reply(
        Reply::Busy {
            retry_after_ms: 15_000,
        },
        "01 01 fb983a",
    );
    reply(
        Reply::Finished(report()),
        "01 02 00 00 00 07 72756e6e696e67 07 73756363657373 fb6712
         11111111111111111111111111111111 22222222222222222222222222222222 01 fb6c02",
    );
    reply(
        Reply::Finished(Report {
            job: JobResult::None,
            refusal: Some(Refusal::Masked),
            ..report()
        }),
        "01 02 08 01 01 00 07 72756e6e696e67 07 73756363657373 fb6712
         11111111111111111111111111111111 22222222222222222222222222222222 01 fb6c02",
    );
    reply(
        Reply::Grant(Grant {
            unit: "todo.service".into(),
            verb: Verb::Restart,
            burst: 3,
            every_ms: 15_000,
        }),
        "01 03 0c 746f646f2e73657276696365 00 03 fb983a",
    );
    reply(Reply::End, "01 04");
}

/// Every value of every enum has the number that `PROTOCOL.md` gives it.
#[test]
fn numbers_of_the_enums() {
    use ActiveState as A;
    use JobResult as J;
    use Refusal as R;
    let jobs = [
        J::Done,
        J::Canceled,
        J::Timeout,
        J::Failed,
        J::Dependency,
        J::Skipped,
        J::Other,
        J::Unknown,
        J::None,
    ];
    for (number, job) in jobs.into_iter().enumerate() {
        let bytes = encode_reply(&Reply::Finished(Report { job, ..report() })).unwrap();
        assert_eq!(usize::from(bytes[2]), number, "{job:?}");
    }
    let refusals = [
        R::NoSuchUnit,
        R::Masked,
        R::Alias,
        R::BadSetting,
        R::ManualRefused,
        R::NotApplicable,
        R::Unreachable,
        R::Other,
        R::StopUnderWay,
        R::ShuttingDown,
    ];
    for (number, refusal) in refusals.into_iter().enumerate() {
        let message = Reply::Finished(Report {
            refusal: Some(refusal),
            ..report()
        });
        let bytes = encode_reply(&message).unwrap();
        assert_eq!(
            (bytes[3], usize::from(bytes[4])),
            (1, number),
            "{refusal:?}"
        );
    }
    let states = [
        A::Active,
        A::Reloading,
        A::Inactive,
        A::Failed,
        A::Activating,
        A::Deactivating,
        A::Unknown,
    ];
    for (number, active) in states.into_iter().enumerate() {
        let bytes = encode_reply(&Reply::Finished(Report { active, ..report() })).unwrap();
        assert_eq!(usize::from(bytes[4]), number, "{active:?}");
    }
}

#[test]
fn rule_12_what_is_not_exactly_one_message_is_refused() {
    assert!(matches!(decode_request(&[]), Err(CodecError::Empty)));
    assert!(matches!(
        decode_request(&bytes("02 01")),
        Err(CodecError::Version(2))
    ));
    assert!(matches!(
        decode_request(&bytes("01 02")),
        Err(CodecError::Malformed)
    ));
    assert!(matches!(
        decode_request(&bytes("01 00 07 01 61")),
        Err(CodecError::Malformed)
    ));
    assert!(matches!(
        decode_request(&bytes("01 00 00 0c 746f")),
        Err(CodecError::Malformed)
    ));
    assert!(matches!(
        decode_request(&bytes("01 01 00")),
        Err(CodecError::Trailing(1))
    ));
    // A length of 2^64-1 where the name's length stands: refused by the limit, not allocated.
    let huge = bytes("01 00 00 fd ffffffffffffffff");
    assert!(matches!(decode_request(&huge), Err(CodecError::Malformed)));
}

#[test]
fn rule_13_the_longest_message_fits_and_a_longer_one_cannot_be_made() {
    let unit = "a".repeat(255);
    let longest = Request {
        version: VERSION,
        ask: Ask::Act {
            verb: Verb::Restart,
            unit,
        },
    };
    assert_eq!(encode_request(&longest).unwrap().len(), 261);
    let unit = "a".repeat(2000);
    let too_long = Request {
        version: VERSION,
        ask: Ask::Act {
            verb: Verb::Restart,
            unit,
        },
    };
    assert!(encode_request(&too_long).is_err());
}
