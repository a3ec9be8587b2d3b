//! Asking for a pack and taking it off the wire.

use std::io::{Read, Write};

use gix_packetline::{BandRef, PacketLineRef};
use pp_objects::ObjectId;

use super::greeting::{Greeting, Version};
use super::{AGENT, Packet, Request, Wire, WireError, chomp, malformed, refs};
use crate::util::text;

/// Asks for everything that `want` needs and `haves` do not bring along, whose history ends at
/// `boundary`, in one round: a deploy target is seldom far from what was fetched last, so a longer negotiation would cost a round trip
/// to save nothing.
///
/// Afterwards the pack is read with [`next_chunk`].
///
/// # Errors
/// [`WireError`].
pub(crate) fn request<S: Read + Write>(
    wire: &mut Wire<S>,
    greeting: &mut Greeting,
    want: ObjectId,
    haves: &[ObjectId],
    boundary: &[ObjectId],
) -> Result<(), WireError> {
    let mut request = Request::default();
    match greeting.version {
        Version::V2 => {
            request.line("command=fetch");
            refs::capabilities(&mut request, greeting);
            request.delimiter();
            request
                .line("thin-pack")
                .line("no-progress")
                .line("ofs-delta");
            request.line(&format!("want {want}"));
            if greeting.takes("fetch", "shallow") {
                shallow(&mut request, boundary);
            }
        }
        Version::V0 => {
            if !greeting.can("side-band-64k") {
                return Err(malformed("the server does not offer side-band-64k"));
            }
            // A listing that was not asked for has to be read all the same.
            refs::list(wire, greeting, &[])?;
            let mut line = format!("want {want}");
            for capability in ["side-band-64k", "thin-pack", "ofs-delta", "no-progress"] {
                if greeting.can(capability) {
                    line.push(' ');
                    line.push_str(capability);
                }
            }
            if greeting.can("agent") {
                line.push(' ');
                line.push_str(AGENT);
            }
            request.line(&line);
            if greeting.can("shallow") {
                shallow(&mut request, boundary);
            }
            request.flush();
        }
    }
    for have in haves {
        request.line(&format!("have {have}"));
    }
    request.line("done");
    if greeting.version == Version::V2 {
        request.flush();
    }
    wire.send(&request)?;
    match greeting.version {
        Version::V2 => until_packfile(wire, greeting),
        Version::V0 => Ok(()),
    }
}

/// What our history does not reach beyond: without it the server takes it for whole.
fn shallow(request: &mut Request, boundary: &[ObjectId]) {
    for end in boundary {
        request.line(&format!("shallow {end}"));
    }
}

/// Reads the sections of a version 2 answer that come before the pack.
fn until_packfile<S: Read + Write>(
    wire: &mut Wire<S>,
    greeting: &mut Greeting,
) -> Result<(), WireError> {
    loop {
        match wire.receive()? {
            Packet::Data(line) if chomp(line) == b"packfile" => return Ok(()),
            Packet::Data(line) => {
                greeting.heard_shallow(chomp(line));
            }
            Packet::Delimiter => {}
            Packet::Flush => return Err(malformed("an answer without a pack")),
        }
    }
}

/// The next piece of the pack; none at its end.
///
/// # Errors
/// [`WireError`]; what the server reports of its own failure is [`WireError::Said`].
pub(crate) fn next_chunk<S: Read + Write>(wire: &mut Wire<S>) -> Result<Option<&[u8]>, WireError> {
    match wire.receive()? {
        // Version 0 answers the haves here.
        Packet::Data(line) if line.starts_with(b"ACK ") || line.starts_with(b"NAK") => {
            Ok(Some(&[]))
        }
        Packet::Data(data) => match PacketLineRef::Data(data).decode_band() {
            Ok(BandRef::Data(pack)) => Ok(Some(pack)),
            Ok(BandRef::Progress(_)) => Ok(Some(&[])),
            Ok(BandRef::Error(said)) => Err(WireError::Said(text::line(said))),
            Err(error) => Err(malformed(error.to_string())),
        },
        Packet::Flush => Ok(None),
        Packet::Delimiter => Err(malformed("a delimiter in a pack")),
    }
}
