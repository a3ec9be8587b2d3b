//! `pp-fetcher poll`: one pass, for cron and for people.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::thread;

use super::args::{Arguments, Poll};
use super::output::{Lines, foreseen};
use super::{FAILED, OK, USAGE, json, load, select};
use crate::config::App;
use crate::deploy::{Phase, Reporter, Urge, Verdict};
use crate::pass::{Done, Error, pass, with};
use crate::state::Outcome;
use crate::stop;

/// Most apps worked on at a time: builds are the load, and the apps themselves need the host too.
const AT_ONCE: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// One pass over the named apps, or all.
pub fn poll(arguments: &Arguments, options: &Poll) -> u8 {
    let config = match load(&arguments.config) {
        Ok(config) => config,
        Err(code) => return code,
    };
    if let Err(error) = stop::listen() {
        // Ctrl-C then ends us at once, which the next poll puts right.
        eprintln!("pp-fetcher: signals cannot be received: {error}");
    }
    let broken = !config.broken.is_empty();
    let apps = match select(config, &options.apps) {
        Ok(apps) => apps,
        Err(code) => return code,
    };
    if apps.is_empty() && !broken && !options.json {
        println!(
            "no app is configured in {}",
            arguments.config.join("apps.d").display()
        );
    }
    match (broken, passes(&apps, arguments, options)) {
        (true, _) => USAGE,
        (false, true) => FAILED,
        (false, false) => OK,
    }
}

/// Whether any app failed.
fn passes(apps: &[App], arguments: &Arguments, options: &Poll) -> bool {
    let queue = Mutex::new(apps.iter());
    let failed = Mutex::new(false);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.get().min(apps.len()) {
            scope.spawn(|| {
                loop {
                    let next = lock(&queue).next();
                    let Some(app) = next else { break };
                    if !one(app, arguments, options) {
                        *lock(&failed) = true;
                    }
                }
            });
        }
    });
    *lock(&failed)
}

/// One app's pass; whether it went well.
fn one(app: &App, arguments: &Arguments, options: &Poll) -> bool {
    if options.dry_run {
        return dry_run(app, arguments);
    }
    if options.json {
        let done = pass(app, &arguments.state, options.urge(), &mut Untold);
        println!("{}", json::line(&app.name, &done));
        return well(&done);
    }
    by_lines(app, arguments, options.urge())
}

/// One app's pass, told line by line; whether it went well.
pub(super) fn by_lines(app: &App, arguments: &Arguments, urge: Urge) -> bool {
    let mut lines = Lines::stdout();
    let done = pass(app, &arguments.state, urge, &mut lines);
    tell(app, &lines, done)
}

/// Tells what came of a pass; whether it went well.
pub(super) fn tell(app: &App, lines: &Lines, done: Result<Done<Verdict>, Error>) -> bool {
    let well = well(&done);
    match done {
        Ok(Done::Busy) => lines.line(&app.name, "another pass is at work, left to it"),
        Ok(Done::Came(verdict)) => lines.verdict(&app.name, &verdict),
        Err(error) => lines.line(&app.name, &format!("failed: {error}")),
    }
    well
}

fn well(done: &Result<Done<Verdict>, Error>) -> bool {
    match done {
        Ok(Done::Came(Verdict::Attempted(attempt))) => attempt.outcome == Outcome::Good,
        Ok(_) => true,
        Err(_) => false,
    }
}

fn dry_run(app: &App, arguments: &Arguments) -> bool {
    let lines = Lines::stdout();
    match with(
        app,
        &arguments.state,
        |deployment| Ok(deployment.foresee()?),
    ) {
        Ok(Done::Busy) => lines.line(&app.name, "another pass is at work"),
        Ok(Done::Came(would)) => lines.line(&app.name, &foreseen(&would)),
        Err(error) => {
            lines.line(&app.name, &format!("would fail: {error}"));
            return false;
        }
    }
    true
}

/// Tells nobody: the JSON says it all at the end.
struct Untold;

impl Reporter for Untold {
    fn begins(&mut self, _app: &str, _revision: &str, _subject: &str) {}
    fn step(&mut self, _app: &str, _phase: Phase, _took: std::time::Duration, _well: bool) {}
    fn note(&mut self, _app: &str, _text: &str) {}
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Another app's thread that died is no reason to leave this one alone.
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
