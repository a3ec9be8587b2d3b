//! `pp-fetcher run`: polls every app at its interval, until a signal stops it.
//!
//! - [`sleeper`]: waiting between two polls, which a signal can end.
//! - [`watchdog`]: reports to systemd whether any pass hangs.

pub(crate) mod sleeper;
pub(crate) mod watchdog;

use std::hash::{BuildHasher, RandomState};
use std::thread;
use std::time::Duration;

use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::config::{App, Config};
use crate::repository::connections;
use crate::stop;
use sleeper::Sleeper;
use watchdog::Watchdog;

/// Longest time from the start of the service to the first poll of each app.
const FIRST_WITHIN: Duration = Duration::from_secs(5);

/// Serves the apps of `config`: polls each app with `poll`, which gives the time to the next poll, until SIGTERM or
/// SIGINT; `reload` reads the configuration again at SIGHUP. A running pass is finished, or abandoned if it has not
/// reached its switch.
///
/// # Errors
/// Signals cannot be received.
pub(crate) fn run(
    mut config: Config,
    reload: impl Fn() -> Option<Config>,
    poll: impl Fn(&App) -> Duration + Sync,
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
        // A mistake in the new files is reported; the old configuration stays in use.
        config = reload().unwrap_or(config);
    }
}

/// Serves the apps until the next signal has come and every running pass has ended. Gives the signal.
fn until_signal(
    apps: &[App],
    signals: &mut Signals,
    poll: &(impl Fn(&App) -> Duration + Sync),
) -> i32 {
    let _connections = connections::between_polls(apps);
    let (rest, watchdog, all_ended) = (Sleeper::default(), Watchdog::default(), Sleeper::default());
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

/// Serves one app, in a thread of its own: a long build of another app does not delay its polls.
fn serve(app: &App, rest: &Sleeper, watchdog: &Watchdog, poll: &impl Fn(&App) -> Duration) {
    let mut wait = share_of(FIRST_WITHIN);
    while !rest.ends_within(wait) {
        let interval = watchdog.during(app, || poll(app));
        // A random addition of up to a tenth of the interval, so that many hosts do not ask one forge at the
        // same time.
        wait = interval + share_of(interval / 10);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    // Fails if systemd did not start this process or does not listen: nothing depends on the notification.
    let _ = sd_notify::notify(states);
}

/// Makes the status line that `systemctl status` shows.
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

/// Gives a random share of `most`. The random seed of a hash map is good enough for that.
fn share_of(most: Duration) -> Duration {
    let thousandths = u32::try_from(RandomState::new().hash_one(0) % 1000).unwrap_or_default();
    most * thousandths / 1000
}
