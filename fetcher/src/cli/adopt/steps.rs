//! Steps that both ways take: over to releases, and back to the checkout.

use std::path::{Path, PathBuf};

use crate::account::USUAL;
use crate::adopt::poller::job;
use crate::adopt::record::{Record, switch_job};
use crate::setup::apply;
use crate::setup::commands::Program;
use crate::setup::{FileUse, PlannedFile};

/// The command that leads back to the checkout of `app`, which belongs to `user`.
pub(super) fn undo_command(app: &str, user: &str) -> String {
    match user {
        USUAL => format!("pp-fetcher adopt {app} --undo"),
        user => format!("pp-fetcher adopt {app} --undo --user {user}"),
    }
}

/// Switches the makeshift's jobs off, or on again. Root changes only lines that run as the apps' user.
pub(super) fn switch_jobs(record: &Record, user: &str, off: bool) -> Result<(), String> {
    for one in &record.jobs {
        if job(&one.line).is_none_or(|(runs_as, _)| runs_as != user) {
            if !off {
                // It was never switched off.
                continue;
            }
            return Err(format!(
                "{}: this line does not run as {user}, so it is yours to switch off: {}",
                one.file, one.line
            ));
        }
        // The apps' user has found these lines, so root looks again where they stand.
        let path = PathBuf::from(&one.file);
        if path != Path::new("/etc/crontab") && path.parent() != Some(Path::new("/etc/cron.d")) {
            return Err(format!("{} is no crontab of this host", path.display()));
        }
        let Some(text) = apply::read(&path)? else {
            continue;
        };
        let switched = switch_job(&text, &one.line, &record.app, off);
        if switched.is_none() && off {
            return Err(format!(
                "{}: this line is not there as it was found: {}",
                one.file, one.line
            ));
        }
        if let Some(text) = switched {
            apply::rewrite(&path, &text)?;
        }
    }
    Ok(())
}

/// Writes each unit's drop-in, and restarts the units: the first while the others are stopped. `drop_in` gives the text
/// of a unit's drop-in by the paths that the unit has moved before it starts: all of them the first, and none the others.
pub(super) fn restart_with(
    record: &Record,
    drop_in: impl Fn(&str, &[PathBuf]) -> String,
) -> Result<(), String> {
    let Some((first, others)) = record.units.split_first() else {
        return Ok(());
    };
    write_drop_in(first, drop_in(first, &record.shared))?;
    for unit in others {
        write_drop_in(unit, drop_in(unit, &[]))?;
    }
    Program::Systemctl.must(&["daemon-reload"])?;
    let stopped = others
        .iter()
        .map(|unit| Program::Systemctl.must(&["stop", unit]));
    let stopped: Vec<_> = stopped.collect();
    // Starts of a moment ago, which failed, are not to count against this one.
    let _ = Program::Systemctl.run(&["reset-failed", first]);
    let mut ended = Program::Systemctl.must(&["restart", first]);
    // Whatever became of the first: what was stopped for its sake runs again.
    for unit in others {
        ended = ended.and(Program::Systemctl.must(&["start", unit]));
    }
    stopped.into_iter().fold(ended, Result::and)
}

/// Writes the drop-in of a unit.
pub(super) fn write_drop_in(unit: &str, text: String) -> Result<(), String> {
    let file = PlannedFile {
        path: Record::drop_in(unit),
        text,
        used_by: FileUse::Unit,
    };
    apply::write(&file).map(drop)
}
