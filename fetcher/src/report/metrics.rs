//! Metrics for Prometheus, as a file that node_exporter's textfile collector reads. Names and units follow
//! prometheus.io/docs/practices/naming: seconds, bytes, `_total` for counters, `_info` for a value that is always 1.
//!
//! Counters begin anew with each start of the host, which Prometheus expects of counters. Times are moments, not ages: a
//! file that is not written any more shows itself by them.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use jiff::Timestamp;

use super::App as Facts;
use crate::state::Release;

/// One metric: its name without the prefix, its type, and its help.
struct Metric {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    /// Each with its labels.
    lines: Vec<(Vec<(&'static str, String)>, f64)>,
}

/// Writes the metrics of all apps.
pub(crate) fn render(apps: &[Facts], now: Timestamp) -> String {
    let mut out = String::new();
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    let about = "The version of pp-fetcher that wrote this file.";
    let mut all = vec![
        Metric::one("build_info", about, version, 1.0),
        Metric::one(
            "written_timestamp_seconds",
            "When this file was written.",
            Vec::new(),
            seconds(now),
        ),
    ];
    all.extend(of_states(apps));
    all.extend(of_attempts(apps));
    all.extend(of_holds(apps));
    all.extend(of_passes(apps));
    for metric in all.iter().filter(|metric| !metric.lines.is_empty()) {
        let Metric {
            name, kind, help, ..
        } = metric;
        let _ = writeln!(
            out,
            "# HELP pp_fetcher_{name} {help}\n# TYPE pp_fetcher_{name} {kind}"
        );
        for (labels, value) in &metric.lines {
            let labels: Vec<_> = labels
                .iter()
                .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                .collect();
            let labels = if labels.is_empty() {
                String::new()
            } else {
                format!("{{{}}}", labels.join(","))
            };
            let _ = writeln!(out, "pp_fetcher_{name}{labels} {value}");
        }
    }
    out
}

impl Metric {
    fn new(name: &'static str, kind: &'static str, help: &'static str) -> Self {
        Self {
            name,
            kind,
            help,
            lines: Vec::new(),
        }
    }

    /// A metric of the whole host.
    fn one(
        name: &'static str,
        help: &'static str,
        labels: Vec<(&'static str, String)>,
        value: f64,
    ) -> Self {
        let mut metric = Self::new(name, "gauge", help);
        metric.lines.push((labels, value));
        metric
    }

    /// A metric with one value for each app that has one.
    fn each(
        name: &'static str,
        help: &'static str,
        apps: &[Facts],
        value: impl Fn(&Facts) -> Option<f64>,
    ) -> Self {
        let mut metric = Self::new(name, "gauge", help);
        for facts in apps {
            metric
                .lines
                .extend(value(facts).map(|value| (vec![app(facts)], value)));
        }
        metric
    }
}

fn app(facts: &Facts) -> (&'static str, String) {
    ("app", facts.status.app.clone())
}

fn count(value: usize) -> Option<f64> {
    u32::try_from(value).ok().map(f64::from)
}

fn yes(value: bool) -> Option<f64> {
    Some(f64::from(u8::from(value)))
}

/// What is live, and how the apps stand.
fn of_states(apps: &[Facts]) -> Vec<Metric> {
    let about = "The state of the app, as in `pp-fetcher status`.";
    let mut state = Metric::new("app_state_info", "gauge", about);
    let about = "The revision and the release that are live.";
    let mut live = Metric::new("live_info", "gauge", about);
    for facts in apps {
        let word = facts.status.state.as_str().to_owned();
        state.lines.push((vec![app(facts), ("state", word)], 1.0));
        if let Some(Release { revision, name, .. }) = &facts.status.live {
            let (revision, release) = (revision.to_string(), name.clone());
            let labels = vec![app(facts), ("revision", revision), ("release", release)];
            live.lines.push((labels, 1.0));
        }
    }
    let about = "Whether nobody has to do anything about the app.";
    let well = Metric::each("app_well", about, apps, |facts| {
        yes(!facts.status.state.is_bad())
    });
    let about = "When the live release was found good.";
    let since = Metric::each("live_timestamp_seconds", about, apps, |facts| {
        let live = facts.status.live.as_ref();
        live.map(|live| seconds(live.deployed_at))
    });
    let about = "How many releases are on the disk.";
    let releases = Metric::each("releases", about, apps, |facts| count(facts.releases));
    let about = "How much room the releases took when the last attempt had ended.";
    let bytes = Metric::each("releases_bytes", about, apps, |facts| {
        let note = facts.note.as_ref();
        note.and_then(|note| note.bytes).map(float)
    });
    vec![well, state, live, since, releases, bytes]
}

/// The last attempt of each app.
fn of_attempts(apps: &[Facts]) -> Vec<Metric> {
    let about = "How the last attempt ended, and the code of its failure.";
    let mut last = Metric::new("last_attempt_info", "gauge", about);
    let about = "How long each phase of the last attempt took.";
    let mut phase = Metric::new("last_attempt_phase_seconds", "gauge", about);
    for facts in apps {
        let Some(ended) = &facts.status.last else {
            continue;
        };
        let code = ended.attempt.code.clone().unwrap_or_default();
        let outcome = ended.outcome.as_str().to_owned();
        let labels = vec![app(facts), ("outcome", outcome), ("code", code)];
        last.lines.push((labels, 1.0));
        // A phase that came twice, as the fetch may, counts once: a label must be one value.
        let mut seen = BTreeSet::new();
        let phases = ended.attempt.phases.iter().rev();
        for time in phases.filter(|time| seen.insert(&time.phase)) {
            let took = Duration::from_millis(time.ms).as_secs_f64();
            phase
                .lines
                .push((vec![app(facts), ("phase", time.phase.clone())], took));
        }
    }
    let about = "When the last attempt began.";
    let began = Metric::each("last_attempt_timestamp_seconds", about, apps, |facts| {
        let last = facts.status.last.as_ref();
        last.map(|last| seconds(last.attempt.started_at))
    });
    vec![last, began, phase]
}

/// What holds new revisions.
fn of_holds(apps: &[Facts]) -> Vec<Metric> {
    let frozen = |facts: &Facts| {
        let hold = facts.status.hold.as_ref();
        yes(hold.is_some_and(|hold| hold.code == "frozen"))
    };
    vec![
        Metric::each(
            "held_revisions",
            "How many revisions are held back.",
            apps,
            |facts| count(facts.status.quarantined.len()),
        ),
        Metric::each(
            "paused",
            "Whether a person has paused the app.",
            apps,
            |facts| yes(facts.status.paused.is_some()),
        ),
        Metric::each(
            "frozen",
            "Whether a person has frozen the app or the host.",
            apps,
            frozen,
        ),
        Metric::each(
            "waiting",
            "Whether a revision waits for a window or the end of a freeze.",
            apps,
            |facts| yes(facts.status.waits.is_some()),
        ),
        Metric::each(
            "changed_without_commit",
            "Whether what the live release depends on has changed since.",
            apps,
            |facts| yes(!facts.status.changed.is_empty()),
        ),
    ]
}

/// What the passes since the host's start came to.
fn of_passes(apps: &[Facts]) -> Vec<Metric> {
    let mut passes = Metric::new("passes_total", "counter", "How many passes have ended.");
    let mut failures = Metric::new(
        "failures_total",
        "counter",
        "How many passes have failed, by the code of the failure.",
    );
    let mut attempts = Metric::new(
        "attempts_total",
        "counter",
        "How many attempts have ended, by outcome.",
    );
    for facts in apps {
        let Some(note) = &facts.note else { continue };
        passes.lines.push((vec![app(facts)], float(note.passes)));
        for (code, count) in &note.failures {
            failures
                .lines
                .push((vec![app(facts), ("code", code.clone())], float(*count)));
        }
        for (outcome, count) in &note.attempts {
            attempts.lines.push((
                vec![app(facts), ("outcome", outcome.clone())],
                float(*count),
            ));
        }
    }
    vec![
        passes,
        failures,
        attempts,
        Metric::each(
            "last_pass_timestamp_seconds",
            "When the last pass ended.",
            apps,
            |facts| facts.note.as_ref().map(|note| seconds(note.at)),
        ),
        Metric::each(
            "last_success_timestamp_seconds",
            "When the last pass ended that ended well.",
            apps,
            |facts| facts.note.as_ref().and_then(|note| note.well).map(seconds),
        ),
    ]
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

/// A count as Prometheus has it. Beyond 2^53 it would be rounded, as it would be there.
#[allow(
    clippy::cast_precision_loss,
    reason = "Prometheus has no other numbers"
)]
fn float(count: u64) -> f64 {
    count as f64
}

/// Escapes the value of a label (prometheus.io/docs/instrumenting/exposition_formats).
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
