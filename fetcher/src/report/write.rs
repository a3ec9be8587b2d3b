//! Writes the metrics and the status page, if `[report]` of config.toml names places for them: whole, under another name
//! first. No deploy depends on them; what cannot be written is said once.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, Once, TryLockError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pp_events::host_name;
use serde::Serialize;
use serde_json::Value;

use super::standing::{Status, look};
use super::{App, disk, metrics, page, passes};
use crate::config::settings::Report;
use crate::config::{self, App as Configured};
use crate::release::Layout;
use crate::sanitize::print_error;
use crate::state::EndedAttempt;
use crate::util::file::{self, Durable};

/// The files are not written more often than this, unless an attempt has ended.
const EVERY: Duration = Duration::from_secs(5);

/// Version of the page's JSON.
const SCHEMA: u32 = 1;

/// When the files were last written; whoever writes holds it.
static WRITTEN: Mutex<Option<Instant>> = Mutex::new(None);

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    host: &'a str,
    at: Timestamp,
    apps: Vec<OfApp<'a>>,
}

#[derive(Serialize)]
struct OfApp<'a> {
    #[serde(flatten)]
    status: &'a Status,
    attempts: &'a [EndedAttempt],
    last_pass: Option<&'a passes::PassNote>,
}

/// Writes the files after a pass. `is_urgent`: an attempt has ended.
pub(crate) fn after_pass(report: &Report, configuration: &Path, state: &Path, is_urgent: bool) {
    if report.metrics.is_none() && report.page.is_none() {
        return;
    }
    let mut written = match WRITTEN.try_lock() {
        Ok(written) => written,
        Err(TryLockError::Poisoned(error)) => error.into_inner(),
        // Another thread is writing: it may have read before this pass ended.
        Err(TryLockError::WouldBlock) if !is_urgent => return,
        Err(TryLockError::WouldBlock) => crate::util::sync::lock(&WRITTEN),
    };
    if !is_urgent && written.is_some_and(|at| at.elapsed() < EVERY) {
        return;
    }
    *written = Some(Instant::now());
    // Read anew: the apps of a poll from cron may be some of those that are told of.
    let Ok(config) = config::load(configuration) else {
        return;
    };
    let apps: Vec<App> = config.apps.iter().map(|app| facts(app, state)).collect();
    let now = Timestamp::now();
    let failed = |path: &Path, done: std::io::Result<()>| {
        static ONCE: Once = Once::new();
        if let Err(error) = done {
            ONCE.call_once(|| {
                print_error(&format!(
                    "{} of [report] cannot be written: {error}; no deploy depends on it. The service writes to \
                     /var/lib/pp-status, and elsewhere where a drop-in has ReadWritePaths=",
                    path.display()
                ));
            });
        }
    };
    if let Some(path) = &report.metrics {
        failed(path, replace(path, &metrics::render(&apps, now)));
    }
    if let Some(directory) = &report.page {
        let host = host_name();
        failed(
            directory,
            replace(
                &directory.join("index.html"),
                &page::render(&host, &apps, now),
            ),
        );
        failed(
            directory,
            replace(&directory.join("status.json"), &json(&host, &apps, now)),
        );
    }
}

fn facts(app: &Configured, state: &Path) -> App {
    App {
        status: look(app, state),
        note: passes::read(state, &app.name),
        interval: app.interval,
        releases: Layout::new(&app.deploy.root).on_disk().len(),
    }
}

fn json(host: &str, apps: &[App], at: Timestamp) -> String {
    let document = Document {
        schema: SCHEMA,
        host,
        at,
        apps: apps.iter().map(OfApp::from).collect(),
    };
    let mut document = serde_json::to_value(&document).unwrap_or_default();
    shorten(&mut document);
    let text = serde_json::to_string_pretty(&document).unwrap_or_default();
    format!("{text}\n")
}

/// Cuts each text to its first line: a reason's other lines quote output, which not everybody may read.
fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(end) = text.find('\n') {
                text.truncate(end);
            }
        }
        Value::Array(all) => all.iter_mut().for_each(shorten),
        Value::Object(all) => all.values_mut().for_each(shorten),
        _ => {}
    }
}

impl<'a> From<&'a App> for OfApp<'a> {
    fn from(app: &'a App) -> Self {
        Self {
            status: &app.status,
            attempts: &app.status.recent,
            last_pass: app.note.as_ref(),
        }
    }
}

/// Gives the room that the releases of an app take, if anybody is told.
pub(crate) fn used(app: &Configured) -> Option<u64> {
    app.report.metrics.as_ref()?;
    Some(disk::used(&Layout::new(&app.deploy.root).releases()))
}

/// Replaces a file that everybody may read. A reader sees the one before or this one, whole.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    file::replace(path, ".pp-", text.as_bytes(), 0o644, Durable::No)?;
    sweep(path.parent().unwrap_or(Path::new("/")));
    Ok(())
}

/// Removes what a killed process has left, once it is an hour old.
fn sweep(directory: &Path) {
    let old = |entry: &fs::DirEntry| {
        let modified = entry.metadata().and_then(|found| found.modified());
        modified.is_ok_and(|at| {
            at.elapsed()
                .is_ok_and(|age| age > Duration::from_secs(3600))
        })
    };
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(".pp-") && old(&entry) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
