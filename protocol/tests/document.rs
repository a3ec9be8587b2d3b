//! The dumps of `PROTOCOL.md` are what this crate speaks.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

use bytes::BytesMut;
use pp_protocol::codec::{
    decode_reply, decode_request, encode_reply, encode_request, frame, framing, unframe,
};

const DOCUMENT: &str = include_str!("../PROTOCOL.md");

/// The bytes of each dump of a kind.
fn dumps(kind: &str) -> Vec<Vec<u8>> {
    let fence = format!("```hexdump {kind}\n");
    let blocks = DOCUMENT.split(&fence).skip(1);
    blocks
        .map(|block| {
            let digits = block.split("```").next().unwrap().split_whitespace();
            digits
                .map(|hex| u8::from_str_radix(hex, 16).unwrap())
                .collect()
        })
        .collect()
}

fn payload(dump: &[u8]) -> Vec<u8> {
    let mut buffer = BytesMut::from(dump);
    let payload = unframe(&mut framing(), &mut buffer).unwrap().unwrap();
    assert!(buffer.is_empty(), "one frame a dump");
    payload.to_vec()
}

#[test]
fn the_documented_requests_are_what_is_sent() {
    let dumps = dumps("request");
    assert_eq!(dumps.len(), 2);
    for dump in dumps {
        let request = decode_request(&payload(&dump)).unwrap();
        assert_eq!(frame(encode_request(&request).unwrap()).unwrap(), dump[..]);
    }
}

#[test]
fn the_documented_replies_are_what_is_sent() {
    let dumps = dumps("reply");
    assert_eq!(dumps.len(), 5);
    for dump in dumps {
        let reply = decode_reply(&payload(&dump)).unwrap();
        assert_eq!(frame(encode_reply(&reply).unwrap()).unwrap(), dump[..]);
    }
}
