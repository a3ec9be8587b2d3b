//! Talks to systemd over the system bus; no program such as `systemctl` is executed.
//!
//! Each request uses a bus connection of its own: a connection that is held open fails its first call after
//! the bus was restarted, and a new connection costs a millisecond. The monitor subscribes to the end of the
//! job *before* it requests the job. If the connection ends after that request, the outcome of the job is
//! unknown: the unit's state is read and reported, and the request is never sent again.

use std::pin::Pin;
use std::time::Duration;

use pp_protocol::{ActiveState, JobResult, Refusal, Report, UnitName, Verb};
use serde::Serialize;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer};
use tokio::time::{Instant, sleep, timeout};
use zbus::export::ordered_stream::OrderedStreamExt;
use zbus::{Connection, DynamicType, MatchRule, Message, MessageStream, connection};
use zbus::{OwnedObjectPath, OwnedVariant};

use super::Manager;

/// Longest wait for the end of a job: systemd's default time-outs for stopping and for starting
/// a unit (90 s each), and some room.
const JOB: Duration = Duration::from_secs(190);

/// Longest wait for any one reply of the bus.
const REPLY: Duration = Duration::from_secs(25);

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

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// The systemd of this host, as the [`Manager`] that acts on units.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Systemd;

impl Manager for Systemd {
    async fn act(&self, verb: Verb, unit: &UnitName) -> Report {
        let start = Instant::now();
        let mut report = Report::unseen();
        let tried = timeout(JOB, run(verb, unit, &mut report)).await;
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
        let asked = timeout(ANSWER, async { system_state(&Bus::connect().await?).await });
        // No answer counts as a shutdown: a systemd that does not answer has more urgent work than these jobs.
        !matches!(asked.await, Ok(Ok(state)) if state != STOPPING)
    }
}

async fn system_state(bus: &Bus) -> zbus::Result<String> {
    let path = OwnedObjectPath::try_from(MANAGER_PATH)?;
    bus.get(&path, MANAGER, "SystemState").await
}

/// Carries out one request: checks the unit, requests the job, waits for its end and reads the unit's state.
/// `report.job` is [`JobResult::Unknown`] from just before the job is requested until its end was seen.
async fn run(verb: Verb, unit: &UnitName, report: &mut Report) -> zbus::Result<()> {
    let bus = Bus::connect().await?;
    let path = path_of(unit)?;
    // Only what decides, as each question is work for the bus and for systemd. Asked for together, so that they take the
    // time of one.
    let (listed, invocation, kind, state, mut ends) = tokio::try_join!(
        bus.list(unit),
        bus.invocation(&path),
        bus.get::<String>(&path, SERVICE, "Type"),
        system_state(&bus),
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
    let job = match bus.manager(method, &(unit.as_str(), MODE)).await {
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
    if matches!(kind.as_str(), "simple" | "exec" | "idle") && result == JobResult::Done {
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

/// Returns the value of a protocol enum such as [`JobResult`] that has the same name as systemd's `word`.
fn named<T: DeserializeOwned>(word: &str) -> Option<T> {
    let word: StrDeserializer<'_, serde::de::value::Error> = word.into_deserializer();
    T::deserialize(word).ok()
}

async fn look_anew(unit: &UnitName, report: &mut Report) -> zbus::Result<()> {
    let bus = Bus::connect().await?;
    bus.look(unit, report).await
}

/// Returns the path of the unit's object on the bus. systemd makes it of the name, with each byte but letters and
/// digits as `_` and two hexadecimal digits, and a digit at the beginning likewise: sd_bus_path_encode(3).
fn path_of(unit: &UnitName) -> zbus::Result<OwnedObjectPath> {
    let mut path = String::from("/org/freedesktop/systemd1/unit/");
    for (at, byte) in unit.as_str().bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()) {
            path.push(byte.into());
        } else {
            path.push_str(&format!("_{byte:02x}"));
        }
    }
    OwnedObjectPath::try_from(path)
}

type Reply = zbus::Result<Message>;

struct Bus(Connection);

impl Bus {
    async fn connect() -> zbus::Result<Self> {
        let bus = connection::Builder::system().method_timeout(REPLY);
        bus.build().await.map(Self)
    }

    async fn manager(&self, method: &str, body: &(impl Serialize + DynamicType)) -> Reply {
        let to = (Some(SYSTEMD), MANAGER_PATH, Some(MANAGER));
        self.0.call_method(to.0, to.1, to.2, method, body).await
    }

    async fn get<T>(&self, path: &OwnedObjectPath, interface: &str, name: &str) -> zbus::Result<T>
    where
        T: TryFrom<OwnedVariant, Error: Into<zbus::Error>>,
    {
        let (to, path) = (Some(SYSTEMD), path.as_ref());
        let body = (interface, name);
        let reply = self
            .0
            .call_method(to, path, Some(PROPERTIES), "Get", &body)
            .await?;
        let value: OwnedVariant = reply.body().deserialize()?;
        value.try_into().map_err(Into::into)
    }

    /// Subscribes to the signals that report the end of a job of `unit`, and returns them as a stream.
    async fn ends_of_jobs(&self, unit: &UnitName) -> zbus::Result<MessageStream> {
        let rule = MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .sender(SYSTEMD)
            .path(MANAGER_PATH)
            .interface(MANAGER)
            .member("JobRemoved")
            .arg(2, unit.as_str())
            .build()?;
        let ends = MessageStream::for_match_rule(rule, &self.0, None);
        let (ends, _) = tokio::try_join!(ends, self.manager("Subscribe", &()))?;
        Ok(ends)
    }

    /// Has systemd load the unit if it is not, and returns the unit's line of systemd's list of units.
    async fn list(&self, unit: &UnitName) -> zbus::Result<Listed> {
        type Line<'m> = (
            &'m str, // its own name
            &'m str, // description
            &'m str, // LoadState
            &'m str, // ActiveState
            &'m str, // SubState
            &'m str, // the unit that it follows
            zbus::ObjectPath<'m>,
            u32,                  // number of its job
            &'m str,              // type of its job
            zbus::ObjectPath<'m>, // path of its job
        );
        let reply = self
            .manager("ListUnitsByNames", &([unit.as_str()].as_slice(),))
            .await?;
        let body = reply.body();
        let mut lines: Vec<Line<'_>> = body.deserialize()?;
        let (id, _, load, active, sub, ..) = lines.pop().ok_or(zbus::Error::InvalidReply)?;
        Ok(Listed {
            load: load.to_owned(),
            id: id.to_owned(),
            active: named(active).unwrap_or(ActiveState::Unknown),
            sub: sub.to_owned(),
        })
    }

    /// Reads the identifier of the unit's present run; zeros if the unit has never run.
    async fn invocation(&self, path: &OwnedObjectPath) -> zbus::Result<[u8; 16]> {
        let bytes: Vec<u8> = self.get(path, UNIT, "InvocationID").await?;
        Ok(bytes.try_into().unwrap_or([0; 16]))
    }

    /// Has systemd load the unit if it is not, and reads its present state into `report`.
    async fn look(&self, unit: &UnitName, report: &mut Report) -> zbus::Result<()> {
        let path = &path_of(unit)?;
        let (listed, invocation, reload, result, main_pid) = tokio::try_join!(
            self.list(unit),
            self.invocation(path),
            self.get(path, UNIT, "NeedDaemonReload"),
            self.get(path, SERVICE, "Result"),
            self.get(path, SERVICE, "MainPID"),
        )?;
        listed.state_into(report);
        report.invocation = invocation;
        report.needs_daemon_reload = reload;
        report.result = result;
        report.main_pid = main_pid;
        Ok(())
    }

    /// Reads the state of a unit on which systemd does not act. The refusal is known; a state that cannot be read does
    /// not change it.
    async fn look_at_refused(&self, unit: &UnitName, report: &mut Report) -> zbus::Result<()> {
        let _ = self.look(unit, report).await;
        Ok(())
    }
}

/// A line of systemd's list of units.
struct Listed {
    /// systemd's word for whether the unit's file could be loaded.
    load: String,
    /// The unit's own name: another one if it was asked for by an alias.
    id: String,
    active: ActiveState,
    sub: String,
}

impl Listed {
    /// Writes the unit's state into `report`.
    fn state_into(&self, report: &mut Report) {
        report.active = self.active;
        report.sub.clone_from(&self.sub);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_units_path_is_made_as_systemd_makes_it() {
        for (unit, path) in [
            ("todo.service", "todo_2eservice"),
            (
                "gunicorn.todo_django.service",
                "gunicorn_2etodo_5fdjango_2eservice",
            ),
            ("2048-game@1.service", "_32048_2dgame_401_2eservice"),
        ] {
            let unit = UnitName::parse(unit).unwrap();
            let found = path_of(&unit).unwrap();
            assert_eq!(
                found.as_str(),
                format!("/org/freedesktop/systemd1/unit/{path}")
            );
        }
    }

    #[test]
    fn systemds_words_are_understood_and_others_are_none() {
        for (word, job) in [
            ("done", Some(JobResult::Done)),
            ("canceled", Some(JobResult::Canceled)),
            ("timeout", Some(JobResult::Timeout)),
            ("failed", Some(JobResult::Failed)),
            ("dependency", Some(JobResult::Dependency)),
            ("skipped", Some(JobResult::Skipped)),
            ("collected", None),
            ("", None),
        ] {
            assert_eq!(named(word), job, "{word}");
        }
        for (word, state) in [
            ("active", Some(ActiveState::Active)),
            ("reloading", Some(ActiveState::Reloading)),
            ("inactive", Some(ActiveState::Inactive)),
            ("failed", Some(ActiveState::Failed)),
            ("activating", Some(ActiveState::Activating)),
            ("deactivating", Some(ActiveState::Deactivating)),
            ("maintenance", None),
        ] {
            assert_eq!(named(word), state, "{word}");
        }
    }
}
