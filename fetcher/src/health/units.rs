//! Reads a unit's state from systemd over the system bus. Reading needs no privilege.

use std::collections::HashMap;
use std::time::Duration;

use pp_protocol::UnitName;
use tokio::time::timeout;
use zbus::{Connection, OwnedObjectPath, OwnedVariant};

use super::unit::{UnitDefinition, UnitSeen};

const SYSTEMD: &str = "org.freedesktop.systemd1";
const ROOT: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";

/// How long the bus and systemd may take to answer for one unit.
const PATIENCE: Duration = Duration::from_secs(5);

/// One command of an `ExecStart=`: path, words, whether failure is ignored, and when it ran.
type Command = (String, Vec<String>, bool, u64, u64, u64, u64, u32, i32, i32);

/// A client of systemd that keeps one connection to the system bus as long as the connection works.
#[derive(Debug, Default)]
pub(crate) struct Systemd {
    bus: Option<Connection>,
}

impl Systemd {
    /// Reads the state of one unit and the ids of its processes; systemd does not tell where they work.
    ///
    /// # Errors
    /// A sentence that says which unit could not be read, and why.
    pub(crate) async fn read(&mut self, name: &UnitName) -> Result<(UnitSeen, Vec<u32>), String> {
        // A kept connection fails its first call after the bus was restarted: then connect again.
        let kept = self.bus.is_some();
        match timeout(PATIENCE, self.ask(name)).await {
            Ok(Ok(seen)) => return Ok(seen),
            Ok(Err(_)) if kept => self.bus = None,
            Ok(Err(error)) => {
                self.bus = None;
                return Err(format!("cannot ask systemd for {name}: {error}"));
            }
            Err(_) => {
                self.bus = None;
                return Err(format!(
                    "systemd did not tell the state of {name} within 5 s"
                ));
            }
        }
        Box::pin(self.read(name)).await
    }

    async fn ask(&mut self, name: &UnitName) -> zbus::Result<(UnitSeen, Vec<u32>)> {
        let bus = match &self.bus {
            Some(bus) => bus.clone(),
            None => {
                let bus = Connection::system().await?;
                self.bus.insert(bus).clone()
            }
        };
        let asked = &(name.as_str(),);
        let reply = bus
            .call_method(Some(SYSTEMD), ROOT, Some(MANAGER), "LoadUnit", asked)
            .await?;
        let path: OwnedObjectPath = reply.body().deserialize()?;
        let all = async |interface| -> zbus::Result<Properties> {
            let reply = bus
                .call_method(
                    Some(SYSTEMD),
                    &path,
                    Some(PROPERTIES),
                    "GetAll",
                    &(interface,),
                )
                .await?;
            Ok(Properties(reply.body().deserialize()?))
        };
        // All properties of the interface in one reply, so that a passing state is never read together with
        // the absence of the job that ends that state.
        let mut unit = all(UNIT).await?;
        let mut service = all(SERVICE).await?;
        let (job, _): (u32, OwnedObjectPath) = unit.take("Job")?;
        let seen = UnitSeen {
            name: name.to_string(),
            in_job: job != 0,
            active: unit.take("ActiveState")?,
            sub: unit.take("SubState")?,
            result: service.take("Result")?,
            main_pid: service.take("MainPID")?,
            active_since: unit.take("ActiveEnterTimestamp")?,
            restarts: service.take("NRestarts")?,
            invocation: unit.take("InvocationID")?,
            setup: definition(&mut unit, &mut service)?,
            cwd: None,
            processes: Vec::new(),
        };
        let processes = bus
            .call_method(
                Some(SYSTEMD),
                ROOT,
                Some(MANAGER),
                "GetUnitProcesses",
                asked,
            )
            .await;
        // A unit without a control group has no processes.
        let processes: Vec<(String, u32, String)> = match processes {
            Ok(reply) => reply.body().deserialize()?,
            Err(_) => Vec::new(),
        };
        Ok((seen, processes.into_iter().map(|(_, pid, _)| pid).collect()))
    }
}

/// Reads the settings in the unit's file.
fn definition(unit: &mut Properties, service: &mut Properties) -> zbus::Result<UnitDefinition> {
    let (_, load_error): (String, String) = unit.take("LoadError")?;
    let commands: Vec<Command> = service.take("ExecStart").unwrap_or_default();
    // Each with whether the file may be absent.
    let files: Vec<(String, bool)> = service.take("EnvironmentFiles").unwrap_or_default();
    let mut groups: Vec<String> = service.take("SupplementaryGroups").unwrap_or_default();
    groups.extend(service.take::<String>("Group").ok());
    Ok(UnitDefinition {
        load: unit.take("LoadState")?,
        load_error,
        kind: service.take("Type")?,
        needs_daemon_reload: unit.take("NeedDaemonReload")?,
        can_reload: unit.take("CanReload")?,
        directory: service.take("WorkingDirectory").unwrap_or_default(),
        commands: commands.into_iter().flat_map(|c| c.1).collect(),
        user: service.take("User").unwrap_or_default(),
        groups,
        environment: service.take("Environment").unwrap_or_default(),
        environment_files: files.into_iter().map(|(path, _)| path).collect(),
    })
}

/// The properties of one interface.
struct Properties(HashMap<String, OwnedVariant>);

impl Properties {
    /// Takes the value of the property `name`, which must be there.
    fn take<T>(&mut self, name: &str) -> zbus::Result<T>
    where
        T: TryFrom<OwnedVariant>,
        T::Error: Into<zbus::Error>,
    {
        let value = self.0.remove(name);
        let value = value.ok_or_else(|| zbus::Error::Failure(format!("{name} is not there")))?;
        T::try_from(value).map_err(Into::into)
    }
}
