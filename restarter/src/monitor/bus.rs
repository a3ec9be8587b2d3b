//! Talks to systemd over the system bus; no program such as `systemctl` is executed.
//!
//! A connection to the bus is kept for the next request, which is spared the login. A kept one fails its first call after
//! the bus was restarted: that call is a question about the unit, before any job is requested, and is asked again over a
//! new connection. The monitor listens for the end of the job *before* it requests the job. If the connection ends after
//! that request, the outcome of the job is unknown: the unit's state is read and reported, and the request is never sent
//! again.

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pp_protocol::{ActiveState, JobResult, Refusal, Report, UnitName, Verb};
use tokio::time::{Instant, sleep, timeout};
use zbus::OwnedObjectPath;
use zbus::export::ordered_stream::OrderedStreamExt;

use super::Manager;
use super::connection::{Bus, SERVICE, named, path_of};

/// Longest wait for the end of a job: systemd's default time-outs for stopping and for starting
/// a unit (90 s each), and some room.
const JOB: Duration = Duration::from_secs(190);

/// How long systemd may take to say whether the host is shutting down.
const ANSWER: Duration = Duration::from_secs(2);

/// How long, after the end of a job was missed, the monitor tries to read the unit's state: until the bus
/// answers and the unit is neither starting nor stopping. After this time the state that was read last is
/// reported.
const AWAY: Duration = Duration::from_secs(10);

/// How long to wait after a successful job before the unit's state is read. systemd considers `Type=simple`
/// and similar services started as soon as they are forked; a program that is missing or exits at once
/// shows only a little later.
const SETTLE: Duration = Duration::from_millis(250);

/// The job mode: systemd refuses a job that would cancel another job (systemctl(1), `--job-mode=fail`).
const MODE: &str = "fail";

/// The value of systemd's `SystemState` while the host shuts down.
const STOPPING: &str = "stopping";

/// The systemd of this host, as the [`Manager`] that acts on units.
#[derive(Debug, Default)]
pub(crate) struct Systemd {
    /// A connection that no request uses now.
    kept: Mutex<Option<Bus>>,
}

impl Systemd {
    /// Carries out one request over the kept connection, or over a new one.
    async fn request(&self, verb: Verb, unit: &UnitName, report: &mut Report) -> zbus::Result<()> {
        let kept = self.kept().take();
        if let Some(bus) = kept {
            match run(&bus, verb, unit, report).await {
                Ok(()) => {
                    self.kept().get_or_insert(bus);
                    return Ok(());
                }
                // The bus was restarted since, and no job was requested yet.
                Err(_) if report.job == JobResult::None => *report = Report::unseen(),
                Err(error) => return Err(error),
            }
        }
        let bus = Bus::connect().await?;
        run(&bus, verb, unit, report).await?;
        self.kept().get_or_insert(bus);
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, Option<Bus>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Manager for Systemd {
    async fn act(&self, verb: Verb, unit: &UnitName) -> Report {
        let start = Instant::now();
        let mut report = Report::unseen();
        let tried = timeout(JOB, self.request(verb, unit, &mut report)).await;
        if !matches!(tried, Ok(Ok(()))) {
            if report.job == JobResult::None {
                report.refusal.get_or_insert(Refusal::Unreachable);
                return report;
            }
            // The end of the job was not seen, but the unit's present state can still be read and reported.
            let _ = timeout(AWAY, async {
                while look_anew(unit, &mut report).await.is_err() || report.is_moving() {
                    sleep(Duration::from_millis(250)).await;
                }
            })
            .await;
        }
        report.elapsed_ms = crate::pair::millis(start.elapsed());
        report
    }

    async fn is_shutting_down(&self) -> bool {
        let asked = timeout(ANSWER, async { Bus::connect().await?.system_state().await });
        // No answer counts as a shutdown: a systemd that does not answer has more urgent work than these jobs.
        !matches!(asked.await, Ok(Ok(state)) if state != STOPPING)
    }
}

/// Carries out one request: checks the unit, requests the job, waits for its end and reads the unit's state.
/// `report.job` is [`JobResult::Unknown`] from just before the job is requested until its end was seen.
async fn run(bus: &Bus, verb: Verb, unit: &UnitName, report: &mut Report) -> zbus::Result<()> {
    let path = path_of(unit)?;
    // Only what decides, as each question is work for the bus and for systemd. Asked for together, so that they take the
    // time of one.
    let (listed, invocation, state, mut ends) = tokio::try_join!(
        bus.list(unit),
        bus.invocation(&path),
        bus.system_state(),
        bus.ends_of_jobs(unit),
    )?;
    (report.invocation_before, report.invocation) = (invocation, invocation);
    listed.state_into(report);
    let was_stopping = report.active == ActiveState::Deactivating;
    report.refusal = match listed.load.as_str() {
        _ if state == STOPPING => Some(Refusal::ShuttingDown),
        "loaded" if listed.id != unit.as_str() => Some(Refusal::Alias),
        "loaded" => None,
        "not-found" => Some(Refusal::NoSuchUnit),
        "masked" => Some(Refusal::Masked),
        "bad-setting" | "error" => Some(Refusal::BadSetting),
        _ => Some(Refusal::Other),
    };
    if report.refusal.is_some() {
        return bus.look_at_refused(unit, report).await;
    }
    let method = match verb {
        Verb::Restart => "RestartUnit",
        Verb::Reload => "ReloadUnit",
        Verb::TryRestart => "TryRestartUnit",
    };
    report.job = JobResult::Unknown;
    // The service's type is asked for while the job is under way.
    let job = (unit.as_str(), MODE);
    let kind = bus.get::<String>(&path, SERVICE, "Type");
    let (asked, kind) = tokio::join!(bus.manager(method, &job), kind);
    let job = match asked {
        Ok(reply) => reply.body().deserialize::<OwnedObjectPath>()?,
        Err(error) => {
            refused(report, error)?;
            return bus.look_at_refused(unit, report).await;
        }
    };
    let result = loop {
        let Some(signal) = Pin::new(&mut ends).next().await else {
            return Err(zbus::Error::InvalidReply);
        };
        let signal = signal?;
        let body = signal.body();
        let (_, ended, _, result): (u32, zbus::ObjectPath<'_>, &str, &str) = body.deserialize()?;
        if ended == job.as_ref() {
            break match result {
                // The job did not fit the unit's state, such as the reload of a stopped unit.
                "invalid" => {
                    (report.job, report.refusal) = (JobResult::None, Some(Refusal::NotApplicable));
                    return bus.look_at_refused(unit, report).await;
                }
                "assert" => JobResult::Failed,
                word => named(word).unwrap_or(JobResult::Other),
            };
        }
    };
    // A type that could not be read may be one of these.
    let starts_unready = kind.map_or(true, |kind| matches!(&*kind, "simple" | "exec" | "idle"));
    if starts_unready && result == JobResult::Done {
        sleep(SETTLE).await;
    }
    // What was read before the job says nothing about the unit after it.
    (report.job, report.active) = (result, ActiveState::Unknown);
    bus.look(unit, report).await?;
    if verb == Verb::TryRestart && was_stopping && report.invocation == report.invocation_before {
        // systemd reports this job as done, because there was nothing to restart: the unit was being stopped.
        (report.job, report.refusal) = (JobResult::None, Some(Refusal::StopUnderWay));
    }
    Ok(())
}

/// Notes in `report` that systemd refused the job, and why, if `error` is systemd's own refusal: then there is
/// no job. Returns any other error, because it does not tell whether there is a job.
fn refused(report: &mut Report, error: zbus::Error) -> zbus::Result<()> {
    let zbus::Error::MethodError(name, ..) = &error else {
        return Err(error);
    };
    report.job = JobResult::None;
    let name = name.as_str();
    report.refusal = Some(match name.strip_prefix("org.freedesktop.systemd1.") {
        Some("NoSuchUnit" | "LoadFailed") => Refusal::NoSuchUnit,
        Some("UnitMasked") => Refusal::Masked,
        Some("BadUnitSetting") => Refusal::BadSetting,
        Some("OnlyByDependency") => Refusal::ManualRefused,
        Some("JobTypeNotApplicable") => Refusal::NotApplicable,
        Some("TransactionIsDestructive") => Refusal::StopUnderWay,
        Some("ShuttingDown") => Refusal::ShuttingDown,
        _ => Refusal::Other,
    });
    Ok(())
}

async fn look_anew(unit: &UnitName, report: &mut Report) -> zbus::Result<()> {
    let bus = Bus::connect().await?;
    bus.look(unit, report).await
}
