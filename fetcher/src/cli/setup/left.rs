//! What is left for a person to do after a set-up.

use super::make::Made;
use crate::config::App;
use crate::git::RepositoryUrl;
use crate::hostkey::published;
use crate::setup::registration;
use crate::setup::{Owner, Wanted};

/// How a user of its own comes to have units restarted.
pub(in crate::cli) fn reach_restarter(owner: &Owner) -> String {
    format!(
        "let {0} reach the restarter: adduser {0} pp-callers, and see pp-restarter(8), \"Apps with users of their own\"",
        owner.user
    )
}

/// How the app comes to be polled, where no service runs.
pub(in crate::cli) fn have_it_polled(owner: &Owner) -> String {
    format!(
        "let something poll: systemctl enable --now {}, or a line of cron (/etc/cron.d/pp-fetcher)",
        owner.service()
    )
}

/// Gives what is left to do, numbered, and what happens then.
pub(super) fn text(wanted: &Wanted, app: &App, made: &Made) -> String {
    let mut steps = Vec::new();
    if let (Some(key), RepositoryUrl::Ssh { host, path, .. }) = (&made.public_key, &app.repository)
    {
        let place = registration::place(published::forge_of_alias(host).unwrap_or(host), path);
        steps.push(format!(
            "register this deploy key, {}, at {}\n   \n     {key}\n",
            place.read_only, place.page
        ));
    }
    for unit in &made.missing_units {
        steps.push(format!(
            "write the unit {unit}: its WorkingDirectory= is {}/current",
            wanted.root.display()
        ));
    }
    if !made.reaches_restarter {
        steps.push(reach_restarter(&wanted.owner));
    }
    if !made.polls {
        steps.push(have_it_polled(&wanted.owner));
    }
    let mut text = String::from("\nAll is made.");
    if steps.is_empty() {
        text.push_str(" Nothing is left to do.\n");
    } else {
        text.push_str(" Left to do:\n");
    }
    for (at, step) in steps.iter().enumerate() {
        text.push_str(&format!("{}. {step}\n", at + 1));
    }
    if made.polls {
        text.push_str(&format!(
            "The service polls {} already, and deploys it within two minutes of {}. To watch: journalctl -fu {}\n",
            wanted.app,
            match made.public_key {
                Some(_) => "the key's registration",
                None => "now",
            },
            wanted.owner.service()
        ));
    }
    text
}
