//! What must hold for any bytes. Driven by `fuzz.rs` on stable Rust and by the targets of `fuzz/`.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::panic,
    reason = "shared by several programs, each of which fails by a panic"
)]

use std::path::Path;

use bytes::BytesMut;
use pp_protocol::codec::{
    HEADER, MAX_FRAME, decode_reply, decode_request, encode_request, framing, unframe,
};
use pp_protocol::{Ask, UnitName};
use pp_restarter::audit::Subject;
use pp_restarter::pair::{ORDER, Order};
use pp_restarter::policy::names::Names;
use pp_restarter::policy::{Policy, parse};

/// A connection's bytes: a frame or a refusal, little memory, no control character in a record.
pub fn frames(bytes: &[u8]) {
    let mut buffer = BytesMut::from(bytes);
    let mut framing = framing();
    while let Ok(Some(payload)) = unframe(&mut framing, &mut buffer) {
        assert!(payload.len() <= MAX_FRAME);
        request(&payload);
    }
    assert!(buffer.capacity() <= bytes.len().max(HEADER + MAX_FRAME) * 2);
    request(bytes);
    if let Some(order) = bytes.first_chunk::<ORDER>().and_then(Order::decode) {
        assert_eq!(Some(&order.encode()), bytes.first_chunk::<ORDER>());
    }
}

fn request(payload: &[u8]) {
    let _ = decode_reply(payload);
    let Ok(request) = decode_request(payload) else {
        return;
    };
    let again = encode_request(&request).unwrap_or_else(|error| panic!("{error}"));
    assert!(again.len() <= payload.len());
    if let Ask::Act { verb, unit } = request.ask {
        let line = Subject::new(verb, &unit).to_string();
        assert!(line.bytes().all(|b| (0x20..0x7f).contains(&b)), "{line:?}");
        assert!(line.len() < 300);
        units(unit.as_bytes());
    }
}

/// A unit's name: kept to the byte or refused.
pub fn units(bytes: &[u8]) {
    let Ok(name) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(unit) = UnitName::parse(name) {
        assert_eq!(unit.as_str(), name);
        assert!(name.len() <= 255 && name.ends_with(".service") && !name.starts_with(['-', '.']));
        assert!(
            name.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b":_.@-".contains(&b))
        );
    }
}

struct Two;

impl Names for Two {
    fn uid(&self, name: &str) -> nix::Result<Option<u32>> {
        Ok((name == "root").then_some(0))
    }

    fn gid(&self, name: &str) -> nix::Result<Option<u32>> {
        Ok((name == "hosted_apps").then_some(997))
    }
}

/// A policy file: a policy that keeps the rules, or a complaint with its place.
pub fn policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut policy = Policy::default();
    match parse::add(&mut policy, Path::new("p.toml"), text, &Two) {
        Ok(()) => {
            for unit in &policy.units {
                assert!(!unit.grants.is_empty());
                assert!(unit.limit.burst >= 1 && unit.limit.every.as_secs() >= 1);
            }
        }
        Err(problem) => {
            let Some((line, column)) = problem.at else {
                panic!("{problem}")
            };
            assert!(line >= 1 && column >= 1 && line <= text.matches('\n').count() + 1);
        }
    }
}
