//! Why an app is as it is: the last decision, what it rests on, and what would change it.

use jiff::Timestamp;
use serde::Serialize;

use super::passes::PassNote;
use super::standing::Status;
use crate::config::App;
use crate::config::settings::Follow;
use crate::state::{EndedAttempt, Outcome, State};

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Why {
    /// The decision, in a sentence.
    pub decision: String,
    /// When it was made.
    pub at: Option<Timestamp>,
    /// What it rests on: a name and a value each.
    pub rests_on: Vec<(&'static str, String)>,
    /// What would change it.
    pub would_change: Vec<String>,
}

/// What the answer is made of.
pub(crate) struct Facts<'a> {
    pub(crate) app: &'a App,
    pub(crate) state: &'a State,
    pub(crate) status: &'a Status,
    pub(crate) note: Option<&'a PassNote>,
    pub(crate) attempts: &'a [EndedAttempt],
}

impl Facts<'_> {
    /// Says why the last pass did what it did.
    pub(crate) fn last_decision(&self) -> Why {
        let result = self.note.map(|note| note.result.as_str());
        let (decision, would_change) = match result {
            None => (
                "no poll has ended since the host was started, or pp-fetcher updated".to_owned(),
                vec![self.command("poll", "asks now")],
            ),
            Some(result) => (self.decision(result), self.would_change(result)),
        };
        Why {
            decision,
            at: self.note.map(|note| note.at),
            rests_on: self.rests_on(),
            would_change,
        }
    }

    pub(super) fn command(&self, command: &str, what: &str) -> String {
        format!("`pp-fetcher {command} {}` {what}", self.app.name)
    }

    pub(super) fn decision(&self, result: &str) -> String {
        let seen = self
            .note
            .and_then(|note| note.seen)
            .map(|seen| seen.short());
        let seen = seen.unwrap_or_else(|| "what is followed".to_owned());
        let last = self.status.last.as_ref();
        let reason = |text: Option<&str>| {
            let first = text.and_then(|text| text.lines().next());
            first.map(|first| format!(": {first}")).unwrap_or_default()
        };
        match result {
            "nothing" => format!("nothing was to be done: {seen} is live"),
            "unchanged" => {
                format!("nothing was to be done: {seen} changes none of the app's `paths`")
            }
            "held" => {
                let held = self.note.and_then(|note| note.seen);
                let held = held.and_then(|seen| self.state.quarantine_of(&seen));
                format!(
                    "{seen} is held back{}",
                    reason(held.map(|held| held.reason.as_str()))
                )
            }
            "switched" => "nothing was done, as `current` was switched by hand".to_owned(),
            "paused" => "nothing was asked, as a person has paused the app".to_owned(),
            "waiting" => {
                let trouble = self.state.trouble.as_ref();
                format!(
                    "nothing was asked yet, as the last polls failed{}",
                    reason(trouble.map(|trouble| trouble.reason.as_str()))
                )
            }
            "waits" => {
                let hold = self.status.hold.as_ref();
                let hold = hold.map_or("nothing any more: the next poll deploys it", |hold| {
                    hold.what.as_str()
                });
                format!("{seen} waits; {hold}")
            }
            "busy" => "another pass was at work".to_owned(),
            "error" => {
                let trouble = self.state.trouble.as_ref();
                let why = trouble
                    .map(|trouble| trouble.reason.as_str())
                    .or(self.status.error.as_deref());
                format!("the poll failed{}", reason(why))
            }
            _ => {
                let outcome = last.map_or("ended", |last| match last.outcome {
                    Outcome::Good => "was deployed and is live",
                    Outcome::Refused => "was not accepted",
                    Outcome::Failed => "was not deployed",
                    Outcome::RolledBack => "was not well, and was taken back",
                    Outcome::Stuck => "is not well, and there was no way back",
                });
                let why = last.and_then(|last| last.reason.as_deref());
                format!("{seen} {outcome}{}", reason(why))
            }
        }
    }

    pub(super) fn would_change(&self, result: &str) -> Vec<String> {
        let app = &self.app.name;
        let file = self.app.path.display();
        let push = match &self.app.follow {
            Follow::Branch(branch) => format!("a push to {branch}"),
            Follow::Tag(pattern) => format!("a tag of a higher version that matches {pattern}"),
            Follow::Ref(name) => format!("a push to {name}"),
        };
        let mut all = Vec::new();
        match result {
            "nothing" | "good" | "unchanged" => {
                all.push(push);
                if !self.status.changed.is_empty() {
                    all.push(self.command("redeploy", "makes a new release of the same revision"));
                }
            }
            "held" | "refused" | "failed" | "rolled-back" | "stuck" => {
                all.push(format!("{push} of something newer"));
                let held = self.note.and_then(|note| note.seen);
                let held = held.and_then(|seen| self.state.quarantine_of(&seen));
                match (held, &self.status.hold) {
                    (Some(held), _) => {
                        if held.configuration.is_some() {
                            all.push(format!("a change of {file}"));
                        }
                        all.push(self.command("retry", "tries it again"));
                    }
                    (None, Some(hold)) => all.push(format!("the end of this: {}", hold.what)),
                    (None, None) => {
                        all.push("the next poll, which tries it again, ever less often".to_owned());
                    }
                }
                all.push(format!("`pp-fetcher history {app}` shows every attempt"));
            }
            "switched" => all.push(self.command("poll --force", "deploys what is followed")),
            "paused" => all.push(self.command("resume", "ends the pause")),
            "waiting" | "error" => {
                if let Some(trouble) = &self.state.trouble {
                    let next = trouble.next_try(self.app.interval);
                    all.push(format!("a poll after {}", utc(next)));
                }
                all.push(self.command("poll", "asks at once"));
            }
            "waits" => {
                let hold = self.status.hold.as_ref();
                if let Some(until) = self.status.hold.as_ref().and_then(|hold| hold.until) {
                    all.push(format!("{}, when that is over by itself", utc(until)));
                }
                if self
                    .status
                    .hold
                    .as_ref()
                    .is_some_and(|hold| hold.code == "frozen")
                {
                    all.push(format!(
                        "`pp-fetcher thaw {app}`, or `pp-fetcher thaw` for all apps"
                    ));
                }
                let checks = hold.is_some_and(|hold| hold.code == "checks");
                if checks {
                    all.push("the forge, when it says that the checks have succeeded".to_owned());
                } else {
                    all.push(self.command("poll --force", "does not wait"));
                }
            }
            _ => all.push(self.command("poll", "asks now")),
        }
        all
    }

    /// What every decision rests on.
    pub(super) fn rests_on(&self) -> Vec<(&'static str, String)> {
        let (app, state) = (self.app, self.state);
        let mut all = Vec::new();
        let follows = match &app.follow {
            Follow::Branch(branch) => format!("branch {branch}"),
            Follow::Tag(pattern) => format!("the highest version of the tags {pattern}"),
            Follow::Ref(name) => name.clone(),
        };
        all.push(("follows", format!("{follows} of {}", app.repository)));
        if let Some(note) = self.note {
            let seen = note
                .seen
                .map_or_else(|| "not asked".to_owned(), |seen| seen.to_string());
            all.push((
                "there",
                format!("{seen} ({} poll, {})", note.trigger, note.result),
            ));
        }
        let live = state
            .live
            .as_ref()
            .map(|live| format!("{} since {}", live.revision, utc(live.deployed_at)));
        all.push(("live", live.unwrap_or_else(|| "nothing".to_owned())));
        all.extend(self.holds());
        all.extend(self.rules());
        all
    }

    /// What may hold a revision.
    fn holds(&self) -> Vec<(&'static str, String)> {
        let (state, status) = (self.state, self.status);
        let none = || "no".to_owned();
        let mut all = Vec::new();
        let held: Vec<_> = state
            .quarantined
            .iter()
            .map(|held| held.revision.short())
            .collect();
        all.push((
            "held back",
            if held.is_empty() {
                none()
            } else {
                held.join(", ")
            },
        ));
        let paused = status.paused.as_ref().map(|pause| {
            let until = pause.until.map_or_else(
                || "until `resume`".to_owned(),
                |until| format!("until {}", utc(until)),
            );
            format!("{} ({until})", pause.reason)
        });
        all.push(("paused", paused.unwrap_or_else(none)));
        let frozen = status.hold.as_ref().filter(|hold| hold.code == "frozen");
        all.push((
            "frozen",
            frozen.map_or_else(none, |hold| {
                hold.what.trim_start_matches("frozen ").to_owned()
            }),
        ));
        all.push((
            "window",
            status
                .window
                .clone()
                .unwrap_or_else(|| "none, so at any time".to_owned()),
        ));
        let backoff = state.trouble.as_ref().map(|trouble| {
            format!(
                "{} failures in a row since {}",
                trouble.count,
                utc(trouble.since)
            )
        });
        all.push(("backoff", backoff.unwrap_or_else(none)));
        all
    }

    /// What a revision has to be, and the configuration that says so.
    fn rules(&self) -> Vec<(&'static str, String)> {
        let (app, status) = (self.app, self.status);
        let mut all = Vec::new();
        let signers = app
            .allowed_signers
            .as_ref()
            .map(|file| format!("signed by one of {}", file.display()));
        let line = app
            .fast_forward_only
            .then(|| "follows the live one".to_owned());
        let green = app.checks.as_ref().map(|_| "green at the forge".to_owned());
        let policy: Vec<_> = signers.into_iter().chain(line).chain(green).collect();
        all.push((
            "must be",
            if policy.is_empty() {
                "anything".to_owned()
            } else {
                policy.join(", ")
            },
        ));
        let fingerprint = app.fingerprint.get(..12).unwrap_or_default();
        let changed = if status.changed.is_empty() {
            String::new()
        } else {
            format!(
                "; changed since the live release was made: {}",
                status.changed.join(", ")
            )
        };
        all.push(("configuration", format!("{fingerprint}{changed}")));
        all
    }
}

pub(super) fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
