//! Detects a pass that hangs: systemd is notified only while no pass takes longer than all its own time-outs
//! together.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use super::sleeper::Sleeper;
use crate::config::App;
use crate::util::sync::lock;

/// What a pass may take in addition to its scripts, fetches and probes: restarts of the new and the previous
/// release at 200 s each, waiting for the restarter's limit, and as much again.
const BESIDE: Duration = Duration::from_secs(45 * 60);

/// The running passes by app, each with the moment by which it must have ended.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    under_way: Mutex<HashMap<String, Instant>>,
}

impl Watchdog {
    /// Runs `work` for `app`, and watches that it does not take too long. Gives its result.
    pub(crate) fn during<T>(&self, app: &App, work: impl FnOnce() -> T) -> T {
        let scripts = app.deploy.build_timeout + app.hooks.timeout;
        let most = scripts + fetches(app) + looks(app) + BESIDE;
        self.passes()
            .insert(app.name.clone(), Instant::now() + most);
        let result = work();
        self.passes().remove(&app.name);
        result
    }

    /// Notifies systemd at the interval `every` that no pass hangs, as long as that is so, until `rest` is
    /// ended.
    pub(crate) fn ping(&self, rest: &Sleeper, every: Duration) {
        while !rest.ends_within(every) {
            if self.is_alive(Instant::now()) {
                let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            }
        }
    }

    fn is_alive(&self, now: Instant) -> bool {
        self.passes().values().all(|by| now < *by)
    }

    fn passes(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        lock(&self.under_way)
    }
}

/// Gives the longest time for the fetches of a pass: one connection for the app and one for each submodule,
/// each with a time-out of its own.
fn fetches(app: &App) -> Duration {
    let servers = u32::try_from(app.submodules.len()).unwrap_or(u32::MAX);
    app.fetch.timeout.saturating_mul(servers.saturating_add(1))
}

/// Gives the longest time for the probes of the new and the previous release, and of the look at the live app
/// before the attempt, in which at most two requests hang.
fn looks(app: &App) -> Duration {
    2 * (app.health.within + app.health.steady + app.health.timeout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_pass_that_outlasts_its_time_outs_is_not_well() {
        let text = "repository = \"f:x\"\n[deploy]\nroot = \"/srv/x\"\nbuild_timeout = \"1s\"\n";
        let app = App::new("x", Path::new("x"), toml::from_str(text).unwrap()).unwrap();
        let watchdog = Watchdog::default();
        watchdog.during(&app, || {
            let now = Instant::now();
            assert!(watchdog.is_alive(now + BESIDE));
            assert!(!watchdog.is_alive(now + BESIDE + Duration::from_secs(3600)));
        });
        assert!(watchdog.is_alive(Instant::now() + Duration::from_secs(360_000)));
    }
}
