//! Looks at an app until [`Watch`] has judged it.

use std::path::Path;
use std::time::Duration;

use super::host::Host;
use super::watch::{Expected, Observation, Verdict, Watch};
use crate::config::App;

/// Between two looks. Short enough that a deploy does not wait for it, long enough that the
/// looking is no load.
const INTERVAL: Duration = Duration::from_millis(250);

/// Longest time one answer may take; an app that needs more is not well.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The same for the first answers. While an answer is waited for the units are not looked at, and
/// behind a socket of systemd's the request to an app that has crashed waits instead of failing.
const FIRST_ANSWERS_WITHIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// How long the bus may be silent before that is a verdict of its own.
const BLIND_FOR: Duration = Duration::from_secs(60);

/// Waits until `app` is well in `release`.
///
/// # Errors
/// Why it is not, in a sentence.
pub fn probe(host: &dyn Host, app: &App, release: &Path) -> Result<(), String> {
    let release = release
        .canonicalize()
        .unwrap_or_else(|_| release.to_owned());
    let mut watch = Watch::new(Expected {
        release: &release,
        status: app.health.expect,
        within: app.health.within,
        steady: app.health.steady,
    });
    let began = host.now();
    let mut patience = FIRST_ANSWERS_WITHIN.into_iter();
    let mut within = patience.next().unwrap_or(ANSWER_WITHIN);
    loop {
        let elapsed = host.now().saturating_sub(began);
        match look(host, app, within) {
            Ok(seen) => {
                if matches!(seen.answer, Some(Err(_))) {
                    within = patience.next().unwrap_or(ANSWER_WITHIN);
                }
                match watch.observe(elapsed, seen) {
                    Verdict::Well => return Ok(()),
                    Verdict::NotWell(why) => return Err(advised(app, &why)),
                    Verdict::Wait => {}
                }
            }
            // systemd not answering says nothing about the app: look again, but not for ever.
            Err(why) if elapsed >= BLIND_FOR.max(app.health.within) => return Err(why),
            Err(_) => {}
        }
        host.sleep(INTERVAL);
    }
}

/// With the command that shows what the app itself has to say.
fn advised(app: &App, why: &str) -> String {
    let units: Vec<_> = app
        .restart
        .iter()
        .map(|unit| format!("-u {unit}"))
        .collect();
    if units.is_empty() {
        why.to_owned()
    } else {
        let units = units.join(" ");
        format!("{why}\n  `journalctl {units} -n 50` shows what it said")
    }
}

fn look(host: &dyn Host, app: &App, within: Duration) -> Result<Observation, String> {
    let units = app
        .restart
        .iter()
        .map(|unit| host.unit(unit))
        .collect::<Result<_, _>>()?;
    let answer = app.health.url.as_ref().map(|url| host.ask(url, within));
    Ok(Observation { units, answer })
}
