//! Runs the programs that are notified of an attempt's end. They cannot change the result of the attempt: a
//! failing hook is only reported.

use std::path::Path;

use crate::deploy::build::Facts;
use crate::deploy::{Deployment, StepRecorder};
use crate::process::environment::Environment;
use crate::process::{Script, ScriptEnd, env_file};
use crate::state::{EndedAttempt, Outcome};
use crate::util::duration::human;

/// Runs the hook for the outcome of an attempt, if the app has one.
pub(crate) fn tell(
    deployment: &Deployment<'_>,
    ended: &EndedAttempt,
    recorder: &mut StepRecorder<'_>,
) {
    let app = deployment.app;
    let attempt = &ended.attempt;
    let good = ended.outcome == Outcome::Good;
    let hook = if good {
        &app.hooks.deployed
    } else {
        &app.hooks.failed
    };
    let Some(hook) = hook else { return };
    let layout = &deployment.layout;
    let release = layout.release(&attempt.release);
    let facts = Facts {
        app,
        layout,
        revision: &attempt.revision,
        previous: attempt.previous.as_ref(),
        release: &release,
    };
    let env_files = env_file::read(&app.deploy.env_files).unwrap_or_else(|why| {
        recorder.note(&why);
        Environment::new()
    });
    let mut environment = facts.environment(env_files);
    environment.insert("PP_OUTCOME".to_owned(), ended.outcome.as_str().to_owned());
    environment.insert(
        "PP_REASON".to_owned(),
        ended.reason.clone().unwrap_or_default(),
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
        timeout: app.hooks.timeout,
        log: &deployment.dir.log(attempt.number),
    };
    let how = match script.run() {
        Ok(ScriptEnd::Well) => return,
        Ok(ScriptEnd::Exit(code)) => format!("ended with exit code {code}"),
        Ok(ScriptEnd::Signal(signal)) => format!("was ended by signal {signal}"),
        Ok(ScriptEnd::TimedOut) => format!(
            "was ended after {} (hooks.timeout)",
            human(app.hooks.timeout)
        ),
        Ok(ScriptEnd::Stopped) => "was ended, as pp-fetcher was told to stop".to_owned(),
        Err(error) => format!("was not run: {error}"),
    };
    recorder.note(&format!(
        "the hook {} {how}; the deploy is not changed by that (output: {})",
        hook.display(),
        script.log.display()
    ));
}
