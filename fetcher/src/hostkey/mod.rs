//! Host keys: the keys that a server offers, the keys that are pinned for it, and pinning a key that a person
//! has confirmed.
//!
//! - [`place`]: the server as ssh resolves it, with host aliases, and the files of pinned keys.
//! - [`offer`]: the keys that the server offers. ssh itself is run, so jump hosts and aliases are used.
//! - [`pinned`]: the keys that those files hold for the server; [`known`]: the same without running a
//!   program.
//! - [`published`]: the fingerprints that the large forges publish.
//! - [`trusted`]: which of these files may be used by root.
//! - [`edit`]: the text of a file with a key replaced. [`write`](mod@write): writing the file, atomically.
//!
//! No poll uses this module: a key is only trusted because a person has compared its fingerprint (rule 24 in
//! RULES.md).

pub(crate) mod edit;
pub(crate) mod error;
pub(crate) mod known;
pub(crate) mod offer;
pub(crate) mod pinned;
pub(crate) mod place;
pub(crate) mod published;
pub(crate) mod trusted;
pub(crate) mod write;

use std::fs;

pub(crate) use error::HostKeyError;
pub(crate) use offer::Offered;
pub(crate) use pinned::{Marker, Pinned};
pub(crate) use place::PinTarget;

use crate::config::App;
use crate::git::RepositoryUrl;
use crate::repository::ssh_options;

/// A server, the host keys that it offers and those that are pinned for it.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The server as ssh resolves it.
    pub place: PinTarget,
    /// The host keys that the server offers, or why they could not be found out.
    pub offered: Result<Vec<Offered>, HostKeyError>,
    /// The host keys that are pinned for the server, in any file that ssh looks into.
    pub pinned: Vec<Pinned>,
}

/// The result of pinning a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// The key was pinned already, and no other pin had to be replaced.
    None,
    /// The file of pinned keys was changed; the key is pinned now.
    Pinned {
        /// Removed lines, whose keys the server no longer offers.
        replaced: Vec<Pinned>,
    },
}

/// Looks up the host keys that the server of `app` offers and those that are pinned for it. Changes nothing.
///
/// # Errors
/// The repository is not reached by ssh, or OpenSSH cannot be run. A server that does not answer is no error
/// here, but in [`Survey::offered`].
pub(crate) fn survey(app: &App) -> Result<Survey, HostKeyError> {
    let ssh = ssh_options(&app.ssh);
    let RepositoryUrl::Ssh {
        user, host, port, ..
    } = &app.repository
    else {
        return Err(HostKeyError::NotSsh {
            repository: app.repository.to_string(),
        });
    };
    let target = place::Target {
        user: user.as_deref(),
        host,
        port: *port,
    };
    let place = place::resolve(&ssh, target)?;
    let mut found = pinned::look(&place.file, &place.name)?;
    for file in &place.others {
        found.extend(pinned::look(file, &place.name)?);
    }
    Ok(Survey {
        offered: offer::offered(&ssh, target),
        pinned: found,
        place,
    })
}

impl Survey {
    /// Pins the offered key with this fingerprint, in place of pinned keys that the server no longer offers.
    ///
    /// # Errors
    /// The server does not offer the key, the key is revoked, or the file cannot be changed. The file then
    /// stays as it was.
    pub(crate) fn pin(self, fingerprint: &str) -> Result<Change, HostKeyError> {
        let failed = |source| HostKeyError::Io {
            file: self.place.file.clone(),
            source,
        };
        let text = match fs::read(&self.place.file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(failed)?,
        };
        let offered = self.offered?;
        // A key that is revoked in any of the files is refused.
        for file in &self.place.others {
            let elsewhere = fs::read(file).unwrap_or_default();
            let pinned = known::of_text(&elsewhere, file, &self.place.name);
            refuse_revoked(&pinned, fingerprint)?;
        }
        let (new, change) = decide(&self.place, offered, &text, fingerprint, false)?;
        if let Some(new) = new {
            write::write(&self.place.file, &new).map_err(failed)?;
        }
        Ok(change)
    }
}

/// Decides what the file of pinned keys, whose text is `text`, becomes when the key with this fingerprint is
/// pinned; gives no text if nothing changes. With `same_kind`, only pins of the same kind of key are removed.
/// Pure.
///
/// # Errors
/// The server does not offer the key, the key is revoked, or a line to replace holds for other servers too.
pub(crate) fn decide(
    place: &PinTarget,
    offered: Vec<Offered>,
    text: &[u8],
    fingerprint: &str,
    same_kind: bool,
) -> Result<(Option<Vec<u8>>, Change), HostKeyError> {
    let Some(key) = offered.iter().find(|key| key.fingerprint == fingerprint) else {
        return Err(HostKeyError::NotOffered {
            fingerprint: fingerprint.to_owned(),
            offered,
        });
    };
    let mut pinned = known::of_text(text, &place.file, &place.name);
    refuse_revoked(&pinned, fingerprint)?;
    pinned.retain(|pin| pin.marker.is_none());
    let there = pinned.iter().any(|pin| pin.fingerprint == fingerprint);
    pinned.retain(|pin| !offered.iter().any(|key| key.fingerprint == pin.fingerprint));
    pinned.retain(|pin| !same_kind || pin.kind == key.kind);
    if there && pinned.is_empty() {
        return Ok((None, Change::None));
    }
    let lines: Vec<_> = pinned.iter().map(|pin| pin.line).collect();
    let new = (!there).then_some(key.line.as_str());
    let text = edit::replaced(text, &place.name, &lines, new);
    let text = text.map_err(|line| HostKeyError::Pattern {
        file: place.file.clone(),
        line,
    })?;
    Ok((Some(text), Change::Pinned { replaced: pinned }))
}

/// Refuses the key with this fingerprint if a file of pinned keys marks it as revoked.
///
/// # Errors
/// [`HostKeyError::Revoked`].
pub(crate) fn refuse_revoked(pinned: &[Pinned], fingerprint: &str) -> Result<(), HostKeyError> {
    let revoked =
        |pin: &&Pinned| pin.marker == Some(Marker::Revoked) && pin.fingerprint == fingerprint;
    match pinned.iter().find(revoked) {
        Some(pin) => Err(HostKeyError::Revoked(pin.clone())),
        None => Ok(()),
    }
}
