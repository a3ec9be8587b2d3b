//! Which apps share an ssh connection: those that are asked so often that a connection is worth keeping.

use std::collections::HashMap;

use super::ssh_options;
use crate::config::App;
use crate::git::multiplex::{Destination, IDLE, Sharing};

/// The most connections that are kept: each is a process.
const MOST: usize = 16;

/// Shares connections among the polls of the service, until the value is dropped.
#[must_use]
pub(crate) fn between_polls(apps: &[App]) -> Sharing {
    Sharing::begin(worth_it(apps, |app| IDLE.div_duration_f64(app.interval)))
}

/// Shares connections among the apps of one pass, until the value is dropped.
#[must_use]
pub(crate) fn within_a_pass(apps: &[App]) -> Sharing {
    // The first conversation pays for the connection, so two have to need it.
    Sharing::begin(worth_it(apps, |_| 0.5))
}

/// Gives the destinations whose apps have a weight of one together, the heaviest first.
fn worth_it(apps: &[App], weight: impl Fn(&App) -> f64) -> Vec<Destination> {
    let mut weights: HashMap<Destination, f64> = HashMap::new();
    for app in apps {
        if let Some(destination) = Destination::of(&app.repository, &ssh_options(&app.ssh)) {
            *weights.entry(destination).or_default() += weight(app);
        }
    }
    let mut all: Vec<_> = weights
        .into_iter()
        .filter(|(_, weight)| *weight >= 1.0)
        .collect();
    all.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    all.truncate(MOST);
    all.into_iter()
        .map(|(destination, _)| destination)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn app(name: &str, key: &str, interval: &str) -> App {
        let text = format!(
            "repository = \"git@forge.example.org:me/{name}.git\"\ninterval = \"{interval}\"\n[ssh]\nidentity = \"{key}\"\n[deploy]\nroot = \"/srv/{name}\"\n"
        );
        App::new(name, Path::new("x"), toml::from_str(&text).unwrap()).unwrap()
    }

    #[test]
    fn a_connection_is_kept_where_polls_come_before_it_would_be_idle() {
        let kept = |apps: &[App]| worth_it(apps, |app| IDLE.div_duration_f64(app.interval)).len();
        assert_eq!(kept(&[app("a", "/k", "1m")]), 1);
        assert_eq!(kept(&[app("a", "/k", "5m")]), 0);
        assert_eq!(kept(&[app("a", "/k", "5m"), app("b", "/k", "5m")]), 1);
        assert_eq!(kept(&[app("a", "/k", "5m"), app("b", "/other", "5m")]), 0);
    }

    #[test]
    fn in_one_pass_two_apps_share_and_one_does_not() {
        let kept = |apps: &[App]| worth_it(apps, |_| 0.5).len();
        assert_eq!(kept(&[app("a", "/k", "1h"), app("b", "/k", "1h")]), 1);
        assert_eq!(kept(&[app("a", "/k", "1h"), app("b", "/l", "1h")]), 0);
    }
}
