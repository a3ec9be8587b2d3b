//! The request for the commits between two revisions.

use std::io::{Read, Write};

use pp_objects::ObjectId;

use super::greeting::{Greeting, Version};
use super::{Packet, Request, Wire, WireError, chomp, malformed, pack};

/// Requests the commits of `want` that are not in the history of `have`, without their trees if the server can leave
/// those out. Returns `false` if the server does not know `have`; otherwise the caller reads the pack with
/// [`pack::next_chunk`].
///
/// The server is told that all of the history of `have` is here. Nothing relies on that: of the pack only commits
/// are used.
///
/// # Errors
/// [`WireError`].
pub(crate) fn request<S: Read + Write>(
    wire: &mut Wire<S>,
    greeting: &mut Greeting,
    want: ObjectId,
    have: ObjectId,
) -> Result<bool, WireError> {
    let asked = build(wire, greeting, want, have, false)?;
    wire.send(&asked)?;
    if greeting.version == Version::V0 {
        return match wire.receive()? {
            Packet::Data(line) if line.starts_with(b"ACK ") => Ok(true),
            Packet::Data(line) if line.starts_with(b"NAK") => Ok(false),
            _ => Err(malformed("an answer without an acknowledgement")),
        };
    }
    let mut known = false;
    loop {
        match wire.receive()? {
            Packet::Data(line) if chomp(line) == b"packfile" => return Ok(true),
            Packet::Data(line) => known |= line.starts_with(b"ACK "),
            Packet::Delimiter => {}
            Packet::Flush => break,
        }
    }
    if known {
        // The server has both commits and sees no line between them yet; it is asked for the pack all the same, which
        // shows the line or shows that there is none.
        let asked = build(wire, greeting, want, have, true)?;
        wire.send(&asked)?;
        pack::until_packfile(wire, greeting)?;
    }
    Ok(known)
}

fn build<S: Read + Write>(
    wire: &mut Wire<S>,
    greeting: &mut Greeting,
    want: ObjectId,
    have: ObjectId,
    done: bool,
) -> Result<Request, WireError> {
    let mut request = pack::begin(wire, greeting, want, false)?;
    if greeting.leaves_out_trees() {
        request.line("filter tree:0");
    }
    // Version 0 has no answer before the pack that would tell more.
    let done = done || greeting.version == Version::V0;
    pack::end(&mut request, greeting, &[have], done);
    Ok(request)
}
