//! `pp-fetcher run`: every app at its interval, until told to stop.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use sd_notify::NotifyState;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::args::Arguments;
use super::{FAILED, OK, load, poll};
use crate::config::App;

/// Within this time after the start every app is polled for the first time.
const FIRST_WITHIN: Duration = Duration::from_secs(5);

/// Serves until SIGTERM or SIGINT. A pass under way is finished first.
pub fn run(arguments: &Arguments) -> u8 {
    let config = match load(&arguments.config) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let mut signals = match Signals::new([SIGTERM, SIGINT]) {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("pp-fetcher: signals cannot be received: {error}");
            return FAILED;
        }
    };
    let stop = Stop::default();
    tell(&[
        NotifyState::Ready,
        NotifyState::Status(&status(&config.apps)),
    ]);
    thread::scope(|scope| {
        for app in &config.apps {
            scope.spawn(|| serve(app, arguments, &stop));
        }
        signals.forever().next();
        tell(&[
            NotifyState::Stopping,
            NotifyState::Status("finishing what is under way"),
        ]);
        stop.now();
    });
    OK
}

/// One app, in a thread of its own: another app's long build does not hold it up.
fn serve(app: &App, arguments: &Arguments, stop: &Stop) {
    let mut wait = share_of(FIRST_WITHIN);
    while !stop.within(wait) {
        poll::by_lines(app, arguments, false);
        // Up to a tenth more, so that many hosts do not ask one forge in step.
        wait = app.interval + share_of(app.interval / 10);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    // Not started by systemd, or it does not listen: nothing depends on it.
    let _ = sd_notify::notify(states);
}

fn status(apps: &[App]) -> String {
    if apps.is_empty() {
        return "idle: no app is configured in apps.d".to_owned();
    }
    let names: Vec<_> = apps.iter().map(|app| app.name.as_str()).collect();
    format!("polling {}", names.join(", "))
}

/// A random share of `most`. The seed of a hash map is random enough for that.
fn share_of(most: Duration) -> Duration {
    let thousandths = u32::try_from(RandomState::new().hash_one(0) % 1000).unwrap_or_default();
    most * thousandths / 1000
}

/// Tells every thread to end, once.
#[derive(Default)]
struct Stop {
    told: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn now(&self) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits for this time, or until the end; whether it is the end.
    fn within(&self, time: Duration) -> bool {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(told, time, |told| !*told);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_with_its_time_or_with_the_end() {
        let stop = Stop::default();
        assert!(!stop.within(Duration::from_millis(1)));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| stop.within(Duration::from_secs(60)));
            stop.now();
            assert!(waiting.join().unwrap());
        });
        assert!(stop.within(Duration::from_secs(60)));
    }
}
