//! What a person sees before an adoption.

use std::fmt::Write;

use super::find::Found;
use crate::setup::Plan;

/// The plan as text.
pub(super) fn shown(found: &Found, planned: &Plan) -> String {
    let wanted = &found.wanted;
    let mut text = String::new();
    // Writing to a string cannot fail.
    let mut line = |what: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{what:<12} {value}");
        }
    };
    line(
        "app",
        &format!("{} in {}", wanted.app, wanted.root.display()),
    );
    line("live", &format!("{} of {}", found.commit, found.branch));
    line("repository", &wanted.repository);
    line("units", &found.units.join(", "));
    line(
        "answers at",
        wanted.health_url.as_deref().unwrap_or_default(),
    );
    line(
        "asked as",
        wanted.health_host.as_deref().unwrap_or_default(),
    );
    line("data", &found.sorted.shared.join(", "));
    line("left behind", &found.sorted.left.join(", "));
    for (unit, path) in &found.kept {
        line(
            "stays there",
            &format!("{}, which {unit} uses", path.display()),
        );
    }
    if found.jobs.is_empty() {
        line(
            "switched off",
            "nothing: no poller was found in cron's tables and in units",
        );
    }
    for job in &found.jobs {
        line("switched off", &format!("{}: {}", job.file, job.line));
    }
    if let Some(key) = &found.key {
        line(
            "key",
            &format!("{}, copied to {}", key.display(), wanted.key().display()),
        );
    }
    if let Some(script) = &found.restarts_itself {
        line("build", &format!("{script}, its sudo left out"));
    }
    for file in &planned.files {
        line("file", &file.path.display().to_string());
    }
    line(
        "one restart",
        found.units.first().map_or("", String::as_str),
    );
    text
}
