//! The greeting of a git server: the first message, with the protocol version and the server's capabilities.

use std::io::{Read, Write};

use pp_objects::ObjectId;

use super::advertised::{Advertised, advertised};
use super::{AGENT, Packet, Request, Wire, WireError, chomp, malformed};
use crate::util::text;

/// The most capabilities a server may announce; git announces about a dozen.
const MOST_CAPABILITIES: usize = 256;

/// The most commits kept at which a history ends.
const MOST_SHALLOW: usize = 1000;

/// The version of the git protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// Spoken if the server ignores the requested version: it advertises every ref first. Version 1 is the
    /// same with one more line.
    V0,
    /// The client sends commands: `ls-refs`, `fetch`.
    V2,
}

/// The content of a server's greeting.
#[derive(Debug)]
pub(crate) struct Greeting {
    /// The protocol version that the server speaks.
    pub version: Version,
    /// The first ref of a version 0 advertisement, whose line carries the capabilities; `None` in version
    /// 2 and from an empty repository.
    pub first: Option<Advertised>,
    /// Whether the version 0 advertisement has been read to its end.
    pub ended: bool,
    /// The commits at which the history ends that the server has sent, as far as the server has said.
    pub shallow: Vec<ObjectId>,
    capabilities: Vec<String>,
}

/// The capabilities that a server of version 2 has announced and that each command to that server carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CommandCapabilities {
    agent: bool,
    object_format: bool,
}

impl CommandCapabilities {
    /// Returns those of a server that has greeted in this way.
    #[must_use]
    pub(crate) fn of(greeting: &Greeting) -> Self {
        Self {
            agent: greeting.can("agent"),
            object_format: greeting.can("object-format"),
        }
    }

    /// Adds the capabilities to a command.
    pub(super) fn add_to(self, request: &mut Request) {
        if self.agent {
            request.line(AGENT);
        }
        if self.object_format {
            request.line("object-format=sha1");
        }
    }
}

impl Greeting {
    /// Reads the server's greeting.
    ///
    /// # Errors
    /// [`WireError`]; [`WireError::ObjectFormat`] for a repository that does not use SHA-1.
    pub(crate) fn read<S: Read + Write>(wire: &mut Wire<S>) -> Result<Self, WireError> {
        match Self::read_packets(wire) {
            // The message quotes what the server sent: a shell's greeting, a menu of the forge, an error page.
            Err(WireError::Malformed(what)) => {
                let head = wire.head();
                Err(malformed(format!("{what}; the server says: {head:?}")))
            }
            other => other,
        }
    }

    fn read_packets<S: Read + Write>(wire: &mut Wire<S>) -> Result<Self, WireError> {
        let mut line = data(wire.receive()?);
        // Over https the service is named first, in a message of its own; in version 2 that message is optional.
        if line.as_deref() == Some(b"# service=git-upload-pack") {
            while data(wire.receive()?).is_some() {}
            line = data(wire.receive()?);
        }
        if line.as_deref() == Some(b"version 2") {
            return Self::version_2(wire);
        }
        if line.as_deref() == Some(b"version 1") {
            line = data(wire.receive()?);
        }
        let mut greeting = Self {
            version: Version::V0,
            first: None,
            ended: line.is_none(),
            shallow: Vec::new(),
            capabilities: Vec::new(),
        };
        if let Some(line) = line {
            let mut halves = line.splitn(2, |&b| b == 0);
            let reference = halves.next().unwrap_or_default();
            let capabilities = String::from_utf8_lossy(halves.next().unwrap_or_default());
            greeting.capabilities = capabilities
                .split_ascii_whitespace()
                .take(MOST_CAPABILITIES)
                .map(str::to_owned)
                .collect();
            greeting.sha1_only()?;
            greeting.first = Some(advertised(reference)?);
        }
        Ok(greeting)
    }

    fn version_2<S: Read + Write>(wire: &mut Wire<S>) -> Result<Self, WireError> {
        let mut capabilities = Vec::new();
        while let Some(line) = data(wire.receive()?) {
            if capabilities.len() == MOST_CAPABILITIES {
                return Err(malformed("too many capabilities"));
            }
            capabilities.push(String::from_utf8_lossy(&line).into_owned());
        }
        let greeting = Self {
            version: Version::V2,
            first: None,
            ended: true,
            shallow: Vec::new(),
            capabilities,
        };
        greeting.sha1_only()?;
        for command in ["ls-refs", "fetch"] {
            if !greeting.can(command) {
                return Err(malformed(format!("the server does not offer {command}")));
            }
        }
        Ok(greeting)
    }

    /// Returns whether the server announces the capability `name`, with or without a value.
    #[must_use]
    pub(crate) fn can(&self, name: &str) -> bool {
        let names = |c: &String| c.split('=').next() == Some(name);
        self.capabilities.iter().any(names)
    }

    /// Returns whether the server announces `feature` for a version 2 command.
    #[must_use]
    pub(crate) fn takes(&self, command: &str, feature: &str) -> bool {
        let mut values = self
            .capabilities
            .iter()
            .filter_map(|c| c.split_once('=').filter(|(name, _)| *name == command));
        values.any(|(_, features)| features.split(' ').any(|f| f == feature))
    }

    /// Returns whether the server can send a revision without its history.
    #[must_use]
    pub(crate) fn cuts_histories(&self) -> bool {
        self.offers("shallow")
    }

    /// Returns whether the server can send commits without their trees.
    #[must_use]
    pub(crate) fn leaves_out_trees(&self) -> bool {
        self.offers("filter")
    }

    /// Returns whether the server announces `feature` of a fetch.
    fn offers(&self, feature: &str) -> bool {
        match self.version {
            Version::V2 => self.takes("fetch", feature),
            Version::V0 => self.can(feature),
        }
    }

    /// Keeps the commit of a `shallow` line, at which the server's history ends; returns whether `line` is one.
    pub(super) fn heard_shallow(&mut self, line: &[u8]) -> bool {
        let Some(id) = line.strip_prefix(b"shallow ") else {
            return false;
        };
        let id = ObjectId::from_hex(id);
        if self.shallow.len() < MOST_SHALLOW {
            self.shallow.extend(id);
        }
        true
    }

    fn sha1_only(&self) -> Result<(), WireError> {
        let formats = self.capabilities.iter();
        match formats
            .filter_map(|c| c.strip_prefix("object-format="))
            .find(|f| *f != "sha1")
        {
            Some(format) => Err(WireError::ObjectFormat(text::line(format.as_bytes()))),
            None => Ok(()),
        }
    }
}

/// Returns a data packet's content without its newline; `None` for a flush or delimiter packet.
fn data(packet: Packet<'_>) -> Option<Vec<u8>> {
    match packet {
        Packet::Data(data) => Some(chomp(data).to_owned()),
        Packet::Flush | Packet::Delimiter => None,
    }
}
