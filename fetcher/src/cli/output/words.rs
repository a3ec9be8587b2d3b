//! The sentences about a pass, the same in every form of output.

use super::PassResult;
use super::style::{TextStyle, Tone};
use crate::deploy::Verdict;
use crate::deploy::dry_run::DryRun;
use crate::pass::Pass;
use crate::release::shared::SharedPathPlan;
use crate::state::{EndedAttempt, Outcome, Pause, Release};
use crate::util::duration::human;
use crate::util::text;

/// A sentence, possibly of several lines; its first words are shown in the colour of its tone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sentence {
    tone: Tone,
    head: String,
    rest: String,
}

impl Sentence {
    fn new(tone: Tone, head: impl Into<String>, rest: impl Into<String>) -> Self {
        Self {
            tone,
            head: head.into(),
            rest: rest.into(),
        }
    }

    /// Gives the sentence as plain text.
    #[must_use]
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.head, self.rest)
    }

    /// Gives the sentence in the colours of `look`.
    #[must_use]
    pub(crate) fn render(&self, look: TextStyle) -> String {
        format!("{}{}", look.paint(self.tone, &self.head), self.rest)
    }
}

/// Describes the result of a pass, or why it failed.
#[must_use]
pub(crate) fn format_result(app: &str, ended: &PassResult) -> Sentence {
    match ended {
        Ok(Pass::Busy) => Sentence::new(Tone::Plain, "", BUSY),
        Ok(Pass::Completed(verdict)) => format_verdict(app, verdict),
        Err(error) => Sentence::new(Tone::Bad, "failed", format!(": {error}")),
    }
}

const BUSY: &str = "another pass is at work, left to it";

/// Gives the word for the result of a pass, for programs.
#[must_use]
pub(crate) fn outcome(ended: &PassResult) -> &'static str {
    match ended {
        Ok(Pass::Busy) => "busy",
        Ok(Pass::Completed(Verdict::Nothing(_))) => "nothing",
        Ok(Pass::Completed(Verdict::Unchanged { .. })) => "unchanged",
        Ok(Pass::Completed(Verdict::Held(_))) => "held",
        Ok(Pass::Completed(Verdict::Switched { .. })) => "switched",
        Ok(Pass::Completed(Verdict::Paused(_))) => "paused",
        Ok(Pass::Completed(Verdict::Waits { .. })) => "waits",
        Ok(Pass::Completed(Verdict::Waiting(_))) => "waiting",
        Ok(Pass::Completed(Verdict::Attempted(ended))) => ended.outcome.as_str(),
        Err(_) => "error",
    }
}

/// Describes the verdict of a pass, in one or a few lines.
#[must_use]
pub(crate) fn format_verdict(app: &str, verdict: &Verdict) -> Sentence {
    match verdict {
        Verdict::Nothing(revision) => Sentence::new(
            Tone::Plain,
            "",
            format!("nothing new, {} is live", revision.short()),
        ),
        Verdict::Unchanged { revision, live } => Sentence::new(
            Tone::Plain,
            "",
            format!(
                "nothing to deploy: {} changes none of `paths`, {} stays live",
                revision.short(),
                live.short()
            ),
        ),
        Verdict::Held(quarantine) => Sentence::new(
            Tone::Held,
            format!("nothing new, {} is held back", quarantine.revision.short()),
            format!(
                " since {}, until something newer comes or `pp-fetcher retry {app}`: {}",
                quarantine.at.strftime("%Y-%m-%d %H:%M UTC"),
                first_line(&quarantine.reason)
            ),
        ),
        Verdict::Switched { live, current } => switched(app, live, current),
        Verdict::Paused(pause) => paused(app, pause),
        Verdict::Waits { revision, hold } => Sentence::new(
            Tone::Held,
            format!("{} waits", revision.short()),
            format!(": {}", hold.what),
        ),
        Verdict::Waiting(trouble) => Sentence::new(
            Tone::Held,
            "not asked again yet",
            format!(
                " after {} failures in a row; a poll that names the app asks at once: {}",
                trouble.count,
                first_line(&trouble.reason)
            ),
        ),
        Verdict::Attempted(ended) => attempted(ended),
    }
}

/// Describes what a pass would do, in one or a few lines.
#[must_use]
pub(crate) fn foreseen(app: &str, foreseen: &DryRun) -> String {
    match foreseen {
        DryRun::GoOn(revision) => {
            format!(
                "would go on with the attempt at {} that was cut short",
                revision.short()
            )
        }
        DryRun::GoBack(revision) => format!(
            "would go on with the way back from {}, which has failed",
            revision.short()
        ),
        DryRun::Nothing(verdict) => {
            format!("would do nothing: {}", format_verdict(app, verdict).text())
        }
        DryRun::Deploy {
            revision,
            obstacle: Some(why),
            ..
        } => {
            format!("would try {} and fail: {why}", revision.short())
        }
        DryRun::Deploy {
            revision,
            live,
            looked,
            shared,
            ..
        } => {
            let live = live
                .as_ref()
                .map_or_else(|| "nothing".to_owned(), |live| live.short());
            let mut told = format!("would deploy {}, {live} is live", revision.short());
            if let Some(ill) = &looked.ill_before {
                told.push_str(&format!("\n  it is not well now: {}", ill.what));
            }
            let remarks = looked.remarks.iter().map(|text| format!("\n  {text}"));
            told.extend(remarks);
            told.extend(
                shared
                    .iter()
                    .map(|will| format!("\n  shared: {}", kept(will))),
            );
            told
        }
    }
}

/// Describes what the next deploy does with a shared path.
fn kept(will: &SharedPathPlan) -> String {
    let path = will.path.display();
    match (will.directory, will.kept) {
        (true, true) => format!("{path}/, a directory that is there"),
        (true, false) => format!("{path}/, a directory; it is made unless the repository has one"),
        (false, true) => format!("{path}, a file that is there"),
        (false, false) => {
            format!(
                "{path}, a file; it is nowhere yet, and not made: the repository or the app has to"
            )
        }
    }
}

/// Describes that `current` was switched by hand.
#[must_use]
pub(crate) fn switched(app: &str, live: &Release, current: &str) -> Sentence {
    Sentence::new(
        Tone::Held,
        format!("nothing was done, `current` leads to {current}"),
        format!(
            " and not to {live}, which pp-fetcher deployed: somebody has switched it by hand\n  \
             `pp-fetcher rollback {app} {live}` goes back to that; `pp-fetcher poll {app} --force` deploys what is \
             followed anew; a newer commit is deployed as ever",
            live = live.name
        ),
    )
}

/// Describes a pause, in one line.
#[must_use]
pub(crate) fn paused(app: &str, pause: &Pause) -> Sentence {
    let until = pause.until.map_or_else(
        || format!("`pp-fetcher resume {app}` ends it"),
        |until| format!("until {}", until.strftime("%Y-%m-%d %H:%M UTC")),
    );
    Sentence::new(
        Tone::Held,
        "paused",
        // In one line: a user who can write the state must not be able to add lines to the output.
        format!(": {} ({until})", text::line(pause.reason.as_bytes())),
    )
}

fn attempted(ended: &EndedAttempt) -> Sentence {
    let attempt = &ended.attempt;
    let (new, total) = (attempt.revision.short(), human(attempt.total()));
    let before = attempt.previous.as_ref().map_or_else(
        || "nothing was live before".to_owned(),
        |old| format!("{} serves on", old.short()),
    );
    let again = attempt
        .previous
        .as_ref()
        .map_or_else(|| "nothing".to_owned(), |old| old.short());
    let reason = ended.reason.as_deref().unwrap_or_default();
    let (head, rest) = match ended.outcome {
        Outcome::Good => ("good", format!("{new} is live after {total}")),
        Outcome::Refused => (
            "refused",
            format!("{new} was not accepted, {before}\n  {reason}"),
        ),
        Outcome::Failed => (
            "failed",
            format!("{new} was not deployed, {before}\n  {reason}"),
        ),
        Outcome::RolledBack => (
            "rolled back",
            format!("{new} was not well, {again} is back ({total})\n  {reason}"),
        ),
        Outcome::Stuck => (
            "STUCK",
            match &attempt.previous {
                Some(_) => format!("{new} is not well and could not be taken back\n  {reason}"),
                None => {
                    format!("{new} is not well, and there is nothing to go back to\n  {reason}")
                }
            },
        ),
    };
    Sentence::new(tone(ended.outcome), head, format!(": {rest}"))
}

/// Gives the tone of an outcome.
#[must_use]
pub(crate) fn tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Good => Tone::Good,
        Outcome::RolledBack => Tone::Held,
        Outcome::Refused | Outcome::Failed | Outcome::Stuck => Tone::Bad,
    }
}

/// Gives the first line of a text.
#[must_use]
pub(crate) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
