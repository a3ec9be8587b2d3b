//! Which apps share a connection to their server: those that are asked so often that a connection is worth keeping.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use super::ssh_options;
use crate::config::App;
use crate::git::https::kept::{HttpsConnections, HttpsServer};
use crate::git::multiplex::{Connections, Destination, IDLE};
use crate::util::sync::lock;

/// The most connections of ssh that are kept: each is a process. Of servers over https, which take no process, as many.
const MOST: usize = 16;

/// The connections that conversations of this process share, if it has any.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared {
    pub(super) ssh: Option<Arc<Connections>>,
    pub(super) https: Option<Arc<HttpsConnections>>,
}

static SHARED: Mutex<Shared> = Mutex::new(Shared {
    ssh: None,
    https: None,
});

/// Returns the connections that conversations share now.
pub(super) fn shared() -> Shared {
    lock(&SHARED).clone()
}

/// Has the conversations of this process share connections, until this value is dropped.
#[derive(Debug)]
pub(crate) struct Sharing(());

impl Drop for Sharing {
    fn drop(&mut self) {
        let shared = std::mem::take(&mut *lock(&SHARED));
        drop(shared);
    }
}

/// Shares connections among the polls of the service, until the value is dropped.
#[must_use]
pub(crate) fn between_polls(apps: &[App]) -> Sharing {
    begin(apps, |app| IDLE.div_duration_f64(app.interval))
}

/// Shares connections among the apps of one pass, until the value is dropped.
#[must_use]
pub(crate) fn within_a_pass(apps: &[App]) -> Sharing {
    // The first conversation pays for the connection, so two have to need it.
    begin(apps, |_| 0.5)
}

/// Begins to share connections; without a directory for the sockets of ssh, none over ssh.
fn begin(apps: &[App], weight: impl Fn(&App) -> f64) -> Sharing {
    let ssh = worth_it(apps, by_ssh, &weight);
    let https = worth_it(apps, by_https, &weight);
    *lock(&SHARED) = Shared {
        ssh: (!ssh.is_empty())
            .then(|| Connections::new(ssh).ok())
            .flatten(),
        https: (!https.is_empty()).then(|| HttpsConnections::new(https)),
    };
    Sharing(())
}

fn by_ssh(app: &App) -> Option<Destination> {
    Destination::of(&app.repository, &ssh_options(&app.ssh))
}

fn by_https(app: &App) -> Option<HttpsServer> {
    HttpsServer::of(&app.repository, &app.https)
}

/// Gives the servers whose apps have a weight of one together, the heaviest first.
fn worth_it<K: Eq + Hash>(
    apps: &[App],
    server: impl Fn(&App) -> Option<K>,
    weight: impl Fn(&App) -> f64,
) -> Vec<K> {
    let mut weights: HashMap<K, f64> = HashMap::new();
    for app in apps {
        if let Some(server) = server(app) {
            *weights.entry(server).or_default() += weight(app);
        }
    }
    let mut all: Vec<_> = weights
        .into_iter()
        .filter(|(_, weight)| *weight >= 1.0)
        .collect();
    all.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    all.truncate(MOST);
    all.into_iter().map(|(server, _)| server).collect()
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
        let kept =
            |apps: &[App]| worth_it(apps, by_ssh, |app| IDLE.div_duration_f64(app.interval)).len();
        assert_eq!(kept(&[app("a", "/k", "1m")]), 1);
        assert_eq!(kept(&[app("a", "/k", "5m")]), 0);
        assert_eq!(kept(&[app("a", "/k", "5m"), app("b", "/k", "5m")]), 1);
        assert_eq!(kept(&[app("a", "/k", "5m"), app("b", "/other", "5m")]), 0);
    }

    #[test]
    fn in_one_pass_two_apps_share_and_one_does_not() {
        let kept = |apps: &[App]| worth_it(apps, by_ssh, |_| 0.5).len();
        assert_eq!(kept(&[app("a", "/k", "1h"), app("b", "/k", "1h")]), 1);
        assert_eq!(kept(&[app("a", "/k", "1h"), app("b", "/l", "1h")]), 0);
    }

    #[test]
    fn servers_over_https_count_by_themselves() {
        let app = |name: &str, host: &str| {
            let text = format!(
                "repository = \"https://{host}/{name}.git\"\n[deploy]\nroot = \"/srv/{name}\"\n"
            );
            App::new(name, Path::new("x"), toml::from_str(&text).unwrap()).unwrap()
        };
        let apps = [
            app("a", "one.example"),
            app("b", "one.example"),
            app("c", "two.example"),
        ];
        assert_eq!(worth_it(&apps, by_https, |_| 0.5).len(), 1);
        assert_eq!(worth_it(&apps, by_ssh, |_| 0.5).len(), 0);
    }
}
