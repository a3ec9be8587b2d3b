//! How an app stands: the one answer that `status`, the status page, the metrics and `why` are made of.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::passes;
use crate::config::App;
use crate::deploy::code::Code;
use crate::release::Layout;
use crate::release::leftover::Leftover;
use crate::release::surroundings::Surroundings;
use crate::revision::Revision;
use crate::schedule::hold::{self, Hold};
use crate::state::{
    EndedAttempt, FailedPolls, Outcome, Pause, Quarantine, Release, State, StateDir, StateError,
    UnderWay,
};

/// One app, as `status --json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    pub(crate) app: String,
    pub(crate) state: Condition,
    pub(crate) live: Option<Release>,
    pub(crate) quarantined: Vec<Quarantine>,
    pub(crate) trouble: Option<FailedPolls>,
    pub(crate) paused: Option<Pause>,
    pub(crate) last: Option<EndedAttempt>,
    /// The release that `current` points at.
    pub(crate) current: Option<String>,
    /// What the running pass does now.
    pub(crate) under_way: Option<UnderWay>,
    /// The files or directories that keep old releases from being removed.
    pub(crate) leftovers: Vec<PathBuf>,
    /// What holds every new revision now: a freeze, or a window that is closed.
    pub(crate) hold: Option<Hold>,
    /// The revision that is known to wait for that.
    pub(crate) waits: Option<Revision>,
    /// The window that is open or opens next, in words.
    pub(crate) window: Option<String>,
    /// What the live release depends on and has changed without a commit since it was made.
    pub(crate) changed: Vec<&'static str>,
    /// The same as `leftovers`, with more of each.
    #[serde(skip)]
    pub(crate) left: Vec<Leftover>,
    /// Why the attempt failed whose way back has failed too.
    #[serde(skip)]
    pub(crate) stuck: Option<String>,
    /// The last attempts, the latest first.
    #[serde(skip)]
    pub(crate) recent: Vec<EndedAttempt>,
    /// Why the app's state cannot be read, so that little else is known.
    pub(crate) error: Option<String>,
}

/// The condition of an app, as one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Condition {
    /// The followed revision is live.
    Ok,
    /// Nothing has been deployed yet.
    New,
    /// The latest revision is held back; an earlier one is live.
    Quarantined,
    /// `current` points at another release than the one that was deployed.
    Switched,
    /// Nothing new is deployed, because a person has paused the app.
    Paused,
    /// Nothing new is deployed, because a person has frozen the app or the host.
    Frozen,
    /// The followed revision waits for a window.
    Waits,
    /// The last polls ended in an error.
    Failing,
    /// The app is not healthy, and there is no way back to a healthy release.
    Stuck,
    /// The state of the app cannot be read.
    Unreadable,
}

/// How many attempts are shown.
const RECENT: usize = 5;

/// Looks at an app, whose state is below `base`. Nothing is changed, and nobody is asked.
pub(crate) fn look(app: &App, base: &Path) -> Status {
    let dir = StateDir::new(base, &app.name);
    let attempts = dir.history().read().unwrap_or_default();
    status_of(app, base, dir.load(), attempts)
}

/// Gives the status of an app whose state and history were read already.
pub(crate) fn status_of(
    app: &App,
    base: &Path,
    state: Result<State, StateError>,
    attempts: Vec<EndedAttempt>,
) -> Status {
    let now = Timestamp::now();
    let dir = StateDir::new(base, &app.name);
    let (state, error) = match state {
        Ok(state) => (state, None),
        Err(error) => (State::default(), Some(error.to_string())),
    };
    // A pause whose time is over holds nothing back.
    let paused = state.paused.filter(|pause| pause.holds(now));
    let state = State { paused, ..state };
    // The stuck attempt need not be the last one: a newer commit may have been refused since.
    let number = state.stuck.as_ref().map(|stuck| stuck.number);
    let stuck = attempts
        .iter()
        .rev()
        .find(|ended| Some(ended.attempt.number) == number);
    let stuck = stuck.and_then(|ended| ended.reason.clone());
    let layout = Layout::new(&app.deploy.root);
    let current = layout.current().ok().flatten();
    let hold = hold::hold(app, &dir.freezes(), now);
    let hold = hold.or_else(|| unchecked(app, base, &state));
    let waits = hold.as_ref().and_then(|_| waiting(&state));
    let last = attempts.last().cloned();
    let condition = match condition(&state, last.as_ref(), current.as_deref()) {
        _ if error.is_some() => Condition::Unreadable,
        calm @ (Condition::Ok | Condition::New | Condition::Quarantined) => match &hold {
            Some(hold) if hold.code == "frozen" => Condition::Frozen,
            Some(_) if waits.is_some() => Condition::Waits,
            _ => calm,
        },
        other => other,
    };
    let left = layout.leftovers();
    Status {
        app: app.name.clone(),
        state: condition,
        changed: changed(app, &dir, &state),
        live: state.live.map(|live| Release {
            surroundings: None,
            ..live
        }),
        quarantined: state.quarantined,
        trouble: state.trouble,
        paused: state.paused,
        last,
        current,
        under_way: dir.under_way().read(),
        leftovers: left.iter().map(|left| left.path.clone()).collect(),
        left,
        hold,
        waits,
        window: hold::window(app, now),
        stuck,
        recent: attempts.into_iter().rev().take(RECENT).collect(),
        error,
    }
}

/// Whether an attempt ended because its time was over, which says nothing about the app.
fn is_of_the_time(ended: &EndedAttempt) -> bool {
    ended
        .attempt
        .code
        .as_deref()
        .is_some_and(Code::is_of_the_time)
}

/// The hold of a revision whose checks at the forge the last poll has waited for.
fn unchecked(app: &App, base: &Path, state: &State) -> Option<Hold> {
    let code = Code::Checks.as_str();
    let (_, told) = state.told.as_ref()?.waits.as_ref()?;
    let note = passes::read(base, &app.name)?;
    if told != code || note.result != "waits" {
        return None;
    }
    let since = state.unchecked.map(|(_, since)| since);
    let within = app.checks.as_ref().map(|checks| checks.within);
    let until = since
        .zip(within)
        .and_then(|(since, within)| since.checked_add(within).ok());
    Some(Hold {
        code,
        what: format!(
            "it waits for its checks at the forge; `pp-fetcher poll {}` shows what the forge says",
            app.name
        ),
        until,
    })
}

/// The revision that a poll has found to wait.
fn waiting(state: &State) -> Option<Revision> {
    let told = state.told.as_ref()?;
    told.waits.as_ref().map(|(revision, _)| *revision)
}

/// What the live release depends on and has changed since; nothing if this user may not know.
fn changed(app: &App, dir: &StateDir, state: &State) -> Vec<&'static str> {
    let before = state
        .live
        .as_ref()
        .and_then(|live| live.surroundings.as_ref());
    let key = dir.key_if_there().ok();
    let now = key.and_then(|key| Surroundings::now(app, &key));
    match (now, before) {
        (Some(now), Some(before)) => now.changed_since(before),
        _ => Vec::new(),
    }
}

fn condition(state: &State, last: Option<&EndedAttempt>, current: Option<&str>) -> Condition {
    let held = |ended: &EndedAttempt| state.quarantine_of(&ended.attempt.revision).is_some();
    let elsewhere = |live: &Release| current.is_some_and(|current| current != live.name);
    let goes_back = state
        .trying
        .iter()
        .any(|trying| trying.going_back.is_some());
    let never_good = state.live.is_none() && last.is_some_and(|l| l.outcome == Outcome::Stuck);
    match last {
        _ if state.stuck.is_some() || goes_back || never_good => Condition::Stuck,
        _ if state.paused.is_some() => Condition::Paused,
        _ if state.trouble.is_some() => Condition::Failing,
        _ if state.live.as_ref().is_some_and(elsewhere) && state.trying.is_none() => {
            Condition::Switched
        }
        Some(ended) if held(ended) => Condition::Quarantined,
        Some(ended) if ended.outcome != Outcome::Good && !is_of_the_time(ended) => {
            Condition::Failing
        }
        _ if state.live.is_none() => Condition::New,
        _ => Condition::Ok,
    }
}

impl Condition {
    /// The condition as one word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::New => "new",
            Self::Quarantined => "quarantined",
            Self::Switched => "switched",
            Self::Paused => "paused",
            Self::Frozen => "frozen",
            Self::Waits => "waits",
            Self::Failing => "failing",
            Self::Stuck => "stuck",
            Self::Unreadable => "unreadable",
        }
    }

    /// Whether a person has to do something about the app.
    pub(crate) fn is_bad(self) -> bool {
        matches!(self, Self::Failing | Self::Stuck | Self::Unreadable)
    }
}
