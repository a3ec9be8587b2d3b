//! The units of this host: those that run the app, what those use of its checkout, and those that update it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::args::Adopt;
use crate::account::Account;
use crate::adopt::look::Facts;
use crate::adopt::units::{self, Service};
use crate::setup::commands::Program;
use crate::util::text::typed;

/// All service units that systemd has loaded.
pub(super) fn all_services() -> Vec<Service> {
    // --all: also those that do not run, such as what a timer starts.
    let words = [
        "show",
        "--all",
        "--property",
        units::PROPERTIES,
        "*.service",
    ];
    units::parse(&Program::Systemctl.answer(&words))
}

/// Whether the unit is one of the app's: one that was named, or without a name one that runs from the checkout.
pub(super) fn is_meant(options: &Adopt, root: &Path, service: &Service) -> bool {
    match options.unit.is_empty() {
        true => units::runs_from(service, root),
        false => options.unit.contains(&service.name),
    }
}

/// Puts the unit that answers requests first, as its restart is the one that users feel, and checks that an adoption can
/// have each of them.
pub(super) fn in_order(
    mut found: Vec<Service>,
    root: &Path,
    account: &Account,
    open: &mut Vec<String>,
) -> Vec<Service> {
    // The one that answers requests first: its restart is the one that users feel.
    found.sort_by_key(|service| {
        let answers =
            units::bound_to(&service.command).is_some() || !service.triggered_by.is_empty();
        !answers
    });
    if found.is_empty() {
        open.push(format!(
            "no running unit works in {}: --unit UNIT says which runs the app",
            root.display()
        ));
    }
    for service in &found {
        if !service.active {
            open.push(format!(
                "{0} does not run: systemctl start {0}",
                service.name
            ));
        }
        if service.user != account.name {
            open.push(format!(
                "{} runs as {}, and the apps of this configuration are {}'s: --user names another",
                service.name,
                if service.user.is_empty() {
                    "root"
                } else {
                    &service.user
                },
                account.name
            ));
        }
    }
    found
}

/// Gives where below the checkout the units work that do not work at its top.
pub(super) fn all_below(services: &[Service], root: &Path) -> BTreeMap<String, PathBuf> {
    let all = services
        .iter()
        .map(|service| (service.name.clone(), units::below(service, root)));
    all.filter(|(_, below)| !below.as_os_str().is_empty())
        .collect()
}

/// Whether the unit may run a script of this host's administrator or users, and not only what a package has brought.
pub(super) fn runs_scripts(unit: &Service) -> bool {
    let packaged = [
        "/bin/",
        "/sbin/",
        "/lib/",
        "/usr/bin/",
        "/usr/sbin/",
        "/usr/lib/",
    ];
    let own = |word: &&String| {
        word.starts_with('/') && !packaged.iter().any(|above| word.starts_with(above))
    };
    unit.uses.iter().any(|word| own(&word))
}

/// What updates the checkout besides cron's own tables is switched off by whoever has set it up.
pub(super) fn pollers(
    facts: &Facts,
    account: &Account,
    others: &[Service],
    open: &mut Vec<String>,
) {
    if facts.own_jobs {
        open.push(format!(
            "{0}'s own crontab updates the checkout: take that line out first, crontab -e -u {0}",
            account.name
        ));
    }
    // The names are the apps' user's word: only those that root has handed over count.
    let found = others
        .iter()
        .filter(|unit| facts.pollers.contains(&unit.name));
    for unit in found {
        let timers = unit.triggered_by.iter();
        let mut started_by: Vec<_> = timers.map(String::as_str).collect();
        if started_by.is_empty() {
            started_by.push(&unit.name);
        }
        open.push(format!(
            "{} updates the checkout: systemctl disable --now {} first",
            unit.name,
            started_by.join(" ")
        ));
    }
}

/// What the units use of the checkout besides working in it: it stays there, if a person says so.
pub(super) fn kept(
    options: &Adopt,
    root: &Path,
    services: &[Service],
    open: &mut Vec<String>,
) -> Vec<(String, PathBuf)> {
    let mut kept = Vec::new();
    for service in services {
        for path in units::used_of(service, root) {
            let mut said = options.keep.iter();
            if !said.any(|keep| path.starts_with(keep.trim_end_matches('/'))) {
                let top = path
                    .components()
                    .next()
                    .map(|top| PathBuf::from(top.as_os_str()))
                    .unwrap_or_default();
                open.push(format!(
                    "{} uses {}/{} of the checkout: --keep {} lets it stay there, until the unit is changed",
                    service.name,
                    root.display(),
                    path.display(),
                    typed(&top)
                ));
            }
            kept.push((service.name.clone(), path));
        }
    }
    kept
}
