//! Output to the journal: one record for each event, with stable field names.
//!
//! Every record has `PP_EVENT` (`begins`, `step`, `note` or `ended`) and `PP_APP`; the other fields if they
//! apply: `PP_PHASE`, `PP_REVISION` (all its digits), `PP_RELEASE`, `PP_OUTCOME`, `PP_ATTEMPT`,
//! `PP_DURATION_MS`. `MESSAGE` is the sentence that a terminal shows.
//!
//! `PRIORITY`: `err` for a failure or a way back, `debug` for a pass with nothing to do, otherwise `info`.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::stat::fstat;
use tracing::dispatcher::{Dispatch, with_default};
use tracing::{debug, error, info};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::layer::SubscriberExt;

use super::level::is_well;
use super::{PassReporter, PassResult, words};
use crate::deploy::{Reporter, Step, Verdict};
use crate::pass::Pass;
use crate::revision::Revision;
use crate::state::Attempt;
use crate::util::duration::human;

/// The journal that this process's standard output is connected to.
#[derive(Debug, Clone)]
pub(crate) struct Journald(Dispatch);

impl Journald {
    /// Opens the journal, if standard output is connected to it and its socket can be reached.
    #[must_use]
    pub(crate) fn connected() -> Option<Self> {
        if !stdout_is_journal() {
            return None;
        }
        let layer = tracing_journald::layer().ok()?;
        let layer = layer
            .with_field_prefix(Some("PP".into()))
            .with_syslog_identifier("pp-fetcher".into())
            .with_priority_mappings(PriorityMappings {
                info: Priority::Informational,
                debug: Priority::Debug,
                ..PriorityMappings::new()
            });
        // The layer is not set for the whole process: messages of libraries are not part of the promised
        // records.
        Some(Self(tracing_subscriber::registry().with(layer).into()))
    }

    pub(super) fn voice(&self) -> Recorder {
        Recorder {
            journal: self.0.clone(),
            revision: None,
        }
    }
}

/// Whether standard output is connected to the journal. The variable alone does not prove it: a program that
/// a service starts inherits it, whatever the program's output is connected to.
pub(super) fn stdout_is_journal() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    fstat(std::io::stdout().as_fd())
        .is_ok_and(|stdout| is_stream(&named, stdout.st_dev, stdout.st_ino))
}

/// Whether `JOURNAL_STREAM` names the file with this device and inode.
fn is_stream(named: &str, device: u64, inode: u64) -> bool {
    named.split_once(':').is_some_and(|(d, i)| {
        d.parse() == Ok::<u64, std::num::ParseIntError>(device) && i.parse() == Ok(inode)
    })
}

/// Writes the records of one app's pass.
pub(super) struct Recorder {
    journal: Dispatch,
    revision: Option<Revision>,
}

/// The contents of a record.
#[derive(Debug, Default, PartialEq, Eq)]
struct Record<'a> {
    event: &'static str,
    app: &'a str,
    phase: Option<&'static str>,
    revision: Option<String>,
    release: Option<&'a str>,
    attempt: Option<u64>,
    outcome: Option<&'static str>,
    took: Option<Duration>,
    message: String,
}

/// The priority of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordLevel {
    Error,
    Info,
    Debug,
}

impl Recorder {
    fn write(&self, weight: RecordLevel, record: &Record<'_>) {
        let Record {
            event,
            app,
            phase,
            revision,
            release,
            attempt,
            outcome,
            took,
            message,
        } = record;
        let revision = revision.as_deref();
        let duration_ms = took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        macro_rules! write {
            ($level:ident) => {
                $level!(
                    event,
                    app,
                    phase,
                    revision,
                    release,
                    attempt,
                    outcome,
                    duration_ms,
                    "{message}"
                )
            };
        }
        with_default(&self.journal, || match weight {
            RecordLevel::Error => write!(error),
            RecordLevel::Info => write!(info),
            RecordLevel::Debug => write!(debug),
        });
    }

    fn revision(&self) -> Option<String> {
        self.revision.map(|revision| revision.to_string())
    }
}

impl Reporter for Recorder {
    fn begins(&mut self, app: &str, revision: &Revision, what: &str) {
        self.revision = Some(*revision);
        let record = Record {
            event: "begins",
            app,
            revision: self.revision(),
            message: format!("{app}: {what}"),
            ..Record::default()
        };
        self.write(RecordLevel::Info, &record);
    }

    fn step(&mut self, app: &str, step: Step, took: Duration, well: bool) {
        let how = if well { "" } else { " failed" };
        let record = Record {
            event: "step",
            app,
            phase: Some(step.as_str()),
            revision: self.revision(),
            outcome: Some(if well { "good" } else { "failed" }),
            took: Some(took),
            message: format!("{app}: {step}{how}, {}", human(took)),
            ..Record::default()
        };
        self.write(
            if well {
                RecordLevel::Info
            } else {
                RecordLevel::Error
            },
            &record,
        );
    }

    fn note(&mut self, app: &str, text: &str) {
        let record = Record {
            event: "note",
            app,
            revision: self.revision(),
            message: format!("{app}: {text}"),
            ..Record::default()
        };
        self.write(RecordLevel::Info, &record);
    }
}

impl PassReporter for Recorder {
    fn report_result(&mut self, app: &str, ended: &PassResult) {
        let (weight, record) = end(app, ended);
        self.write(weight, &record);
    }
}

/// Makes the record of the end of a pass.
fn end<'a>(app: &'a str, ended: &'a PassResult) -> (RecordLevel, Record<'a>) {
    let attempt: Option<&Attempt> = match ended {
        Ok(Pass::Completed(Verdict::Attempted(ended))) => Some(&ended.attempt),
        _ => None,
    };
    let revision = match ended {
        Ok(Pass::Completed(Verdict::Nothing(revision) | Verdict::Unchanged { revision, .. })) => {
            Some(revision)
        }
        Ok(Pass::Completed(Verdict::Held(quarantine))) => Some(&quarantine.revision),
        _ => attempt.map(|attempt| &attempt.revision),
    };
    let weight = match (is_well(ended), attempt) {
        (false, _) => RecordLevel::Error,
        (true, Some(_)) => RecordLevel::Info,
        (true, None) => RecordLevel::Debug,
    };
    let record = Record {
        event: "ended",
        app,
        revision: revision.map(Revision::to_string),
        release: attempt.and_then(Attempt::release),
        attempt: attempt.map(|attempt| attempt.number),
        outcome: Some(words::outcome(ended)),
        took: attempt.map(Attempt::total),
        message: format!("{app}: {}", words::format_result(app, ended).text()),
        ..Record::default()
    };
    (weight, record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::EndedAttempt;

    #[test]
    fn the_journal_is_told_apart_from_another_file() {
        assert!(is_stream("9:1234", 9, 1234));
        for named in ["9:1235", "8:1234", "9", "", "a:b", "9:1234:"] {
            assert!(!is_stream(named, 9, 1234), "{named}");
        }
    }

    #[test]
    fn a_pass_with_nothing_to_do_is_recorded_for_who_looks_closely() {
        let revision = Revision::parse(&"1".repeat(40)).unwrap();
        let ended = Ok(Pass::Completed(Verdict::Nothing(revision)));
        let (weight, record) = end("todo", &ended);
        let wanted = Record {
            event: "ended",
            app: "todo",
            revision: Some(revision.to_string()),
            outcome: Some("nothing"),
            message: "todo: nothing new, 111111111111 is live".to_owned(),
            ..Record::default()
        };
        assert_eq!((weight, record), (RecordLevel::Debug, wanted));
        assert_eq!(end("todo", &Ok(Pass::Busy)).0, RecordLevel::Debug);
    }

    #[test]
    fn what_went_back_is_an_error_with_all_its_fields() {
        let attempt: EndedAttempt = serde_json::from_str(&format!(
            r#"{{"attempt":7,"started_at":"2026-11-22T10:00:00Z","revision":"{}","previous":null,
                "author":"Ada","subject":"a","outcome":"rolled-back","reason":"probe: 500",
                "release":"r","phases":[{{"phase":"probe","ms":1500}}]}}"#,
            "2".repeat(40)
        ))
        .unwrap();
        let ended = Ok(Pass::Completed(Verdict::Attempted(Box::new(attempt))));
        let (weight, record) = end("todo", &ended);
        assert_eq!(weight, RecordLevel::Error);
        assert_eq!(record.outcome, Some("rolled-back"));
        assert_eq!((record.attempt, record.release), (Some(7), Some("r")));
        assert_eq!(record.took, Some(Duration::from_millis(1500)));
        assert!(
            record.message.ends_with("\n  probe: 500"),
            "{}",
            record.message
        );
    }
}
