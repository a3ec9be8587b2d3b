//! `freeze` and `thaw`: nothing new is deployed, of one app or of all.

use std::path::Path;

use jiff::Timestamp;

use super::args::Arguments;
use super::control::end;
use super::output::{print_error, say};
use super::{FAILED, OK, one_app};
use crate::events;
use crate::schedule::hold::describe;
use crate::state::{Freeze, FreezeFile};
use crate::util::text;

/// `pp-fetcher freeze [APP] --reason … [--until …]`.
pub(crate) fn freeze(
    arguments: &Arguments,
    app: Option<&str>,
    reason: &str,
    until: Option<&str>,
) -> u8 {
    if let Err(code) = known(arguments, app) {
        return code;
    }
    let since = Timestamp::now();
    let until = match end(until, since) {
        Ok(until) => until,
        Err(code) => return code,
    };
    let freeze = Freeze {
        reason: reason.to_owned(),
        by: who(),
        since,
        until,
    };
    let told = describe(&freeze);
    let changed = FreezeFile::new(&arguments.state()).change(|all| {
        all.set(app, Some(freeze.clone()));
    });
    if let Err(error) = changed {
        print_error(&format!("nothing was frozen: {error}"));
        return FAILED;
    }
    report(&arguments.state(), app, &told, |base| {
        events::tell_freeze(base, app, &freeze)
    })
}

/// `pp-fetcher thaw [APP]`.
pub(crate) fn thaw(arguments: &Arguments, app: Option<&str>) -> u8 {
    if let Err(code) = known(arguments, app) {
        return code;
    }
    let changed =
        FreezeFile::new(&arguments.state()).change(|all| (all.set(app, None), all.host.clone()));
    match changed {
        Err(error) => {
            print_error(&format!("nothing was thawed: {error}"));
            FAILED
        }
        Ok((None, host)) => {
            let host = host.filter(|freeze| app.is_some() && freeze.holds(Timestamp::now()));
            let other = match host {
                Some(host) => format!(
                    "by itself; all apps are {}: `pp-fetcher thaw` ends that",
                    describe(&host)
                ),
                None => "`pp-fetcher status` shows what is".to_owned(),
            };
            say(&format!(
                "{}: was not frozen; {other}\n",
                app.unwrap_or("all apps")
            ));
            OK
        }
        Ok((Some(freeze), host)) => {
            let reason = text::line(freeze.reason.as_bytes());
            let still = match (app, host) {
                (Some(_), Some(host)) => format!("; all apps are still {}", describe(&host)),
                _ => String::new(),
            };
            let told = format!("no longer frozen; it was: {reason}{still}");
            report(&arguments.state(), app, &told, |base| {
                events::tell_thaw(base, app, &freeze, "thaw")
            })
        }
    }
}

fn known(arguments: &Arguments, app: Option<&str>) -> Result<(), u8> {
    app.map_or(Ok(()), |app| one_app(arguments, app).map(drop))
}

fn report(
    base: &Path,
    app: Option<&str>,
    told: &str,
    tell: impl FnOnce(&Path) -> std::io::Result<()>,
) -> u8 {
    say(&format!("{}: {told}\n", app.unwrap_or("all apps")));
    if let Err(error) = tell(base) {
        print_error(&format!(
            "that is so, and could not be told to the outbox: {error}"
        ));
    }
    OK
}

/// Who has given the command: the user behind sudo. Root has become the apps' user since, who says nothing.
fn who() -> Option<String> {
    let behind = std::env::var("SUDO_USER");
    behind.ok().filter(|name| !name.is_empty())
}
