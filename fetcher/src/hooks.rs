//! Programs told of an attempt's end. What they do changes nothing: a failing hook is reported.

use std::path::Path;
use std::time::Duration;

use crate::config::App;
use crate::config::duration::{Span, human};
use crate::deploy::build::Facts;
use crate::deploy::{Deployment, Journal};
use crate::process::{Ended, Script};
use crate::state::{Attempt, Outcome};

/// Time a hook has unless told otherwise. It holds the app's lock, so it must not take long.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Time the hooks of `app` have.
#[must_use]
pub fn timeout(app: &App) -> Duration {
    let set = app.hooks.timeout.as_ref();
    set.map_or(TIMEOUT, |Span(duration)| *duration)
}

/// Runs the hook for `attempt`'s outcome, if there is one.
pub fn tell(deployment: &Deployment<'_>, attempt: &Attempt, journal: &mut Journal<'_>) {
    let app = deployment.app;
    let good = attempt.outcome == Outcome::Good;
    let hook = if good {
        &app.hooks.deployed
    } else {
        &app.hooks.failed
    };
    let Some(hook) = hook else { return };
    let layout = &deployment.layout;
    let release = layout.release(attempt.release.as_deref().unwrap_or_default());
    let facts = Facts {
        app,
        layout,
        revision: &attempt.revision,
        previous: attempt.previous.as_ref(),
        release: &release,
    };
    let mut environment = facts.environment();
    environment.insert("PP_OUTCOME".to_owned(), attempt.outcome.as_str().to_owned());
    environment.insert(
        "PP_REASON".to_owned(),
        attempt.reason.clone().unwrap_or_default(),
    );
    let directory = if layout.root().is_dir() {
        layout.root()
    } else {
        Path::new("/")
    };
    let script = Script {
        program: directory.join(hook),
        directory,
        environment,
        timeout: timeout(app),
        log: &deployment.dir.log(attempt.attempt),
    };
    let how = match script.run() {
        Ok(Ended::Well) => return,
        Ok(Ended::Exit(code)) => format!("ended with exit code {code}"),
        Ok(Ended::Signal(signal)) => format!("was ended by signal {signal}"),
        Ok(Ended::TimedOut) => format!("was ended after {} (hooks.timeout)", human(timeout(app))),
        Ok(Ended::Stopped) => "was ended, as pp-fetcher was told to stop".to_owned(),
        Err(error) => format!("was not run: {error}"),
    };
    journal.note(&format!(
        "the hook {} {how}; the deploy is not changed by that (output: {})",
        hook.display(),
        script.log.display()
    ));
}
