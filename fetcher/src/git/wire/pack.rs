//! The request for a pack, and the reading of the pack from the stream.

use std::io::{Read, Write};

use gix_packetline::{BandRef, PacketLineRef};
use pp_objects::ObjectId;

use super::greeting::{CommandCapabilities, Greeting, Version};
use super::{AGENT, Packet, Request, Wire, WireError, chomp, malformed, refs};
use crate::util::text;

/// Requests the tree of `want` as far as it is not in the trees of `haves`, and no history, as nothing deploys it:
/// `boundary` has the commits at which the history of `haves` ends. A server that cannot cut a history sends all of
/// it, without what is in the history of `haves`. The request takes one round: a revision to deploy is seldom far
/// from the last fetched one, so a longer negotiation would cost a round trip and save no bytes.
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
    let cuts = greeting.cuts_histories();
    let mut request = begin(wire, greeting, want, true)?;
    if cuts {
        for end in boundary {
            request.line(&format!("shallow {end}"));
        }
        request.line("deepen 1");
    }
    end(&mut request, greeting, haves, true);
    wire.send(&request)?;
    match greeting.version {
        Version::V2 => until_packfile(wire, greeting),
        Version::V0 if cuts => until_cuts_are_told(wire, greeting),
        Version::V0 => Ok(()),
    }
}

/// Begins a request for `want`. A thin pack may build on objects that the mirror has.
pub(super) fn begin<S: Read + Write>(
    wire: &mut Wire<S>,
    greeting: &mut Greeting,
    want: ObjectId,
    thin: bool,
) -> Result<Request, WireError> {
    let mut request = Request::default();
    let features: &[&str] = match thin {
        true => &["thin-pack", "no-progress", "ofs-delta"],
        false => &["no-progress", "ofs-delta"],
    };
    match greeting.version {
        Version::V2 => {
            request.line("command=fetch");
            CommandCapabilities::of(greeting).add_to(&mut request);
            request.delimiter();
            for feature in features {
                request.line(feature);
            }
            request.line(&format!("want {want}"));
        }
        Version::V0 => {
            if !greeting.can("side-band-64k") {
                return Err(malformed("the server does not offer side-band-64k"));
            }
            // The advertised refs have to be read, although nobody asked for them.
            refs::list(wire, greeting, &[])?;
            let mut line = format!("want {want}");
            for capability in [&["side-band-64k", "filter"], features].concat() {
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
        }
    }
    Ok(request)
}

/// Ends a request with what is here already. `done` asks for the pack at once, whatever the server knows of it.
pub(super) fn end(request: &mut Request, greeting: &Greeting, haves: &[ObjectId], done: bool) {
    if greeting.version == Version::V0 {
        request.flush();
    }
    for have in haves {
        request.line(&format!("have {have}"));
    }
    if done {
        request.line("done");
    }
    if greeting.version == Version::V2 {
        request.flush();
    }
}

/// Reads the lines of a version 0 answer that say where the history is cut.
fn until_cuts_are_told<S: Read + Write>(
    wire: &mut Wire<S>,
    greeting: &mut Greeting,
) -> Result<(), WireError> {
    loop {
        match wire.receive()? {
            Packet::Data(line) if greeting.heard_shallow(chomp(line)) => {}
            Packet::Data(line) if line.starts_with(b"unshallow ") => {}
            Packet::Data(_) => {
                return Err(malformed("an answer that does not begin with its cuts"));
            }
            Packet::Flush | Packet::Delimiter => return Ok(()),
        }
    }
}

/// Reads the sections of a version 2 answer that come before the pack.
pub(super) fn until_packfile<S: Read + Write>(
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
