//! Frames as they arrive: in pieces, too large, hostile.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

use bytes::{Bytes, BytesMut};
use pp_protocol::codec::{MAX_FRAME, decode_request, frame, framing, unframe};
use proptest::prelude::*;

#[test]
fn rule_12_a_length_over_the_limit_is_refused_from_its_header_alone() {
    for header in [[0xff; 4], [0, 0, 4, 1]] {
        let mut buffer = BytesMut::from(&header[..]);
        assert!(unframe(&mut framing(), &mut buffer).is_err(), "{header:?}");
        assert!(
            buffer.capacity() <= 4 * MAX_FRAME,
            "nothing is reserved for it"
        );
    }
    let mut most = frame(Bytes::from(vec![0; MAX_FRAME])).unwrap();
    assert_eq!(
        unframe(&mut framing(), &mut most).unwrap().unwrap().len(),
        MAX_FRAME
    );
    assert!(frame(Bytes::from(vec![0; MAX_FRAME + 1])).is_err());
}

proptest! {
    #[test]
    fn rule_13_any_bytes_decode_or_are_refused(payload in proptest::collection::vec(any::<u8>(), 0..1100)) {
        if let Ok(request) = decode_request(&payload) {
            // What decodes has one meaning; encoding it again may be shorter, never longer.
            let again = pp_protocol::codec::encode_request(&request).unwrap();
            prop_assert!(again.len() <= payload.len());
        }
    }

    #[test]
    fn a_frame_survives_any_cut(payload in proptest::collection::vec(any::<u8>(), 1..1024), at in 0usize..1028) {
        let whole = frame(Bytes::from(payload.clone())).unwrap();
        let at = at.min(whole.len());
        let (mut codec, mut buffer) = (framing(), BytesMut::from(&whole[..at]));
        let first = unframe(&mut codec, &mut buffer).unwrap();
        buffer.extend_from_slice(&whole[at..]);
        let got = first.or_else(|| unframe(&mut codec, &mut buffer).unwrap());
        let got = got.unwrap();
        prop_assert_eq!(&got[..], payload.as_slice());
    }
}
