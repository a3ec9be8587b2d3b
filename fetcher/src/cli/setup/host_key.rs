//! Which host key of the server is trusted: the one that a person names, that the forge is known to publish, or that is
//! pinned already.

use std::io::IsTerminal;
use std::path::Path;

use crate::account::Account;
use crate::cli::args::Arguments;
use crate::cli::hostkey::{OfferedKeys, typed};
use crate::cli::output::{print_prompt, say};
use crate::cli::pin_as_root::{self, PinArguments};
use crate::cli::{FAILED, USAGE};
use crate::config::App;
use crate::hostkey::{known, published, trusted};
use crate::setup::wanted::KNOWN_HOSTS;

use super::Refusal;
use super::stage::Staged;

/// A server's key that is to be pinned.
pub(in crate::cli) struct ConfirmedKey {
    seen: OfferedKeys,
    fingerprint: String,
}

impl ConfirmedKey {
    /// Pins the key for `app`, and tells it.
    pub(in crate::cli) fn pin(&self, app: &App) -> Result<(), String> {
        let told = pin_as_root::write(app, &self.seen, &self.fingerprint);
        say(&told.map_err(|(_, why)| why)?);
        Ok(())
    }
}

/// Asks the server for its keys, and chooses the one to pin; `None` if one is pinned already.
pub(in crate::cli) fn choose(
    arguments: &Arguments,
    account: &Account,
    staged: &Staged,
    named: Option<&str>,
    trusted_today: &[String],
) -> Result<Option<ConfirmedKey>, Refusal> {
    let app = &staged.app;
    pin_as_root::check_files(app)?;
    // Root itself neither resolves a name nor runs ssh.
    let mut words = Vec::new();
    for (option, value) in [
        ("--config", staged.directory.path().as_os_str()),
        ("--state", arguments.state().as_os_str()),
    ] {
        words.extend([option.into(), value.to_owned()]);
    }
    let silent = PinArguments {
        app: &app.name,
        fingerprint: Some(""),
        submodule: None,
    };
    let seen = pin_as_root::seen(words, account, &silent).map_err(|(code, why)| {
        let why = match why.is_empty() {
            true => "the server was not reached, so nothing was changed".to_owned(),
            false => why,
        };
        (code.max(FAILED), why)
    })?;
    pin_as_root::check_server(app, &seen)?;
    let offered: Vec<_> = seen.offered.iter().map(|key| &key.fingerprint).collect();
    let pinned = pinned(staged, &seen.name)?;
    if named.is_none() && offered.iter().any(|key| pinned.contains(key)) {
        say(&format!(
            "the host key of {} is pinned already\n",
            seen.name
        ));
        return Ok(None);
    }
    if let Some(named) = named.filter(|named| offered.iter().all(|key| key != named)) {
        return Err((
            FAILED,
            format!(
                "nothing was changed: the server does not offer the key {named}\n  {}compare with what the forge publishes; if \
                 that is the one you named, somebody stands between this host and the forge",
                shown(&seen).replace("\n", "\n  ")
            ),
        ));
    }
    // What the apps' user says it trusts is pinned for its own app alone, never in the file that all users share.
    let shared = app.ssh.known_hosts.as_deref() == Some(Path::new(KNOWN_HOSTS));
    let today = offered.iter().find(|key| trusted_today.contains(key));
    let today = today.filter(|_| !shared);
    let fingerprint = match (named, of_forge(&seen), today) {
        (Some(fingerprint), ..) => fingerprint.to_owned(),
        (None, Some(fingerprint), _) => fingerprint,
        (None, None, Some(today)) => {
            say(&format!(
                "{} offers {today}, which this user trusts today\n",
                seen.name
            ));
            (*today).clone()
        }
        (None, None, None) => ask(&app.name, &seen)?,
    };
    Ok(Some(ConfirmedKey { seen, fingerprint }))
}

/// Gives the fingerprints that are pinned for `name`.
fn pinned(staged: &Staged, name: &str) -> Result<Vec<String>, Refusal> {
    let Some(file) = &staged.app.ssh.known_hosts else {
        return Ok(Vec::new());
    };
    let (_, text) = trusted::read("known_hosts", file).map_err(|why| (USAGE, why))?;
    let pins = known::of_text(&text.unwrap_or_default(), file, name);
    let keys = pins.into_iter().filter(|pin| pin.marker.is_none());
    Ok(keys.map(|pin| pin.fingerprint).collect())
}

/// Gives the offered key that the forge publishes, if it is a forge whose keys are known.
fn of_forge(seen: &OfferedKeys) -> Option<String> {
    // The name of a server at another port is `[name]:port`.
    let name = seen.name.trim_start_matches('[');
    let name = name.split("]:").next().unwrap_or(name);
    let published = published::of_host(name)?;
    let is_published = |key: &&str| seen.offered.iter().any(|one| one.fingerprint == **key);
    match published.fingerprints.iter().find(|key| is_published(key)) {
        Some(key) => {
            say(&format!(
                "{name} offers {key}, which {} lists ({})\n",
                published.page,
                published::COMPARED_ON
            ));
            Some((*key).to_owned())
        }
        None => {
            print_prompt(&format!(
                "WARNING: {name} offers none of the keys that {} listed on {}\n",
                published.page,
                published::COMPARED_ON
            ));
            None
        }
    }
}

/// Shows the offered keys, and has a person type the fingerprint of one.
fn ask(app: &str, seen: &OfferedKeys) -> Result<String, Refusal> {
    let shown = shown(seen);
    if !std::io::stdin().is_terminal() {
        return Err((
            USAGE,
            format!(
                "nothing was changed: which host key is the forge's?\n  {}say it as the forge publishes it: \
                 --host-key-fingerprint SHA256:…",
                shown.replace("\n", "\n  ")
            ),
        ));
    }
    print_prompt(&shown);
    typed(app).map_err(|code| (code, String::new()))
}

fn shown(seen: &OfferedKeys) -> String {
    let mut shown = format!("{} offers\n", seen.name);
    for key in &seen.offered {
        shown.push_str(&format!("  {key}\n"));
    }
    shown
}
