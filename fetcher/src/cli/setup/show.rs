//! What a person sees of a plan.

use crate::setup::apply::Found;
use crate::setup::{FileUse, Plan, PlannedFile, Wanted};

/// Gives the plan as text: every file that changes with its whole content, and everything else that is done.
#[must_use]
pub(super) fn plan(wanted: &Wanted, plan: &Plan, found: &[(PlannedFile, Found)]) -> String {
    let owner = &wanted.owner;
    let mut text = String::new();
    for (path, mode) in &plan.directories {
        text.push_str(&format!(
            "directory {} of {}:{}, mode {mode:o}, unless it is there\n",
            path.display(),
            owner.user,
            owner.group
        ));
    }
    if let Some(key) = &plan.key {
        text.push_str(&format!(
            "deploy key {} (ed25519) of {}, unless it is there\n",
            key.display(),
            owner.user
        ));
    }
    for (file, found) in found {
        let path = file.path.display();
        let state = match found {
            Found::Same => {
                text.push_str(&format!("file {path} is as it is to be\n"));
                continue;
            }
            Found::Older => " (replaces what setup wrote earlier)",
            Found::Nothing | Found::Changed | Found::Foreign => "",
        };
        text.push_str(&format!("file {path}{state}:\n"));
        for line in file.text.lines() {
            text.push_str(&format!("    {line}\n").replace("    \n", "\n"));
        }
    }
    for step in steps(wanted, found) {
        text.push_str(&format!("then {step}\n"));
    }
    text
}

/// What is done once the files are there.
fn steps(wanted: &Wanted, found: &[(PlannedFile, Found)]) -> Vec<String> {
    let changes = |used: FileUse| {
        let changed =
            |(file, found): &&(PlannedFile, Found)| file.used_by == used && *found != Found::Same;
        found.iter().any(|one| changed(&one))
    };
    let service = wanted.owner.service();
    let mut steps = Vec::new();
    if changes(FileUse::Unit) || changes(FileUse::ServiceDropIn) {
        steps.push("systemctl daemon-reload".to_owned());
    }
    let units = found
        .iter()
        .filter(|(file, _)| file.used_by == FileUse::Unit);
    for (file, _) in units {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        steps.push(format!(
            "systemctl enable {name} (the first deploy starts it)"
        ));
    }
    if changes(FileUse::Site) {
        steps.push(
            "a link in /etc/nginx/sites-enabled, nginx -t, systemctl reload nginx".to_owned(),
        );
    }
    if wanted.by_ssh {
        steps.push(
            "the server's host key in /etc/pp-fetcher/known_hosts, if it is the confirmed one (before the app's file)".to_owned(),
        );
    }
    steps.push(match (wanted.owner.own, changes(FileUse::ServiceDropIn)) {
        (true, _) => format!("systemctl enable --now {service}"),
        (false, true) => format!("systemctl restart {service}"),
        (false, false) => format!("systemctl reload {service}"),
    });
    steps
}
