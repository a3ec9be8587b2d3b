//! Host keys for people: what a server offers, what is pinned, and pinning what was confirmed.
//!
//! - [`place`]: the server as ssh resolves it, aliases and all, and the files of pinned keys.
//! - [`offer`]: the keys it offers. ssh itself is asked, so jump hosts and aliases count.
//! - [`pinned`]: the keys that those files hold for it; [`known`]: the same without a program.
//! - [`trusted`]: which files root may be asked to work with.
//! - [`edit`]: a file's text with a key replaced. [`write`](mod@write): the file, atomically.
//!
//! Nothing here is done by a poll: a key is trusted because a person compared its fingerprint
//! (rule 24).

pub(crate) mod edit;
pub(crate) mod error;
pub(crate) mod known;
pub(crate) mod offer;
pub(crate) mod pinned;
pub(crate) mod place;
pub(crate) mod trusted;
pub(crate) mod write;

use std::fs;

pub(crate) use error::HostKeyError;
pub(crate) use offer::Offered;
pub(crate) use pinned::{Marker, Pinned};
pub(crate) use place::Place;

use crate::config::App;
use crate::git::RepositoryUrl;
use crate::repository::ssh_options;

/// A server, what it offers and what is pinned for it.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The server.
    pub place: Place,
    /// What it offers, or why that could not be found out.
    pub offered: Result<Vec<Offered>, HostKeyError>,
    /// What is pinned for it in any file that ssh looks into.
    pub pinned: Vec<Pinned>,
}

/// What a pin came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// It was pinned already, and nothing else was in its way.
    None,
    /// It is pinned now.
    Pinned {
        /// Lines whose keys the server no longer offers, which are gone.
        replaced: Vec<Pinned>,
    },
}

/// Looks at the server of `app` and at what is pinned for it. Changes nothing.
///
/// # Errors
/// The address is not ssh's, or OpenSSH cannot be asked; a server that does not answer is not one.
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
    /// Pins the offered key with this fingerprint, in place of what the server no longer offers.
    ///
    /// # Errors
    /// The server does not offer it, it is revoked, or the file cannot be changed. Then it is as
    /// it was.
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
        // Revoked anywhere is revoked.
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

/// What the file of pinned keys, whose text is `text`, becomes when the key with this fingerprint is pinned, if
/// anything. Only pins of the same kind go with `same_kind`. Pure.
///
/// # Errors
/// The server does not offer the key, it is revoked, or a line that is in the way means other servers too.
pub(crate) fn decide(
    place: &Place,
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

/// Refuses the key with this fingerprint if somebody has declared it bad.
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
