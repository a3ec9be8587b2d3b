//! Writes structured records to the journal, one for each decision and one for each outcome.
//!
//! Every record has the field `PP_EVENT`. The other fields are, as far as they apply, `PP_UID`, `PP_GID`,
//! `PP_PID`, `PP_UNIT`, `PP_VERB`, `PP_VERDICT`, `PP_REASON`, `PP_ORDER`, `PP_JOB`, `PP_REFUSAL`,
//! `PP_ACTIVE`, `PP_SUB`, `PP_RESULT`, `PP_MAIN_PID`, `PP_DURATION_MS`, `PP_TIMES`. These names are stable.
//!
//! | `PP_EVENT` | written by | says |
//! |---|---|---|
//! | `decision` | front | which caller asked for what, and whether the request was allowed |
//! | `outcome` | front | the result of an allowed request, as answered to the caller (or to a caller that has left) |
//! | `begun` | monitor | what systemd is about to be asked to do |
//! | `job` | monitor | the result of what systemd was asked to do |
//! | `limited` | monitor | a unit's limit was reached; written once until the limit allows the unit again |
//! | `repeated` | front | how many records were left out, as they equal the one before or are too many |
//! | `policy`, `sandbox`, `start`, `stop` | both | the state of the service |

pub(crate) mod log_limiter;

use std::fmt;
use std::time::Duration;

use pp_protocol::{Report, UnitName, Verb};
use tracing::{error, info, warn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::pair::{Order, millis};
use crate::policy::Caller;

/// Opens the journal; to be called before any sandbox is entered. Without a journal (outside of systemd) the
/// program reports that once on its standard error, and goes on.
pub fn open() {
    match tracing_journald::layer() {
        Ok(layer) => {
            let layer = layer.with_field_prefix(Some("PP".into()));
            let layer = layer.with_syslog_identifier("pp-restarter".into());
            let _ = tracing_subscriber::registry().with(layer).try_init();
        }
        Err(error) => eprintln!("pp-restarter: there is no journal to write to: {error}"),
    }
}

/// Returns whether records reach a journal.
#[must_use]
pub fn is_open() -> bool {
    tracing::dispatcher::has_been_set()
}

/// What a request was about, as far as the request could be read. Its text is safe to write to the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    /// The verb of the request.
    pub verb: Option<Verb>,
    /// The unit of the request: a well-formed name as it is; of any other text its length and its escaped
    /// beginning.
    pub unit: Option<String>,
}

impl Subject {
    /// Creates the subject of a request to do `verb` to `unit`, a name that the client chose.
    #[must_use]
    pub fn new(verb: Verb, unit: &str) -> Self {
        let shown = match UnitName::parse(unit) {
            Ok(name) => name.to_string(),
            Err(_) => escaped(unit.as_bytes()),
        };
        Self {
            verb: Some(verb),
            unit: Some(shown),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.verb, &self.unit) {
            (Some(verb), Some(unit)) => write!(f, "{} {unit}", verb.as_str()),
            _ => f.write_str("a request"),
        }
    }
}

/// Returns the length of some bytes and the first of them, in printable ASCII only.
#[must_use]
pub fn escaped(bytes: &[u8]) -> String {
    let head = bytes.get(..32).unwrap_or(bytes);
    format!("({} bytes) {}", bytes.len(), head.escape_ascii())
}

/// Records whether a request was allowed. `order` is the number of the order that the request waits for; the
/// record of its outcome has the same number.
pub fn decision(
    caller: &Caller,
    subject: &Subject,
    verdict: &str,
    reason: &str,
    order: Option<u64>,
) {
    let Caller { uid, gid, pid, .. } = *caller;
    let (verb, unit) = (subject.verb.map(Verb::as_str), subject.unit.as_deref());
    info!(
        event = "decision",
        uid,
        gid,
        pid,
        unit,
        verb,
        verdict,
        reason,
        order,
        "{verdict}: {subject} by uid {uid}, pid {pid}: {reason}",
    );
}

/// Records the answer to an allowed request.
pub fn outcome(caller: &Caller, verb: Verb, unit: &UnitName, order: u64, report: &Report) {
    let Caller { uid, gid, pid, .. } = *caller;
    let said = ReportText::new(report);
    let (verb, unit) = (verb.as_str(), unit.as_str());
    info!(
        event = "outcome",
        uid,
        gid,
        pid,
        unit,
        verb,
        order,
        job = said.job,
        refusal = said.refusal,
        active = said.active,
        sub = report.sub,
        result = report.result,
        main_pid = report.main_pid,
        duration_ms = report.elapsed_ms,
        "{verb} {unit} for uid {uid}: {}",
        said.words,
    );
}

/// Records that systemd is about to be asked to carry out an order. If this process ends before the job does,
/// this record shows what was under way.
pub fn begun(order: &Order, unit: &UnitName) {
    let (verb, unit) = (order.verb.as_str(), unit.as_str());
    info!(
        event = "begun",
        unit,
        verb,
        order = order.id,
        "{verb} {unit}: systemd is asked",
    );
}

/// Records what systemd did. The monitor writes this record, so a front that was taken over by an attacker cannot
/// suppress it.
pub fn job(order: &Order, unit: &UnitName, report: &Report) {
    let said = ReportText::new(report);
    let (verb, unit) = (order.verb.as_str(), unit.as_str());
    info!(
        event = "job",
        unit,
        verb,
        order = order.id,
        job = said.job,
        refusal = said.refusal,
        active = said.active,
        sub = report.sub,
        result = report.result,
        main_pid = report.main_pid,
        duration_ms = report.elapsed_ms,
        "{verb} {unit}: {}",
        said.words,
    );
}

/// Records that a unit's limit was reached.
pub fn limited(order: &Order, unit: &UnitName, wait: Duration) {
    let (verb, unit, wait) = (order.verb.as_str(), unit.as_str(), millis(wait));
    warn!(
        event = "limited",
        unit,
        verb,
        order = order.id,
        "{verb} {unit} not done: its limit allows it again in {wait} ms",
    );
}

/// Records that `times` records about `uid` were left out, the text of the last of them being `last`.
pub fn repeated(uid: u32, times: u32, last: &str) {
    let who = match uid {
        log_limiter::UNTOLD => "callers that are not told apart".to_owned(),
        uid => format!("uid {uid}"),
    };
    warn!(
        event = "repeated",
        uid, times, "{times} more requests of {who}, not written down one by one; the last: {last}"
    );
}

/// Writes a message about the service itself, for the administrator.
pub fn note(event: &str, message: &str) {
    info!(event, "{message}");
}

/// Writes an error message: something is wrong with the service itself.
pub fn alarm(event: &str, message: &str) {
    error!(event, "{message}");
}

struct ReportText {
    job: String,
    refusal: Option<String>,
    active: String,
    words: String,
}

impl ReportText {
    fn new(report: &Report) -> Self {
        let job = format!("{:?}", report.job).to_lowercase();
        let refusal = report
            .refusal
            .map(|refusal| format!("{refusal:?}").to_lowercase());
        let active = format!("{:?}", report.active).to_lowercase();
        let ended = refusal
            .as_ref()
            .map_or_else(|| format!("job {job}"), |why| format!("refused ({why})"));
        let words = format!(
            "{ended}, {active} ({}), result {}, main pid {}, {} ms",
            report.sub, report.result, report.main_pid, report.elapsed_ms
        );
        Self {
            job,
            refusal,
            active,
            words,
        }
    }
}
