//! `pp-fetcher run`: every app at its interval, until told to stop.
//!
//! - [`rest`]: waiting that can be ended.
//! - [`watchdog`]: whether anything hangs, for systemd.

pub(crate) mod rest;
pub(crate) mod watchdog;

use std::hash::{BuildHasher, RandomState};
use std::thread;
use std::time::Duration;

use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::config::{App, Config};
use crate::stop;
use rest::Rest;
use watchdog::Watchdog;

/// Within this time after the start every app is polled for the first time.
const FIRST_WITHIN: Duration = Duration::from_secs(5);

/// Serves the apps of `config`, polling each with `poll`, until SIGTERM or SIGINT; `reload` reads the
/// configuration again at SIGHUP. A pass under way is finished, or abandoned before its switch.
///
/// # Errors
/// Signals cannot be received.
pub(crate) fn run(
    mut config: Config,
    reload: impl Fn() -> Option<Config>,
    poll: impl Fn(&App) + Sync,
) -> std::io::Result<()> {
    stop::listen()?;
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    tell(&[NotifyState::Ready]);
    loop {
        tell(&[NotifyState::Status(&status(&config))]);
        let signal = until_signal(&config.apps, &mut signals, &poll);
        if signal != SIGHUP {
            return Ok(());
        }
        // A mistake in the new files is told; the old configuration goes on.
        config = reload().unwrap_or(config);
    }
}

/// Serves until the next signal has come and every pass has ended.
fn until_signal(apps: &[App], signals: &mut Signals, poll: &(impl Fn(&App) + Sync)) -> i32 {
    let (rest, watchdog, all_ended) = (Rest::default(), Watchdog::default(), Rest::default());
    thread::scope(|scope| {
        if let Some(every) = sd_notify::watchdog_enabled() {
            let (watchdog, all_ended) = (&watchdog, &all_ended);
            scope.spawn(move || watchdog.ping(all_ended, every / 2));
        }
        let signal = thread::scope(|scope| {
            for app in apps {
                scope.spawn(|| serve(app, &rest, &watchdog, poll));
            }
            let signal = signals.forever().next().unwrap_or(SIGTERM);
            if signal != SIGHUP {
                let under_way = "finishing what is under way";
                tell(&[NotifyState::Stopping, NotifyState::Status(under_way)]);
            }
            rest.end();
            signal
        });
        all_ended.end();
        signal
    })
}

/// One app, in a thread of its own: another app's long build does not hold it up.
fn serve(app: &App, rest: &Rest, watchdog: &Watchdog, poll: &impl Fn(&App)) {
    let mut wait = share_of(FIRST_WITHIN);
    while !rest.ends_within(wait) {
        watchdog.during(app, || poll(app));
        // Up to a tenth more, so that many hosts do not ask one forge in step.
        wait = app.interval + share_of(app.interval / 10);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    // Not started by systemd, or it does not listen: nothing depends on it.
    let _ = sd_notify::notify(states);
}

/// What `systemctl status` shows.
fn status(config: &Config) -> String {
    let names: Vec<_> = config.apps.iter().map(|app| app.name.as_str()).collect();
    let polled = if names.is_empty() {
        "idle: no app to poll in apps.d".to_owned()
    } else {
        format!("polling {}", names.join(", "))
    };
    match config.broken.len() {
        0 => polled,
        1 => format!("{polled}; 1 file has a mistake, see the journal"),
        n => format!("{polled}; {n} files have a mistake, see the journal"),
    }
}

/// A random share of `most`. The seed of a hash map is random enough for that.
fn share_of(most: Duration) -> Duration {
    let thousandths = u32::try_from(RandomState::new().hash_one(0) % 1000).unwrap_or_default();
    most * thousandths / 1000
}
