//! `pp-fetcher poll`: one pass over each app, for cron and for people.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::thread;

use super::args::Arguments;
use super::output::level::{Level, is_well};
use super::output::lines::Lines;
use super::output::{Output, PassResult, json, print_error, words};
use super::patience::{Until, waiting};
use super::poll_options::Poll;
use super::watch::Watch;
use super::{FAILED, OK, USAGE, load, say_no_app, select};
use crate::config::App;
use crate::deploy::deployment::PassError;
use crate::deploy::dry_run::DryRun;
use crate::deploy::{Trigger, Verdict};
use crate::pass::{self, Pass};
use crate::report::passes::{self, Ended};
use crate::report::write;
use crate::repository::connections;
use crate::revision::Revision;
use crate::state::EndedAttempt;
use crate::stop;
use crate::util::sync::lock;

/// Most apps that are polled at the same time: the build scripts put load on the host, which the apps
/// themselves need too.
const AT_ONCE: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// Runs one pass over each of the named apps, or over all apps. Gives the exit code.
pub(crate) fn poll(arguments: &Arguments, options: &Poll) -> u8 {
    let config = match load(&arguments.config(), &options.apps) {
        Ok(config) => config,
        Err(code) => return code,
    };
    if let Err(error) = stop::listen() {
        // Ctrl-C then ends the process at once; the next poll resumes or undoes the attempt.
        print_error(&format!("signals cannot be received: {error}"));
    }
    let broken = config.broken_of(&options.apps).next().is_some();
    if !options.dry_run && options.apps.is_empty() && !broken {
        passes::forget_others(&arguments.state(), &config.apps);
    }
    let apps = match select(config, &options.apps) {
        Ok(apps) => apps,
        Err(code) => return code,
    };
    let level = Level::from(options.quiet);
    if apps.is_empty() && !broken && !options.json && level == Level::All {
        say_no_app(arguments);
    }
    match (broken, passes(&apps, arguments, options)) {
        (true, _) => USAGE,
        (false, true) => FAILED,
        (false, false) => OK,
    }
}

/// Runs one pass over each of `apps`. Gives whether any app failed.
fn passes(apps: &[App], arguments: &Arguments, options: &Poll) -> bool {
    let output = match options.json {
        true => Output::json(options.quiet.into()),
        false => Output::choose(options.quiet.into()),
    };
    let _connections = connections::within_a_pass(apps);
    let queue = Mutex::new(apps.iter());
    let failed = Mutex::new(false);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.get().min(apps.len()) {
            scope.spawn(|| {
                loop {
                    let next = lock(&queue).next();
                    let Some(app) = next else { break };
                    let went_well = if options.dry_run {
                        dry_run(app, arguments, options)
                    } else {
                        one(app, arguments, options.trigger(), options.until(), &output)
                    };
                    if !went_well {
                        *lock(&failed) = true;
                    }
                }
            });
        }
    });
    if let Some(app) = apps.first().filter(|_| !options.dry_run) {
        // The last passes may have ended right after the files were written.
        write::after_pass(&app.report, &arguments.config(), &arguments.state(), true);
    }
    *lock(&failed)
}

/// Runs one pass over `app` and reports it to `output`. While another process has the app's lock, its pass is waited for
/// `until` then, shown, and reported too. Gives whether the last attempt went well, or the pass if there was none.
pub(super) fn one(
    app: &App,
    arguments: &Arguments,
    trigger: Trigger,
    until: Until,
    output: &Output,
) -> bool {
    let mut voice = output.voice();
    let state = arguments.state();
    let mut watch = Watch::new(&app.name, until);
    let (watched, ended, has_news) =
        match pass::lock(app, &state, |dir| watch.wait(dir, &mut *voice)) {
            Ok(Pass::Completed(locked)) => {
                let watched = watch.ended_attempt(locked.dir(), &mut *voice);
                let revision = watched.as_ref().map(|watched| watched.attempt.revision);
                let watched = watched.map(attempted);
                if let Some(watched) = &watched {
                    voice.report_result(&app.name, watched);
                }
                let ended = pass::pass(locked, app, &state, trigger, &mut *voice);
                let ended = ended.map(Pass::Completed);
                let has_news = revision.is_none_or(|revision| has_news(&ended, revision));
                (watched, ended, has_news)
            }
            Ok(Pass::Busy) => (None, Ok(Pass::Busy), true),
            Err(error) => (None, Err(error), true),
        };
    if has_news {
        voice.report_result(&app.name, &ended);
    }
    note(app, arguments, trigger, &ended);
    // Whoever wants to wait, and was told to stop before the lock was free, has got no poll.
    let was_left = until != Until::Now && matches!(ended, Ok(Pass::Busy));
    let last = watched.as_ref().filter(|_| !is_attempt(&ended));
    is_well(&ended) && last.is_none_or(is_well) && !was_left
}

fn is_attempt(ended: &PassResult) -> bool {
    matches!(ended, Ok(Pass::Completed(Verdict::Attempted(_))))
}

fn attempted(ended: EndedAttempt) -> PassResult {
    Ok(Pass::Completed(Verdict::Attempted(Box::new(ended))))
}

/// Whether a pass says more than the attempt at `revision` right before it: that this is live, or held back.
fn has_news(ended: &PassResult, revision: Revision) -> bool {
    match ended {
        Ok(Pass::Completed(Verdict::Nothing(live))) => *live != revision,
        Ok(Pass::Completed(Verdict::Held(held))) => held.revision != revision,
        _ => true,
    }
}

/// Notes what a pass came to, and writes the files about all apps.
pub(super) fn note(app: &App, arguments: &Arguments, trigger: Trigger, ended: &PassResult) {
    if matches!(ended, Ok(Pass::Busy)) {
        return;
    }
    let mut note = note_of(trigger, ended);
    if note.is_attempt {
        note.bytes = write::used(app);
    }
    passes::note(&arguments.state(), app, &note);
    let (configuration, state) = (arguments.config(), arguments.state());
    write::after_pass(&app.report, &configuration, &state, note.is_attempt);
}

/// What is noted of a pass.
fn note_of(trigger: Trigger, ended: &PassResult) -> Ended {
    let (seen, code) = match ended {
        Ok(Pass::Completed(verdict)) => (seen(verdict), code(verdict)),
        Err(pass::Error::Pass(PassError::Step(failure))) => {
            (None, Some(failure.code.as_str().to_owned()))
        }
        Err(pass::Error::State(_) | pass::Error::Pass(PassError::State(_))) => {
            (None, Some("state".to_owned()))
        }
        _ => (None, None),
    };
    Ended {
        trigger,
        result: words::outcome(ended),
        is_attempt: is_attempt(ended),
        is_well: match ended {
            Ok(Pass::Completed(Verdict::Waiting(_))) => None,
            _ => Some(is_well(ended)),
        },
        code,
        seen,
        bytes: None,
    }
}

/// The revision that the pass has found to be followed.
fn seen(verdict: &Verdict) -> Option<Revision> {
    match verdict {
        Verdict::Nothing(revision)
        | Verdict::Unchanged { revision, .. }
        | Verdict::Waits { revision, .. } => Some(*revision),
        Verdict::Held(quarantine) => Some(quarantine.revision),
        Verdict::Switched { live, .. } => Some(live.revision),
        Verdict::Attempted(ended) => Some(ended.attempt.revision),
        Verdict::Paused(_) | Verdict::Waiting(_) => None,
    }
}

fn code(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Attempted(ended) => ended.attempt.code.clone(),
        _ => None,
    }
}

fn dry_run(app: &App, arguments: &Arguments, options: &Poll) -> bool {
    let again = waiting(&app.name, options.until());
    let foreseen = pass::dry_run(app, &arguments.state(), again);
    let would_fail = match &foreseen {
        Ok(Pass::Completed(DryRun::Deploy { obstacle, .. })) => obstacle.is_some(),
        Ok(Pass::Completed(DryRun::GoBack(_))) | Err(_) => true,
        Ok(_) => false,
    };
    if options.json {
        json::foretold(&app.name, &foreseen);
        return !would_fail;
    }
    let lines = Lines::stdout();
    match &foreseen {
        Ok(Pass::Busy) => lines.line(&app.name, "would do nothing: another pass is at work"),
        Ok(Pass::Completed(would)) => lines.line(&app.name, &words::foreseen(&app.name, would)),
        Err(error) => lines.line(&app.name, &format!("would fail: {error}")),
    }
    !would_fail
}
