//! `pp-fetcher poll`: one pass over each app, for cron and for people.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::thread;

use super::args::{Arguments, Poll};
use super::output::level::{Level, is_well};
use super::output::lines::Lines;
use super::output::{Output, PassResult, json, print_error, words};
use super::{FAILED, OK, USAGE, load, say_no_app, select};
use crate::config::App;
use crate::deploy::deployment::PassError;
use crate::deploy::dry_run::DryRun;
use crate::deploy::{Trigger, Verdict};
use crate::pass::{self, Pass, pass};
use crate::report::passes::{self, Ended};
use crate::report::write;
use crate::repository::connections;
use crate::revision::Revision;
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
                        dry_run(app, arguments, options.json)
                    } else {
                        one(app, arguments, options.trigger(), &output)
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

/// Runs one pass over `app` and reports it to `output`. Gives whether it went well.
pub(super) fn one(app: &App, arguments: &Arguments, trigger: Trigger, output: &Output) -> bool {
    let mut voice = output.voice();
    let ended = pass(app, &arguments.state(), trigger, &mut *voice);
    voice.report_result(&app.name, &ended);
    note(app, arguments, trigger, &ended);
    is_well(&ended)
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
        is_attempt: matches!(ended, Ok(Pass::Completed(Verdict::Attempted(_)))),
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

fn dry_run(app: &App, arguments: &Arguments, json: bool) -> bool {
    let foreseen = pass::dry_run(app, &arguments.state());
    let would_fail = match &foreseen {
        Ok(Pass::Completed(DryRun::Deploy { obstacle, .. })) => obstacle.is_some(),
        Ok(Pass::Completed(DryRun::GoBack(_))) | Err(_) => true,
        Ok(_) => false,
    };
    if json {
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
