//! The request for the commits between two revisions.

use std::io::{Read, Write};

use pp_objects::ObjectId;

use super::greeting::{Greeting, Version};
use super::{Packet, Request, Wire, WireError, chomp, malformed, pack};

/// Two revisions: the commits of `want` that are not in the history of `have` lie between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Between {
    /// The newer revision.
    pub(crate) want: ObjectId,
    /// The older revision.
    pub(crate) have: ObjectId,
}

/// Requests the commits between two revisions, without their trees if the server can leave those out. [`answer`] then
/// reads what the server says.
///
/// The server is told that all of the history of the older one is here. Nothing relies on that: of the pack only
/// commits are used.
///
/// # Errors
/// [`WireError`].
pub(crate) fn request<S: Read + Write>(
    wire: &mut Wire<S>,
    greeting: &mut Greeting,
    between: Between,
) -> Result<(), WireError> {
    let asked = build(wire, greeting, between, false)?;
    wire.send(&asked)
}

/// Reads the beginning of the answer to [`request`]. Returns `false` if the server does not know the older one; otherwise the
/// caller reads the pack with [`pack::next_chunk`].
///
/// # Errors
/// [`WireError`].
pub(crate) fn answer<S: Read + Write>(
    wire: &mut Wire<S>,
    greeting: &mut Greeting,
    between: Between,
) -> Result<bool, WireError> {
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
        let asked = build(wire, greeting, between, true)?;
        wire.send(&asked)?;
        pack::until_packfile(wire, greeting)?;
    }
    Ok(known)
}

fn build<S: Read + Write>(
    wire: &mut Wire<S>,
    greeting: &mut Greeting,
    between: Between,
    done: bool,
) -> Result<Request, WireError> {
    let Between { want, have } = between;
    let mut request = pack::begin(wire, greeting, want, false)?;
    if greeting.leaves_out_trees() {
        request.line("filter tree:0");
    }
    // Version 0 has no answer before the pack that would tell more.
    let done = done || greeting.version == Version::V0;
    pack::end(&mut request, greeting, &[have], done);
    Ok(request)
}
