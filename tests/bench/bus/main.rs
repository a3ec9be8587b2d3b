//! `bare-bus`: a service that is ready at once and does nothing. `bare-bus UNIT`: has systemd restart a unit, and waits for the end of the job. No policy, no record, no look at what
//! became of the unit: the limit that a restarter can come near to.

use std::os::unix::net::UnixDatagram;
use std::process::ExitCode;

use zbus::export::ordered_stream::OrderedStreamExt;
use zbus::{Connection, MatchRule, MessageStream, OwnedObjectPath};

const SYSTEMD: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

fn main() -> ExitCode {
    let Some(unit) = std::env::args().nth(1) else {
        return serve();
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(restart(&unit)))
    {
        Ok(result) if result == "done" => ExitCode::SUCCESS,
        Ok(result) => {
            println!("{result}");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Tells systemd that the service is ready (sd_notify(3)), and sleeps.
fn serve() -> ExitCode {
    let socket = std::env::var("NOTIFY_SOCKET").unwrap_or_default();
    let told = UnixDatagram::unbound().and_then(|from| from.send_to(b"READY=1", socket));
    if told.is_err() {
        return ExitCode::FAILURE;
    }
    loop {
        std::thread::park();
    }
}

async fn restart(unit: &str) -> zbus::Result<String> {
    let bus = Connection::system().await?;
    let rule = MatchRule::builder()
        .msg_type(zbus::message::Type::Signal)
        .sender(SYSTEMD)
        .interface(MANAGER)
        .member("JobRemoved")
        .arg(2, unit)
        .build()?;
    let mut ends = MessageStream::for_match_rule(rule, &bus, None).await?;
    let asked = bus
        .call_method(
            Some(SYSTEMD),
            PATH,
            Some(MANAGER),
            "RestartUnit",
            &(unit, "fail"),
        )
        .await?;
    let job: OwnedObjectPath = asked.body().deserialize()?;
    while let Some(message) = ends.next().await {
        let message = message?;
        let body = message.body();
        let (_, ended, _, result): (u32, zbus::ObjectPath<'_>, &str, &str) = body.deserialize()?;
        if ended == *job {
            return Ok(result.to_owned());
        }
    }
    Err(zbus::Error::InvalidReply)
}
