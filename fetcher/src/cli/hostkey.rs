//! `pp-fetcher hostkey show` and `pp-fetcher hostkey pin`.

use std::fmt::Write;
use std::io::{BufRead, IsTerminal};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::args::Arguments;
use super::control::on;
use super::output::{print_error, print_prompt, say, say_json};
use super::{FAILED, OK, USAGE};
use crate::config::App;
use crate::hostkey::{
    Change, HostKeyError, Marker, Offered, PinTarget, Pinned, Survey, survey, trusted,
};

/// The output of `hostkey show --machine` for a server. `hostkey pin` as root reads it, because root itself
/// neither asks the server nor runs a program.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OfferedKeys {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) name: String,
    pub(super) offered: Vec<Offered>,
}

/// The reader of the output of `hostkey show`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Audience {
    /// The person who has typed the command.
    Person,
    /// `hostkey pin` as root: JSON on standard output, and the text in addition if a person is to compare
    /// fingerprints.
    Root {
        /// Whether the text is printed in addition.
        told: bool,
    },
}

/// `pp-fetcher hostkey show APP [--submodule …]`.
pub(super) fn show(
    arguments: &Arguments,
    app: &str,
    submodule: Option<&Path>,
    how: Audience,
) -> u8 {
    on(arguments, app, |app| {
        let app = &match meant(app, submodule) {
            Ok(app) => app,
            Err(code) => return code,
        };
        if arguments.by_root
            && let Err(why) = trusted::check(&app.ssh)
        {
            print_error(&format!("{}: {why}", app.name));
            return USAGE;
        }
        let survey = match survey(app) {
            Ok(survey) => survey,
            Err(error) => return failed(app, &error),
        };
        match how {
            Audience::Person => {
                say(&format_survey(app, &survey));
                return u8::from(!is_pinned(&survey));
            }
            Audience::Root { told: true } => print_prompt(&format_survey(app, &survey)),
            Audience::Root { told: false } => {}
        }
        match survey.offered {
            Ok(offered) => {
                let PinTarget {
                    host, port, name, ..
                } = survey.place;
                let seen = OfferedKeys {
                    host,
                    port,
                    name,
                    offered,
                };
                say_json(&serde_json::to_string(&seen).unwrap_or_default());
                OK
            }
            Err(error) => failed(app, &error),
        }
    })
}

/// Gives a copy of the app whose repository is that of the submodule, if one is named.
pub(super) fn meant(app: &App, submodule: Option<&Path>) -> Result<App, u8> {
    let mut meant = app.clone();
    if let Some(path) = submodule {
        let Some(found) = app.submodules.iter().find(|one| one.path == path) else {
            let known: Vec<_> = app
                .submodules
                .iter()
                .map(|one| one.path.display().to_string())
                .collect();
            print_error(&format!(
                "{}: no submodule {} is configured (configured: {})",
                app.name,
                path.display(),
                if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                }
            ));
            return Err(USAGE);
        };
        meant.repository = found.repository.clone();
        meant.ssh = found.ssh.clone();
    }
    Ok(meant)
}

/// `pp-fetcher hostkey pin APP [--fingerprint …] [--submodule …]`.
pub(crate) fn pin(
    arguments: &Arguments,
    app: &str,
    fingerprint: Option<&str>,
    submodule: Option<&Path>,
) -> u8 {
    on(arguments, app, |app| {
        let app = &match meant(app, submodule) {
            Ok(app) => app,
            Err(code) => return code,
        };
        let survey = match survey(app) {
            Ok(survey) => survey,
            Err(error) => return failed(app, &error),
        };
        let confirmed = match fingerprint {
            Some(fingerprint) => fingerprint.to_owned(),
            None => match confirm(app, &survey) {
                Ok(typed) => typed,
                Err(code) => return code,
            },
        };
        let place = survey.place.clone();
        match survey.pin(&confirmed) {
            Ok(change) => say(&pinned(&app.name, &confirmed, &place, &change)),
            Err(error) => return failed(app, &error),
        }
        OK
    })
}

/// Describes the change to the file of pinned keys.
pub(super) fn pinned(app: &str, fingerprint: &str, place: &PinTarget, change: &Change) -> String {
    let (file, name) = (place.file.display(), &place.name);
    let replaced = match change {
        Change::None => return format!("{app}: {fingerprint} is pinned in {file} already\n"),
        Change::Pinned { replaced } => replaced,
    };
    let mut text = format!("{app}: pinned {fingerprint} for {name} in {file}\n");
    for old in replaced {
        let Pinned {
            kind, fingerprint, ..
        } = old;
        text.push_str(&format!(
            "  no longer pinned, since it is not offered: {kind} {fingerprint}\n"
        ));
    }
    text
}

/// Asks a person for the fingerprint. Only the whole fingerprint is accepted: a yes is typed without
/// comparing.
fn confirm(app: &App, survey: &Survey) -> Result<String, u8> {
    if let Err(error) = &survey.offered {
        return Err(failed(app, error));
    }
    print_prompt(&format_survey(app, survey));
    typed(&app.name)
}

/// Reads the fingerprint that a person types on the terminal.
pub(super) fn typed(app: &str) -> Result<String, u8> {
    if !std::io::stdin().is_terminal() {
        print_error(&format!(
            "{app}: nothing was pinned: say which key, as the forge publishes it, with --fingerprint SHA256:\u{2026}"
        ));
        return Err(USAGE);
    }
    print_prompt(
        "Type the fingerprint that the forge publishes to pin it (compare it there, not here): ",
    );
    let mut typed = String::new();
    let read = std::io::stdin().lock().read_line(&mut typed);
    match (read, typed.trim()) {
        (Ok(_), typed) if !typed.is_empty() => Ok(typed.to_owned()),
        _ => {
            print_error(&format!("{app}: nothing was pinned"));
            Err(FAILED)
        }
    }
}

fn failed(app: &App, error: &HostKeyError) -> u8 {
    print_error(&format!("{}: {error}", app.name));
    FAILED
}

/// Whether ssh would accept the offered keys, by a pinned key or perhaps by a pinned certificate authority.
fn is_pinned(survey: &Survey) -> bool {
    let offered = survey.offered.as_deref().unwrap_or_default();
    let mut pins = offered.iter().flat_map(|key| pins(survey, key));
    let authority = |pin: &Pinned| pin.marker == Some(Marker::Authority);
    pins.any(|pin| pin.marker.is_none())
        || (!offered.is_empty() && survey.pinned.iter().any(authority))
}

fn pins<'a>(survey: &'a Survey, key: &'a Offered) -> impl Iterator<Item = &'a Pinned> {
    let of_it = |pin: &&Pinned| pin.fingerprint == key.fingerprint;
    survey.pinned.iter().filter(of_it)
}

fn format_survey(app: &App, survey: &Survey) -> String {
    let place = &survey.place;
    let mut text = format!(
        "{}: {} is {} port {}, known as {}; pinned keys are looked for in {}\n",
        app.name,
        app.repository,
        place.host,
        place.port,
        place.name,
        place.file.display()
    );
    // Writing to a string cannot fail.
    let offered = match &survey.offered {
        Ok(offered) => offered.as_slice(),
        Err(error) => {
            let _ = writeln!(text, "  {error}");
            &[]
        }
    };
    for key in offered {
        let pinned: Vec<_> = pins(survey, key).map(at).collect();
        let pinned = if pinned.is_empty() {
            "not pinned".to_owned()
        } else {
            pinned.join(", ")
        };
        let _ = writeln!(text, "  offered  {key}  {pinned}");
    }
    let is_offered = |pin: &&Pinned| offered.iter().any(|k| k.fingerprint == pin.fingerprint);
    for pin in survey.pinned.iter().filter(|pin| !is_offered(pin)) {
        let gone = match (pin.marker, &survey.offered) {
            (None, Ok(_)) => "; THE SERVER DOES NOT OFFER IT",
            _ => "",
        };
        let _ = writeln!(
            text,
            "  pinned   {} {}  {}{gone}",
            pin.kind,
            pin.fingerprint,
            at(pin)
        );
    }
    if survey.offered.is_ok() && !is_pinned(survey) {
        let _ = writeln!(
            text,
            "  no key of this server is trusted: compare with what the forge publishes, then\n  \
             pp-fetcher hostkey pin {} --fingerprint SHA256:…",
            app.name
        );
    }
    text
}

/// Describes where a key is pinned: `pinned in FILE, line 3`.
fn at(pin: &Pinned) -> String {
    let what = match pin.marker {
        None => "pinned",
        Some(Marker::Authority) => "an authority",
        Some(Marker::Revoked) => "REVOKED",
    };
    format!("{what} in {}, line {}", pin.file.display(), pin.line)
}
