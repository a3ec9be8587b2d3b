//! `pp-fetcher hostkey pin` as root: the one thing that root itself does, which is writing a file below /etc.
//!
//! The server is asked by a process that has become the apps' user. What that one says is not believed: the key must
//! have the fingerprint that a person has named, and is written in a line made here. Which file is written the
//! app's own file says, which only root can have written; and so are the file and every directory above it.

use std::ffi::OsString;
use std::path::Path;

use pp_trusted::{Directory, Trust};

use super::args::Arguments;
use super::hostkey::{Seen, meant, pinned, typed};
use super::output::{complain, say};
use super::{FAILED, OK, USAGE};
use crate::account::{Account, keep};
use crate::config::{self, App};
use crate::git::RepositoryUrl;
use crate::hostkey::{HostKeyError, Offered, Place, decide, known, refuse_revoked, trusted};

/// Where root writes, and nowhere else.
const BELOW: &str = "/etc";

/// Where a key may be marked as revoked for the whole host: ssh_config(5), `GlobalKnownHostsFile`.
const REVOKED: [&str; 2] = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];

/// What is asked for.
pub(super) struct Asked<'a> {
    pub(super) app: &'a str,
    pub(super) fingerprint: Option<&'a str>,
    pub(super) submodule: Option<&'a Path>,
}

/// Pins the key of the app's server.
pub(super) fn pin(arguments: &Arguments, account: &Account, asked: &Asked<'_>) -> u8 {
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
                complain(&format!("{}: {why}", asked.app));
            }
            code
        }
    }
}

/// The app, read from files that only root can have written.
fn app(arguments: &Arguments, asked: &Asked<'_>) -> Result<App, u8> {
    let told = |why: String| {
        complain(&format!(
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
            complain(&format!("no app `{}` is configured", asked.app));
            return Err(USAGE);
        }
        Err(error) => {
            complain(&error.to_string());
            return Err(USAGE);
        }
    };
    meant(&app, asked.submodule)
}

fn try_pin(
    arguments: &Arguments,
    account: &Account,
    asked: &Asked<'_>,
    app: &App,
) -> Result<String, (u8, String)> {
    trusted::check(&app.ssh).map_err(|why| (USAGE, why))?;
    let file = app.ssh.known_hosts.clone().unwrap_or_default();
    if !file.starts_with(BELOW) {
        let why = format!(
            "root pins keys in files below {BELOW} alone, and `known_hosts` is {}\n  run this as the user that owns it",
            file.display()
        );
        return Err((USAGE, why));
    }
    let seen = seen(arguments, account, asked)?;
    let wanted = servers(app).map_err(|why| (USAGE, why))?;
    if !wanted.contains(&seen.name.to_ascii_lowercase()) {
        let why = format!(
            "ssh reaches this server as {}, which neither the address nor a `config` of root's says (it is {})\n  name a config of \
             root's under [ssh] that has the alias: what a user's own ~/.ssh/config says decides nothing for root",
            seen.name,
            wanted.join(" or ")
        );
        return Err((USAGE, why));
    }
    let confirmed = match asked.fingerprint {
        Some(fingerprint) => fingerprint.to_owned(),
        None => typed(asked.app).map_err(|code| (code, String::new()))?,
    };
    let proven = |offered: &Offered| offered.proven(&seen.name);
    let place = Place {
        host: seen.host.clone(),
        port: seen.port,
        name: seen.name.clone(),
        others: Vec::new(),
        file,
    };
    let failed = |error: HostKeyError| (FAILED, error.to_string());
    let offered = seen.offered.iter().filter_map(proven).collect();
    // Read and written through one descriptor of the directory, however long a person has thought.
    let (directory, text) =
        trusted::read("known_hosts", &place.file).map_err(|why| (USAGE, why))?;
    let text = text.unwrap_or_default();
    for file in REVOKED {
        let (_, elsewhere) =
            trusted::read("known_hosts", Path::new(file)).map_err(|why| (USAGE, why))?;
        let pinned = known::of_text(&elsewhere.unwrap_or_default(), Path::new(file), &place.name);
        refuse_revoked(&pinned, &confirmed).map_err(failed)?;
    }
    // Of other kinds nothing goes: that the server no longer offers them, only that process says.
    let (new, change) = decide(&place, offered, &text, &confirmed, true).map_err(failed)?;
    if let (Some(new), Some(name)) = (new, place.file.file_name()) {
        directory
            .replace(name, &new)
            .map_err(|why| (FAILED, why.to_string()))?;
    }
    Ok(pinned(asked.app, &confirmed, &place, &change))
}

/// The names that this app's server may have in the file of pinned keys: the address's own, and those that a config of
/// root's gives a host. Which of them it is, ssh says, run by whom root does not believe; so it is none but these.
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

/// What the process that has become `account` has seen of the server. It has told a person the same, unless the
/// fingerprint is known.
fn seen(arguments: &Arguments, account: &Account, asked: &Asked<'_>) -> Result<Seen, (u8, String)> {
    let mut words = arguments.for_another();
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
