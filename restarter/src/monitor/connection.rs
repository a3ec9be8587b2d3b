//! A connection to the system bus, and what is asked of systemd over it.

use std::time::Duration;

use pp_protocol::{ActiveState, Report, UnitName};
use serde::Serialize;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer};
use zbus::{Connection, DynamicType, MatchRule, Message, MessageStream, connection};
use zbus::{OwnedObjectPath, OwnedVariant};

/// Longest wait for any one reply of the bus.
const REPLY: Duration = Duration::from_secs(25);

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// The interface of what only services have.
pub(super) const SERVICE: &str = "org.freedesktop.systemd1.Service";

/// Returns the value of a protocol enum such as [`JobResult`](pp_protocol::JobResult) that has the same name as systemd's `word`.
pub(super) fn named<T: DeserializeOwned>(word: &str) -> Option<T> {
    let word: StrDeserializer<'_, serde::de::value::Error> = word.into_deserializer();
    T::deserialize(word).ok()
}

/// Returns the path of the unit's object on the bus. systemd makes it of the name, with each byte but letters and
/// digits as `_` and two hexadecimal digits, and a digit at the beginning likewise: sd_bus_path_encode(3).
pub(super) fn path_of(unit: &UnitName) -> zbus::Result<OwnedObjectPath> {
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

/// A connection to the system bus.
#[derive(Debug)]
pub(super) struct Bus(Connection);

impl Bus {
    pub(super) async fn connect() -> zbus::Result<Self> {
        let bus = connection::Builder::system().method_timeout(REPLY);
        bus.build().await.map(Self)
    }

    pub(super) async fn manager(
        &self,
        method: &str,
        body: &(impl Serialize + DynamicType),
    ) -> Reply {
        let to = (Some(SYSTEMD), MANAGER_PATH, Some(MANAGER));
        self.0.call_method(to.0, to.1, to.2, method, body).await
    }

    /// Returns systemd's word for the state of the whole host.
    pub(super) async fn system_state(&self) -> zbus::Result<String> {
        let path = OwnedObjectPath::try_from(MANAGER_PATH)?;
        self.get(&path, MANAGER, "SystemState").await
    }

    /// Returns a property of an object of systemd's.
    pub(super) async fn get<T>(
        &self,
        path: &OwnedObjectPath,
        interface: &str,
        name: &str,
    ) -> zbus::Result<T>
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

    /// Has the bus pass on the signals that report the end of a job of `unit`, and returns them as a stream. systemd sends
    /// them to whoever asked for the job, who need not be subscribed to its signals (`bus_job_track_sender` in systemd).
    pub(super) async fn ends_of_jobs(&self, unit: &UnitName) -> zbus::Result<MessageStream> {
        let rule = MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .sender(SYSTEMD)
            .path(MANAGER_PATH)
            .interface(MANAGER)
            .member("JobRemoved")
            .arg(2, unit.as_str())
            .build()?;
        MessageStream::for_match_rule(rule, &self.0, None).await
    }

    /// Has systemd load the unit if it is not, and returns the unit's line of systemd's list of units.
    pub(super) async fn list(&self, unit: &UnitName) -> zbus::Result<Listed> {
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
    pub(super) async fn invocation(&self, path: &OwnedObjectPath) -> zbus::Result<[u8; 16]> {
        let bytes: Vec<u8> = self.get(path, UNIT, "InvocationID").await?;
        Ok(bytes.try_into().unwrap_or([0; 16]))
    }

    /// Has systemd load the unit if it is not, and reads its present state into `report`.
    pub(super) async fn look(&self, unit: &UnitName, report: &mut Report) -> zbus::Result<()> {
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
    pub(super) async fn look_at_refused(
        &self,
        unit: &UnitName,
        report: &mut Report,
    ) -> zbus::Result<()> {
        let _ = self.look(unit, report).await;
        Ok(())
    }
}

/// A line of systemd's list of units.
pub(super) struct Listed {
    /// systemd's word for whether the unit's file could be loaded.
    pub(super) load: String,
    /// The unit's own name: another one if it was asked for by an alias.
    pub(super) id: String,
    active: ActiveState,
    sub: String,
}

impl Listed {
    /// Writes the unit's state into `report`.
    pub(super) fn state_into(&self, report: &mut Report) {
        report.active = self.active;
        report.sub.clone_from(&self.sub);
    }
}

#[cfg(test)]
mod tests {
    use pp_protocol::JobResult;

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
