//! Listing of a remote's refs: `ls-refs` of version 2, the advertisement of version 0.

use std::io::{Read, Write};

use pp_objects::ObjectId;

use super::advertised::{Advertised, advertised, nameable, object_id};
use super::greeting::{CommandCapabilities, Greeting, Version};
use super::{Packet, Request, Wire, WireError, chomp, malformed};
use crate::util::text;

/// The most refs kept of a listing: each costs memory, and no pattern a person writes matches more.
pub(crate) const MOST_REFS: usize = 100_000;

/// A ref of the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemoteRef {
    /// The full name, such as `refs/heads/main`.
    pub name: String,
    /// The object that the ref points to: a commit, or a tag object.
    pub id: ObjectId,
    /// If the ref points to a tag object: the object that the tag points to in the end.
    pub peeled: Option<ObjectId>,
    /// If the ref is symbolic, such as HEAD: the ref that it points to, if the server tells.
    pub target: Option<String>,
}

/// Returns the refs that begin with one of `prefixes`. In version 0 this works only once: the server sends
/// all refs before it takes a request.
///
/// # Errors
/// [`WireError`].
pub(crate) fn list<S: Read + Write>(
    wire: &mut Wire<S>,
    greeting: &mut Greeting,
    prefixes: &[&str],
) -> Result<Vec<RemoteRef>, WireError> {
    match greeting.version {
        Version::V2 => {
            wire.send(&request(CommandCapabilities::of(greeting), prefixes))?;
            listing(wire, prefixes)
        }
        Version::V0 => advertisement(wire, greeting, prefixes),
    }
}

/// Builds the version 2 request for the refs that begin with one of `prefixes`.
pub(crate) fn request(capabilities: CommandCapabilities, prefixes: &[&str]) -> Request {
    let mut request = Request::default();
    request.line("command=ls-refs");
    capabilities.add_to(&mut request);
    request.delimiter().line("peel").line("symrefs");
    for prefix in prefixes {
        request.line(&format!("ref-prefix {prefix}"));
    }
    request.flush();
    request
}

/// Reads the answer to a [`request`] with the same `prefixes`.
///
/// # Errors
/// [`WireError`].
pub(crate) fn listing<S: Read + Write>(
    wire: &mut Wire<S>,
    prefixes: &[&str],
) -> Result<Vec<RemoteRef>, WireError> {
    let mut refs = Vec::new();
    loop {
        match wire.receive()? {
            Packet::Data(line) => keep(&mut refs, listed(chomp(line))?, prefixes)?,
            Packet::Flush => return Ok(refs),
            Packet::Delimiter => return Err(malformed("a delimiter in a listing")),
        }
    }
}

fn advertisement<S: Read + Write>(
    wire: &mut Wire<S>,
    greeting: &mut Greeting,
    prefixes: &[&str],
) -> Result<Vec<RemoteRef>, WireError> {
    let mut refs: Vec<RemoteRef> = Vec::new();
    let mut next = greeting.first.take();
    loop {
        if let Some(Advertised { id, name }) = next {
            match name.strip_suffix("^{}") {
                Some(tag) => {
                    if let Some(last) = refs.last_mut().filter(|last| last.name == tag) {
                        last.peeled = Some(id);
                    }
                }
                // An empty repository sends the null id in place of a first ref.
                None if id.as_bytes() == [0; ObjectId::LENGTH] => {}
                None => {
                    let peeled = None;
                    let target = None;
                    let line = RemoteRef {
                        name,
                        id,
                        peeled,
                        target,
                    };
                    keep(&mut refs, Some(line), prefixes)?;
                }
            }
        }
        if greeting.ended {
            return Ok(refs);
        }
        next = match wire.receive()? {
            Packet::Data(line) if greeting.heard_shallow(chomp(line)) => None,
            Packet::Data(line) => Some(advertised(chomp(line))?),
            Packet::Flush | Packet::Delimiter => {
                greeting.ended = true;
                None
            }
        };
    }
}

fn keep(
    refs: &mut Vec<RemoteRef>,
    line: Option<RemoteRef>,
    prefixes: &[&str],
) -> Result<(), WireError> {
    let Some(line) = line else { return Ok(()) };
    // A prefix is a hint to the server: the server may send other refs, too.
    if prefixes.iter().any(|p| line.name.starts_with(p)) {
        if refs.len() == MOST_REFS {
            return Err(WireError::TooManyRefs(MOST_REFS));
        }
        refs.push(line);
    }
    Ok(())
}

/// Parses `<id> <name>[ symref-target:<ref>][ peeled:<id>]`; `None` for a name that no ref can have.
fn listed(line: &[u8]) -> Result<Option<RemoteRef>, WireError> {
    let Ok(line) = std::str::from_utf8(line) else {
        return Ok(None);
    };
    let mut words = line.split(' ');
    let id = words.next().unwrap_or_default();
    if id == "unborn" {
        return Ok(None);
    }
    let mut found = RemoteRef {
        id: object_id(id)?,
        name: words.next().unwrap_or_default().to_owned(),
        peeled: None,
        target: None,
    };
    for attribute in words {
        if let Some(id) = attribute.strip_prefix("peeled:") {
            found.peeled = Some(object_id(id)?);
        } else if let Some(target) = attribute.strip_prefix("symref-target:") {
            found.target = Some(text::line(target.as_bytes()));
        }
    }
    Ok(nameable(&found.name).then_some(found))
}
