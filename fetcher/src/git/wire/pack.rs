//! The request for a pack, and the reading of the pack from the stream.

use std::io::{Read, Write};

use gix_packetline::{BandRef, PacketLineRef};
use pp_objects::ObjectId;

use super::greeting::{Greeting, Version};
use super::{AGENT, Packet, Request, Wire, WireError, chomp, malformed, refs};
use crate::util::text;

/// Requests all objects that `want` needs and that are not in the history of `haves`, which ends at `boundary`.
/// The request takes one round: a revision to deploy is seldom far from the last fetched one, so a longer
/// negotiation would cost a round trip and save no bytes.
///
/// The caller then reads the pack with [`next_chunk`].
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
            // The advertised refs have to be read, although nobody asked for them.
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

/// Adds the commits at which the mirror's history ends: without them the server takes that history for complete.
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

/// Returns the next piece of the pack; `None` at its end.
///
/// # Errors
/// [`WireError`]; an error that the server reports is [`WireError::Said`].
pub(crate) fn next_chunk<S: Read + Write>(wire: &mut Wire<S>) -> Result<Option<&[u8]>, WireError> {
    match wire.receive()? {
        // A version 0 server acknowledges the haves before the pack.
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
