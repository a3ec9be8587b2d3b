//! The doctor inside of the service's own sandbox. A check by hand sees another host than the service does: other
//! directories can be written, another user owns the files, other variables are set. So root starts the doctor by
//! `systemd-run` with the settings of the service's unit, drop-ins included.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::thread;

/// Settings of a unit that decide what its processes see and may do: systemd.exec(5), systemd.resource-control(5).
/// A name that ends in `*` stands for every setting that begins so.
const SETTINGS: &[&str] = &[
    "AmbientCapabilities",
    "Bind*",
    "CacheDirectory*",
    "CapabilityBoundingSet",
    "DevicePolicy",
    "DynamicUser",
    "Environment*",
    "ExecPaths",
    "Group",
    "IPAddress*",
    "InaccessiblePaths",
    "KeyringMode",
    "Limit*",
    "LogsDirectory*",
    "LockPersonality",
    "Memory*",
    "NetworkNamespacePath",
    "NoExecPaths",
    "NoNewPrivileges",
    "PassEnvironment",
    "Private*",
    "ProcSubset",
    "Protect*",
    "ReadOnlyPaths",
    "ReadWritePaths",
    "RemoveIPC",
    "Restrict*",
    "StateDirectory*",
    "SupplementaryGroups",
    "SystemCall*",
    "TasksMax",
    "TemporaryFileSystem",
    "UMask",
    "UnsetEnvironment",
    "User",
    "WorkingDirectory",
];

/// The most bytes that are taken of the doctor's output.
const MOST: u64 = 8 << 20;

/// The exit code of a mistake in the configuration: systemd-run has none of that number.
const USAGE: u8 = 2;

/// The longest time for all apps.
const PATIENCE: &str = "--property=RuntimeMaxSec=15min";

/// Whether the unit polls: it is enabled or running. Otherwise cron polls, and its jobs have no sandbox.
pub(crate) fn is_in_use(unit: &str) -> bool {
    let asked = |question: &str| {
        let mut systemctl = Command::new("/usr/bin/systemctl");
        let answer = systemctl.args([question, "--quiet", unit]).status();
        answer.is_ok_and(|status| status.success())
    };
    asked("is-active") || asked("is-enabled")
}

/// Where a line of the doctor's output goes: its standard output and its standard error.
pub(crate) struct Lines<'a> {
    pub(crate) output: &'a (dyn Fn(&str) + Sync),
    pub(crate) errors: &'a (dyn Fn(&str) + Sync),
}

/// Runs this program with `words` as `user` in the sandbox of the unit `unit`, and hands each line of its output to
/// `lines`. The other process gets no descriptor of a terminal: it belongs to the apps' user, who could keep it.
///
/// Gives its exit code; `None` if the process found nothing to say, so that the sandbox could not be made.
///
/// # Errors
/// systemd-run cannot be started.
pub(crate) fn run(
    unit: &str,
    user: &str,
    words: &[OsString],
    lines: &Lines<'_>,
) -> io::Result<Option<u8>> {
    let cat = Command::new("/usr/bin/systemctl")
        .args(["cat", unit])
        .output()?;
    let mut run = Command::new("/usr/bin/systemd-run");
    run.args(["--quiet", "--pipe", "--wait", "--collect", PATIENCE]);
    run.arg("--description=Pull and Pray: the doctor");
    if std::env::var_os("LANG").is_some() {
        run.arg("--setenv=LANG");
    }
    let instance = unit
        .split_once('@')
        .and_then(|(_, rest)| rest.strip_suffix(".service"));
    for setting in settings(
        &String::from_utf8_lossy(&cat.stdout),
        instance.unwrap_or_default(),
    ) {
        run.arg("--property").arg(setting);
    }
    // Whatever the drop-ins say: the doctor is never root's.
    run.arg(format!("--property=User={user}"));
    let program = std::env::current_exe().unwrap_or_else(|_| "/usr/bin/pp-fetcher".into());
    run.arg("--").arg(program).args(words);
    run.stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = run.spawn()?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let said = thread::scope(|scope| {
        scope.spawn(|| err.map_or(0, |err| copy_lines(err, lines.errors)));
        out.map_or(0, |out| copy_lines(out, lines.output))
    });
    let code = child
        .wait()?
        .code()
        .and_then(|code| u8::try_from(code).ok());
    // A mistake in the configuration is told on standard error alone.
    Ok(code.filter(|code| said > 0 || *code == USAGE))
}

/// Hands the lines to `say`, and gives their number.
fn copy_lines(from: impl Read, say: &(dyn Fn(&str) + Sync)) -> usize {
    let mut from = BufReader::new(from.take(MOST));
    let (mut line, mut count) = (Vec::new(), 0);
    while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        say(&String::from_utf8_lossy(&line));
        line.clear();
        count += 1;
    }
    count
}

/// Gives the settings of a unit that matter here, in the order in which they apply, from the output of `systemctl
/// cat`. `instance` stands in place of `%i` and `%I`.
fn settings(cat: &str, instance: &str) -> Vec<String> {
    let joined = cat.replace("\\\n", " ");
    let mut in_service = false;
    let mut found = Vec::new();
    for line in joined.lines().map(str::trim) {
        if line.starts_with('[') {
            in_service = line == "[Service]";
        }
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        if in_service && counts(name.trim()) {
            let value = value.trim().replace("%i", instance).replace("%I", instance);
            found.push(format!("{}={value}", name.trim()));
        }
    }
    found
}

fn counts(name: &str) -> bool {
    let is = |setting: &&str| match setting.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == *setting,
    };
    SETTINGS.iter().any(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_sandbox_come_in_order_and_those_of_the_start_do_not() {
        let cat = "# /lib/systemd/system/pp-fetcher@.service\n[Unit]\nDescription=User=x\n[Service]\nType=notify\n\
                   ExecStart=/usr/bin/pp-fetcher run\n# User=comment\nUser=%i\nRestartPreventExitStatus=2\n\
                   RestrictRealtime=yes\nReadWritePaths = /a \\\n  /b\n\n# /etc/systemd/system/x.d/x.conf\n[Service]\n\
                   ReadWritePaths=\nReadWritePaths=/c\n[Install]\nWantedBy=multi-user.target\n";
        assert_eq!(
            settings(cat, "ada"),
            [
                "User=ada",
                "RestrictRealtime=yes",
                "ReadWritePaths=/a    /b",
                "ReadWritePaths=",
                "ReadWritePaths=/c"
            ]
        );
    }
}
