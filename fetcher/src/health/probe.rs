//! Looks at an app until [`Watch`] has judged it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pp_protocol::UnitName;

use super::answer::Answer;
use super::fault::{Cause, HealthFailure};
use super::host::Host;
use super::http::Question;
use super::judge::Expected;
use super::unit::UnitUse;
use super::watch::{Observation, Verdict, Watch};
use crate::config::App;

/// Between two looks. Short enough that a deploy does not wait for it, long enough that the
/// looking is no load.
const INTERVAL: Duration = Duration::from_millis(250);

/// How long the bus may be silent before that is a verdict of its own.
const BLIND_FOR: Duration = Duration::from_secs(60);

/// How often the live app is looked at before a deploy, until it is well: what is between two states for
/// a moment is not ill.
const GLANCES: u32 = 3;

/// Between two of these.
const BETWEEN: Duration = Duration::from_secs(1);

/// Waits until `app` is well in `release`.
///
/// # Errors
/// Why it is not.
pub(crate) fn probe(host: &dyn Host, app: &App, release: &Path) -> Result<(), HealthFailure> {
    if units(app).next().is_none() && app.health.url.is_none() {
        // There is nothing to look at, and so nothing to wait for.
        return Ok(());
    }
    let places = ReleaseDirectories::of(app, release);
    let mut watch = Watch::new(places.expected(app));
    let began = host.now();
    host.forget();
    let verdict = loop {
        let elapsed = host.now().saturating_sub(began);
        match look(host, app, INTERVAL) {
            Ok(seen) => match watch.observe(elapsed, seen) {
                Verdict::Well => break Ok(()),
                Verdict::NotWell(illness) => break Err(advised(app, illness)),
                Verdict::Wait => {}
            },
            // systemd not answering says nothing about the app: look again, but not for ever.
            Err(what) if elapsed >= BLIND_FOR.max(app.health.within) => {
                let (key, cause) = ("blind".to_owned(), Cause::Setup);
                break Err(HealthFailure { what, key, cause });
            }
            Err(_) => {}
        }
        // What was waited for an answer was no waste of time.
        let looked = host.now().saturating_sub(began + elapsed);
        host.sleep(INTERVAL.saturating_sub(looked));
    };
    host.forget();
    verdict
}

/// A few looks at `app`, which is to run from `release`: why it is not well, if it is not.
pub(crate) fn probe_once(host: &dyn Host, app: &App, release: &Path) -> Option<HealthFailure> {
    let places = ReleaseDirectories::of(app, release);
    let watch = Watch::new(places.expected(app));
    let began = host.now();
    for n in 1.. {
        host.forget();
        let seen = look(host, app, app.health.timeout);
        host.forget();
        let illness = watch.at_once(&seen.ok()?)?;
        // An app that hangs holds up the deploy that may mend it no longer than one request takes.
        if n == GLANCES || host.now().saturating_sub(began) >= app.health.timeout {
            return Some(illness);
        }
        host.sleep(BETWEEN);
    }
    None
}

/// What of the units' settings stands against any deploy of `app`.
///
/// # Errors
/// The first thing that does, with its mend; or systemd cannot be asked.
pub(crate) fn settings(host: &dyn Host, app: &App, live: Option<&Path>) -> Result<(), String> {
    let current = app.deploy.root.join("current");
    let live = live.and_then(|live| live.canonicalize().ok());
    for unit in units(app) {
        let used = UnitUse {
            current: &current,
            only_reloaded: !app.restart.contains(unit),
            elsewhere: app.elsewhere.contains(unit),
            live: live.as_deref(),
        };
        if let Some(obstacle) = host.unit(unit)?.obstacle(&used) {
            return Err(obstacle);
        }
    }
    Ok(())
}

/// Every unit of `app`, each once.
fn units(app: &App) -> impl Iterator<Item = &UnitName> {
    let reloaded = app.reload.iter();
    let reloaded = reloaded.filter(|unit| !app.restart.contains(unit));
    app.restart.iter().chain(reloaded)
}

/// The directories of the judgement, as the kernel names them.
struct ReleaseDirectories {
    release: PathBuf,
    releases: PathBuf,
    current: PathBuf,
}

impl ReleaseDirectories {
    fn of(app: &App, release: &Path) -> Self {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Self {
            release: real(release),
            releases: real(&app.deploy.root.join("releases")),
            current: app.deploy.root.join("current"),
        }
    }

    fn expected<'a>(&'a self, app: &'a App) -> Expected<'a> {
        let reloaded = app.reload.iter().filter(|u| !app.restart.contains(u));
        Expected {
            release: &self.release,
            releases: &self.releases,
            current: &self.current,
            health: &app.health,
            reloaded: reloaded.map(UnitName::as_str).collect(),
            elsewhere: app.elsewhere.iter().map(UnitName::as_str).collect(),
        }
    }
}

/// With the command that shows what the app itself has to say.
fn advised(app: &App, mut illness: HealthFailure) -> HealthFailure {
    let units: Vec<_> = units(app).map(|unit| format!("-u {unit}")).collect();
    if !units.is_empty() && illness.cause == Cause::App {
        let units = units.join(" ");
        let more = format!("\n  `journalctl {units} -n 50` shows what it said");
        illness.what.push_str(&more);
    }
    illness
}

fn look(host: &dyn Host, app: &App, patience: Duration) -> Result<Observation, String> {
    let units = units(app)
        .map(|unit| host.unit(unit))
        .collect::<Result<Vec<_>, _>>()?;
    let question = Question::of(&app.health);
    let answer = question.as_ref().map(|q| host.ask(q, patience));
    // Who answers matters only where the answer would be taken for good.
    let good =
        matches!(&answer, Some(Answer::Status { status, .. }) if app.health.expect.has(*status));
    let stranger = match &app.health.url {
        Some(url) if good && !units.is_empty() => {
            let own: BTreeSet<u32> = units
                .iter()
                .flat_map(|unit| unit.processes.iter().map(|p| p.pid).chain([unit.main_pid]))
                .collect();
            host.stranger(url, &own)
        }
        _ => None,
    };
    Ok(Observation {
        units,
        answer,
        stranger,
    })
}
