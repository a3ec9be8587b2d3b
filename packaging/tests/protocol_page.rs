//! The frames that pp-restarter-protocol(7) shows are the ones the codec makes.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

use pp_protocol::codec::{encode_reply, encode_request, frame};
use pp_protocol::{
    ActiveState, Ask, Grant, JobResult, Reply, Report, Request, UnitName, VERSION, Verb,
};

const PAGE: &str = include_str!("../man/pp-restarter-protocol.7.scd");

/// Every run of hexdump lines in the page, as bytes.
fn shown() -> Vec<Vec<u8>> {
    let mut dumps: Vec<Vec<u8>> = Vec::new();
    for line in PAGE.lines().filter(|line| line.ends_with('|')) {
        let Some((offset, rest)) = line.split_once("  ") else {
            continue;
        };
        let Ok(offset) = usize::from_str_radix(offset, 16) else {
            continue;
        };
        if offset == 0 {
            dumps.push(Vec::new());
        }
        let dump = dumps.last_mut().unwrap();
        assert_eq!(dump.len(), offset, "{line}");
        let (hex, text) = rest.split_once('|').unwrap();
        let bytes: Vec<u8> = hex
            .split_whitespace()
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect();
        let shown: String = bytes
            .iter()
            .map(|b| {
                if (32..127).contains(b) {
                    char::from(*b)
                } else {
                    '.'
                }
            })
            .collect();
        assert_eq!(text.strip_suffix('|').unwrap(), shown);
        dump.extend(bytes);
    }
    dumps
}

fn request(ask: Ask) -> Vec<u8> {
    let version = VERSION;
    frame(encode_request(&Request { version, ask }).unwrap())
        .unwrap()
        .to_vec()
}

fn reply(reply: &Reply) -> Vec<u8> {
    frame(encode_reply(reply).unwrap()).unwrap().to_vec()
}

#[test]
fn the_pages_examples_are_what_the_codec_makes() {
    let unit = UnitName::parse("todo.service").unwrap();
    let act = Ask::Act {
        verb: Verb::Restart,
        unit: unit.as_str().to_owned(),
    };
    let finished = Reply::Finished(Report {
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
    });
    let grant = Reply::Grant(Grant {
        unit: unit.as_str().to_owned(),
        verb: Verb::Restart,
        burst: 3,
        every_ms: 15_000,
    });
    let retry_after_ms = 15_000;
    assert_eq!(
        shown(),
        [
            request(act),
            reply(&Reply::Denied),
            reply(&Reply::Busy { retry_after_ms }),
            reply(&finished),
            request(Ask::List),
            [reply(&grant), reply(&Reply::End)].concat(),
        ]
    );
}
