//! `pp-fetcher poll`: one pass, for cron and for people.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::thread;

use super::args::Arguments;
use super::output::Lines;
use super::{FAILED, OK, USAGE, load, select};
use crate::config::App;
use crate::deploy::Verdict;
use crate::pass::{Passed, pass};
use crate::state::Outcome;

/// Most apps worked on at a time: builds are the load, and the apps themselves need the host too.
const AT_ONCE: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// One pass over the named apps, or all.
pub fn poll(arguments: &Arguments, names: &[String]) -> u8 {
    let config = match load(&arguments.config) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let broken = !config.broken.is_empty();
    let apps = match select(config, names) {
        Ok(apps) => apps,
        Err(code) => return code,
    };
    if apps.is_empty() && !broken {
        println!(
            "no app is configured in {}",
            arguments.config.join("apps.d").display()
        );
    }
    let failed = passes(&apps, arguments);
    match (broken, failed) {
        (true, _) => USAGE,
        (false, true) => FAILED,
        (false, false) => OK,
    }
}

/// Whether any app failed.
fn passes(apps: &[App], arguments: &Arguments) -> bool {
    let queue = Mutex::new(apps.iter());
    let failed = Mutex::new(false);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.get().min(apps.len()) {
            scope.spawn(|| {
                while let Some(app) = lock(&queue).next() {
                    if !one(app, arguments) {
                        *lock(&failed) = true;
                    }
                }
            });
        }
    });
    *lock(&failed)
}

/// One app's pass, told line by line; whether it went well.
pub(super) fn one(app: &App, arguments: &Arguments) -> bool {
    let mut lines = Lines::stdout();
    match pass(app, &arguments.state, &mut lines) {
        Ok(Passed::Busy) => {
            lines.line(&app.name, "another pass is at work, left to it");
            true
        }
        Ok(Passed::Came(verdict)) => {
            lines.verdict(&app.name, &verdict);
            match verdict {
                Verdict::Attempted(attempt) => attempt.outcome == Outcome::Good,
                Verdict::Nothing(_) | Verdict::Held(_) => true,
            }
        }
        Err(error) => {
            lines.line(&app.name, &format!("failed: {error}"));
            false
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Another app's thread that died is no reason to leave this one alone.
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
