//! `pp-fetcher run`: polls every app at its interval, until a signal stops it.
//!
//! - [`schedule`]: which app's poll is due next.
//! - [`sleeper`]: waiting that a signal can end.
//! - [`watchdog`]: reports to systemd whether any pass hangs.

mod schedule;
pub(crate) mod sleeper;
pub(crate) mod watchdog;

use std::hash::{BuildHasher, RandomState};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::config::{App, Config};
use crate::repository::connections;
use crate::stop;
use schedule::Schedule;
use sleeper::Sleeper;
use watchdog::Watchdog;

/// Longest time from the start of the service to the first poll of each app.
const FIRST_WITHIN: Duration = Duration::from_secs(5);

/// The time after which a poll is tried again for which no thread could be started.
const WITHOUT_A_THREAD: Duration = Duration::from_secs(5);

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
    let (watchdog, all_ended) = (Watchdog::default(), Sleeper::default());
    let (tell_us, happened) = mpsc::channel();
    thread::scope(|scope| {
        if let Some(every) = sd_notify::watchdog_enabled() {
            let (watchdog, all_ended) = (&watchdog, &all_ended);
            scope.spawn(move || watchdog.ping(all_ended, every / 2));
        }
        let signal = thread::scope(|scope| {
            let passes = Passes {
                apps,
                watchdog: &watchdog,
                tell_us: tell_us.clone(),
            };
            scope.spawn(move || passes.serve(&happened, poll));
            let signal = signals.forever().next().unwrap_or(SIGTERM);
            if signal != SIGHUP {
                let under_way = "finishing what is under way";
                tell(&[NotifyState::Stopping, NotifyState::Status(under_way)]);
            }
            let _ = tell_us.send(Happened::Signal);
            signal
        });
        all_ended.end();
        signal
    })
}

/// What the thread that keeps the schedule waits for.
enum Happened {
    /// A pass has ended; the app's next one is due after this time.
    Ended(usize, Duration),
    /// A signal ends the schedule.
    Signal,
}

/// The passes of all apps. Each runs in a thread of its own, which ends with the pass: a long build of one app does not
/// delay the polls of another, and an app that waits costs no thread.
struct Passes<'a> {
    apps: &'a [App],
    watchdog: &'a Watchdog,
    tell_us: Sender<Happened>,
}

impl Passes<'_> {
    /// Starts each app's poll when it is due, until a signal comes; then waits for the passes under way.
    fn serve(&self, happened: &Receiver<Happened>, poll: &(impl Fn(&App) -> Duration + Sync)) {
        let mut schedule = Schedule::default();
        for app in 0..self.apps.len() {
            schedule.add(app, Instant::now() + share_of(FIRST_WITHIN));
        }
        thread::scope(|scope| {
            loop {
                while let Some(app) = schedule.take_due(Instant::now()) {
                    let pass = move || self.pass(app, poll);
                    if thread::Builder::new().spawn_scoped(scope, pass).is_err() {
                        // No thread can be had now: the machine has too many.
                        schedule.add(app, Instant::now() + WITHOUT_A_THREAD);
                    }
                }
                let event = match schedule.next() {
                    Some(due) => happened.recv_timeout(due - Instant::now()),
                    None => happened.recv().map_err(|_| RecvTimeoutError::Disconnected),
                };
                match event {
                    Ok(Happened::Ended(app, wait)) => schedule.add(app, Instant::now() + wait),
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(Happened::Signal) | Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        });
    }

    /// Runs one pass of the app with this number.
    fn pass(&self, number: usize, poll: &impl Fn(&App) -> Duration) {
        let Some(app) = self.apps.get(number) else {
            return;
        };
        let interval = self.watchdog.during(app, || poll(app));
        // A random addition of up to a tenth of the interval, so that many hosts do not ask one forge at the
        // same time.
        let wait = interval + share_of(interval / 10);
        let _ = self.tell_us.send(Happened::Ended(number, wait));
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
