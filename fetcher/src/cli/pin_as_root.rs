//! `pp-fetcher hostkey pin` as root. It is the only work that root does itself: writing a file below /etc.
//!
//! A process that has become the apps' user asks the server. Its output is not trusted: the key must have the
//! fingerprint that a person has named, and its line for the file is made here. The app's own file names the
//! file that is written; only root may be able to write either of them and every directory above.

use std::ffi::OsString;
use std::path::Path;

use pp_trusted::{Directory, Trust};

use super::args::Arguments;
use super::hostkey::{OfferedKeys, meant, pinned, typed};
use super::output::{print_error, say};
use super::{FAILED, OK, USAGE};
use crate::account::{Account, keep};
use crate::config::{self, App};
use crate::git::RepositoryUrl;
use crate::hostkey::{HostKeyError, Offered, PinTarget, decide, known, refuse_revoked, trusted};

/// The directory below which root writes; nowhere else.
const BELOW: &str = "/etc";

/// Files that may mark a key as revoked for the whole host: ssh_config(5), `GlobalKnownHostsFile`.
const REVOKED: [&str; 2] = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];

/// The arguments of `hostkey pin`.
pub(super) struct PinArguments<'a> {
    pub(super) app: &'a str,
    pub(super) fingerprint: Option<&'a str>,
    pub(super) submodule: Option<&'a Path>,
}

/// Pins the key of the app's server, as root. Gives the exit code.
pub(super) fn pin(arguments: &Arguments, account: &Account, asked: &PinArguments<'_>) -> u8 {
    let app = match app(arguments, asked) {
        Ok(app) => app,
        Err(code) => return code,
    };
    match try_pin(arguments, account, asked, &app) {
        Ok(told) => {
            say(&told);
            OK
        }
        Err((code, why)) => {
            if !why.is_empty() {
                print_error(&format!("{}: {why}", asked.app));
            }
            code
        }
    }
}

/// Reads the app's configuration, from files that only root can write.
fn app(arguments: &Arguments, asked: &PinArguments<'_>) -> Result<App, u8> {
    let told = |why: String| {
        print_error(&format!(
            "{why}\n  root reads a configuration that only root can write; for another, run this as the user of the apps"
        ));
        USAGE
    };
    let directory = arguments.config();
    let open = |path: &Path| {
        let opened = Directory::open(&Trust::default(), path);
        opened.map_err(|why| told(why.to_string()))
    };
    let gone = || told(format!("{} is not there", directory.display()));
    let common = open(&directory)?.ok_or_else(gone)?;
    let apps = open(&directory.join("apps.d"))?.ok_or_else(gone)?;
    let app = match config::one(&common, &apps, &directory, asked.app) {
        Ok(Some(app)) => app,
        Ok(None) => {
            print_error(&format!("no app `{}` is configured", asked.app));
            return Err(USAGE);
        }
        Err(error) => {
            print_error(&error.to_string());
            return Err(USAGE);
        }
    };
    meant(&app, asked.submodule)
}

fn try_pin(
    arguments: &Arguments,
    account: &Account,
    asked: &PinArguments<'_>,
    app: &App,
) -> Result<String, (u8, String)> {
    check_files(app)?;
    let seen = seen(arguments.for_another(), account, asked)?;
    check_server(app, &seen)?;
    let confirmed = match asked.fingerprint {
        Some(fingerprint) => fingerprint.to_owned(),
        None => typed(asked.app).map_err(|code| (code, String::new()))?,
    };
    write(app, &seen, &confirmed)
}

/// Checks that the files of the app's `[ssh]` are root's, and that the pinned keys are below /etc.
pub(super) fn check_files(app: &App) -> Result<(), (u8, String)> {
    trusted::check(&app.ssh).map_err(|why| (USAGE, why))?;
    let file = app.ssh.known_hosts.clone().unwrap_or_default();
    if file.starts_with(BELOW) {
        return Ok(());
    }
    let why = format!(
        "root pins keys in files below {BELOW} alone, and `known_hosts` is {}\n  run this as the user that owns it",
        file.display()
    );
    Err((USAGE, why))
}

/// Checks that the server which was asked is one that the address, or a `config` of root's, names.
pub(super) fn check_server(app: &App, seen: &OfferedKeys) -> Result<(), (u8, String)> {
    let wanted = servers(app).map_err(|why| (USAGE, why))?;
    if wanted.contains(&seen.name.to_ascii_lowercase()) {
        return Ok(());
    }
    let why = format!(
        "ssh reaches this server as {}, which neither the address nor a `config` of root's says (it is {})\n  name a config of \
         root's under [ssh] that has the alias: what a user's own ~/.ssh/config says decides nothing for root",
        seen.name,
        wanted.join(" or ")
    );
    Err((USAGE, why))
}

/// Pins the key with the fingerprint `confirmed`, if the server offers it. Gives what was done, as text.
pub(super) fn write(
    app: &App,
    seen: &OfferedKeys,
    confirmed: &str,
) -> Result<String, (u8, String)> {
    let file = app.ssh.known_hosts.clone().unwrap_or_default();
    let proven = |offered: &Offered| offered.proven(&seen.name);
    let place = PinTarget {
        host: seen.host.clone(),
        port: seen.port,
        name: seen.name.clone(),
        others: Vec::new(),
        file,
    };
    let failed = |error: HostKeyError| (FAILED, error.to_string());
    let offered = seen.offered.iter().filter_map(proven).collect();
    // The file is read and written through one descriptor of its directory, however long the person takes to
    // confirm.
    let (directory, text) =
        trusted::read("known_hosts", &place.file).map_err(|why| (USAGE, why))?;
    let text = text.unwrap_or_default();
    for file in REVOKED {
        let (_, elsewhere) =
            trusted::read("known_hosts", Path::new(file)).map_err(|why| (USAGE, why))?;
        let pinned = known::of_text(&elsewhere.unwrap_or_default(), Path::new(file), &place.name);
        refuse_revoked(&pinned, confirmed).map_err(failed)?;
    }
    // Pinned keys of other kinds stay: that the server no longer offers them is only reported by the process
    // that is not trusted.
    let (new, change) = decide(&place, offered, &text, confirmed, true).map_err(failed)?;
    if let (Some(new), Some(name)) = (new, place.file.file_name()) {
        directory
            .replace(name, &new)
            .map_err(|why| (FAILED, why.to_string()))?;
    }
    Ok(pinned(&app.name, confirmed, &place, &change))
}

/// Gives the names that this app's server may have in the file of pinned keys: the name in the address, and
/// those that a config that only root can write gives a host. Which of them is used is resolved by ssh, which
/// runs in the process that is not trusted; so only these names are accepted.
fn servers(app: &App) -> Result<Vec<String>, String> {
    let RepositoryUrl::Ssh { host, port, .. } = &app.repository else {
        return Err(format!("{} is not reached by ssh", app.repository));
    };
    let (mut hosts, mut ports) = (vec![host.to_ascii_lowercase()], vec![port.unwrap_or(22)]);
    if let Some(config) = &app.ssh.config {
        let (_, text) = trusted::read("config", config)?;
        let text = String::from_utf8_lossy(&text.unwrap_or_default()).to_ascii_lowercase();
        for line in text.lines() {
            let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
            match (
                words.next(),
                words.next().map(|word| word.trim_matches('"')),
            ) {
                (Some("hostname" | "hostkeyalias"), Some(name)) => hosts.push(name.to_owned()),
                (Some("port"), Some(port)) => ports.extend(port.parse::<u16>()),
                _ => {}
            }
        }
    }
    let of = |host: &String| {
        let with = ports.iter().filter(|port| **port != 22);
        let with: Vec<_> = with.map(|port| format!("[{host}]:{port}")).collect();
        // A HostKeyAlias has no port.
        std::iter::once(host.clone())
            .chain(with)
            .collect::<Vec<_>>()
    };
    Ok(hosts.iter().flat_map(of).collect())
}

/// Runs the process that becomes `account`, and gives what it has found out about the server. It also shows
/// this to the person, unless the fingerprint is already named.
///
/// `words` say where the app's configuration is.
pub(super) fn seen(
    mut words: Vec<OsString>,
    account: &Account,
    asked: &PinArguments<'_>,
) -> Result<OfferedKeys, (u8, String)> {
    words.extend(["hostkey", "show", asked.app, "--machine"].map(OsString::from));
    if let Some(submodule) = asked.submodule {
        words.extend(["--submodule".into(), submodule.as_os_str().to_owned()]);
    }
    if asked.fingerprint.is_some() {
        words.push("--silent".into());
    }
    let answer = keep::ask(account, words.into_iter());
    let (answer, code) = answer.map_err(|error| {
        let name = &account.name;
        (
            FAILED,
            format!("cannot start as {name}: {error}; nothing was done"),
        )
    })?;
    if code != OK {
        return Err((code, String::new()));
    }
    let read = serde_json::from_slice(&answer);
    read.map_err(|error| {
        (
            FAILED,
            format!("what ssh has found out cannot be read: {error}"),
        )
    })
}
