//! The app: the restarter, the units, the live release, and what holds deploys back.

use jiff::Timestamp;
use pp_protocol::Client;

use super::{Finding, units};
use crate::config::App;
use crate::deploy::restart::check_permitted;
use crate::health::SystemHost;
use crate::health::probe::{probe_once, settings};
use crate::release::Layout;
use crate::state::State;

pub(super) fn look(app: &App, state: Option<&State>, tell: &mut dyn FnMut(Finding)) {
    let host = match SystemHost::new() {
        Ok(host) => host,
        Err(error) => return tell(Finding::fault("units", format!("cannot start: {error}"))),
    };
    let layout = Layout::new(&app.deploy.root);
    let live = match layout.current() {
        Ok(live) => live,
        Err(error) => return tell(Finding::fault("app", error.to_string())),
    };
    let live = live.map(|name| layout.release(&name));
    let units: Vec<_> = app.restart.iter().chain(&app.reload).collect();
    if units.is_empty() {
        tell(Finding::skipped("restarter", "the app has no units"));
    } else {
        let names: Vec<_> = units.iter().map(|unit| unit.as_str()).collect();
        let names = names.join(", ");
        let permitted = check_permitted(&Client::default(), &host, app);
        let permitted = permitted.map_err(|failure| failure.what);
        tell(Finding::of(
            "restarter",
            permitted.map(|()| format!("it restarts {names} for this user")),
        ));
        let set_up = settings(&host, app, live.as_deref());
        tell(Finding::of(
            "units",
            set_up.map(|()| format!("{names} can run what is deployed")),
        ));
        units::look(app, &host, tell);
    }
    match live {
        None => tell(Finding::skipped("app", "nothing is deployed yet")),
        Some(release) => tell(match probe_once(&host, app, &release) {
            None => Finding::ok("app", format!("{} is well", release.display())),
            Some(illness) => Finding::fault("app", illness.what),
        }),
    }
    if let Some(state) = state {
        held_back(app, state, tell);
    }
}

/// Tells what keeps the app from being deployed although every link holds.
fn held_back(app: &App, state: &State, tell: &mut dyn FnMut(Finding)) {
    let name = &app.name;
    if let Some(stuck) = &state.stuck {
        let reason = stuck.going_back.as_deref().unwrap_or_default();
        tell(Finding::fault(
            "state",
            format!(
                "the way back from {} fails: {reason}\n  pp-fetcher status {name}",
                stuck.revision.short()
            ),
        ));
    }
    if let Some(pause) = state
        .paused
        .as_ref()
        .filter(|pause| pause.holds(Timestamp::now()))
    {
        tell(Finding::warning(
            "state",
            format!("paused: {}\n  pp-fetcher resume {name}", pause.reason),
        ));
    }
    for held in &state.quarantined {
        tell(Finding::warning(
            "state",
            format!(
                "{} is held back: {}\n  pp-fetcher retry {name} tries it again",
                held.revision.short(),
                held.reason
            ),
        ));
    }
}
