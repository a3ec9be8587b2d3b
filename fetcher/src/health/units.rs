//! A unit's state, read over the system bus. Reading needs no privilege.

use std::time::Duration;

use pp_protocol::UnitName;
use tokio::time::timeout;
use zbus::{Connection, OwnedObjectPath, OwnedVariant};

use super::watch::UnitSeen;

const SYSTEMD: &str = "org.freedesktop.systemd1";
const ROOT: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";

/// A bus or a systemd that does not answer is worse than one that says no.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads one unit; its working directory is not systemd's to know and stays empty.
///
/// # Errors
/// A sentence: what could not be asked, and why.
pub async fn read(name: &UnitName) -> Result<UnitSeen, String> {
    match timeout(PATIENCE, ask(name)).await {
        Ok(Ok(seen)) => Ok(seen),
        Ok(Err(error)) => Err(format!("cannot ask systemd for {name}: {error}")),
        Err(_) => Err(format!(
            "systemd did not tell the state of {name} within 5 s"
        )),
    }
}

async fn ask(name: &UnitName) -> zbus::Result<UnitSeen> {
    let bus = Connection::system().await?;
    let asked = &(name.as_str(),);
    let reply = bus
        .call_method(Some(SYSTEMD), ROOT, Some(MANAGER), "LoadUnit", asked)
        .await?;
    let path: OwnedObjectPath = reply.body().deserialize()?;
    let get = async |interface, property| -> zbus::Result<OwnedVariant> {
        let asked = &(interface, property);
        bus.call_method(Some(SYSTEMD), &path, Some(PROPERTIES), "Get", asked)
            .await?
            .body()
            .deserialize()
    };
    // First, so that a state that only passes is never read with the job that ends it already gone.
    let (job, _): (u32, OwnedObjectPath) = get(UNIT, "Job").await?.try_into()?;
    Ok(UnitSeen {
        name: name.to_string(),
        in_job: job != 0,
        active: get(UNIT, "ActiveState").await?.try_into()?,
        sub: get(UNIT, "SubState").await?.try_into()?,
        result: get(SERVICE, "Result").await?.try_into()?,
        main_pid: get(SERVICE, "MainPID").await?.try_into()?,
        restarts: get(SERVICE, "NRestarts").await?.try_into()?,
        invocation: get(UNIT, "InvocationID").await?.try_into()?,
        cwd: None,
    })
}
