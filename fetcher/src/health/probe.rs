//! The probe: observes an app until [`Watch`] has judged the app as well or not well.

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

/// The time between two observations. Short enough not to delay a deploy, long enough to be no load on the
/// host.
const INTERVAL: Duration = Duration::from_millis(250);

/// How long systemd may fail to answer before that failure itself becomes the verdict.
const BLIND_FOR: Duration = Duration::from_secs(60);

/// Most observations of the live app before a deploy, until one finds it well: an app that is between two
/// states for a moment is not ill.
const GLANCES: u32 = 3;

/// The time between two observations of the live app before a deploy.
const BETWEEN: Duration = Duration::from_secs(1);

/// Waits until `app` is well in `release`.
///
/// # Errors
/// The reason why the app is not well.
pub(crate) fn probe(host: &dyn Host, app: &App, release: &Path) -> Result<(), HealthFailure> {
    if units(app).next().is_none() && app.health.url.is_none() {
        // An app without units and without a health URL has nothing to observe or to wait for.
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
            // A systemd that does not answer says nothing about the app: look again, but not for ever.
            Err(what) if elapsed >= BLIND_FOR.max(app.health.within) => {
                let (key, cause) = ("blind".to_owned(), Cause::Setup);
                break Err(HealthFailure { what, key, cause });
            }
            Err(_) => {}
        }
        // The time spent on waiting for the health URL's answer counts as part of the interval.
        let looked = host.now().saturating_sub(began + elapsed);
        host.sleep(INTERVAL.saturating_sub(looked));
    };
    host.forget();
    verdict
}

/// Observes `app`, which is to run from `release`, a few times; gives why the app is not well, if it is not.
pub(crate) fn probe_once(host: &dyn Host, app: &App, release: &Path) -> Option<HealthFailure> {
    let places = ReleaseDirectories::of(app, release);
    let watch = Watch::new(places.expected(app));
    let began = host.now();
    for n in 1.. {
        host.forget();
        let seen = look(host, app, app.health.timeout);
        host.forget();
        let illness = watch.at_once(&seen.ok()?)?;
        // An app that hangs delays the deploy that may mend it no longer than the timeout of one request.
        if n == GLANCES || host.now().saturating_sub(began) >= app.health.timeout {
            return Some(illness);
        }
        host.sleep(BETWEEN);
    }
    None
}

/// Checks the units' settings for an obstacle to any deploy of `app`.
///
/// # Errors
/// The first obstacle, with its remedy; or systemd cannot be asked.
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

/// Gives every unit of `app`, each once.
fn units(app: &App) -> impl Iterator<Item = &UnitName> {
    let reloaded = app.reload.iter();
    let reloaded = reloaded.filter(|unit| !app.restart.contains(unit));
    app.restart.iter().chain(reloaded)
}

/// The directories that the judgement compares with, the releases' without symbolic links, as the kernel names
/// them.
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

/// Adds to the failure the `journalctl` command that shows the app's own output.
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
    // The process that answers is looked for only if the answer has an expected status.
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
