//! The doctor inside of the service's own sandbox. A check by hand sees another host than the service does: other
//! directories can be written, another user owns the files, other variables are set. So root starts the doctor by
//! `systemd-run` with the settings of the service's unit, drop-ins included.

use std::ffi::OsString;
use std::io;
use std::process::{Command, ExitStatus};

/// Settings of a unit that decide what its processes see and may do: systemd.exec(5), systemd.resource-control(5).
/// A name that ends in `*` stands for every setting that begins so.
const SETTINGS: &[&str] = &[
    "AmbientCapabilities",
    "Bind*",
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
    "SupplementaryGroups",
    "SystemCall*",
    "TasksMax",
    "TemporaryFileSystem",
    "UMask",
    "UnsetEnvironment",
    "User",
    "WorkingDirectory",
];

/// Settings that begin as one of [`SETTINGS`] does, and belong to the start and end of a service.
const NOT_THESE: &[&str] = &[
    "RestartPreventExitStatus",
    "RestartForceExitStatus",
    "RestartSec",
];

/// Runs this program with `words` in the sandbox of the unit `unit`. `None` if there is no systemd, or if the unit
/// is neither enabled nor running: then cron polls, and its jobs have no sandbox.
///
/// # Errors
/// systemd-run cannot be started.
pub(crate) fn run(unit: &str, words: &[OsString]) -> Option<io::Result<ExitStatus>> {
    let asked = |question: &str| {
        let mut systemctl = Command::new("/usr/bin/systemctl");
        let answer = systemctl.args([question, "--quiet", unit]).status();
        answer.is_ok_and(|status| status.success())
    };
    if !asked("is-active") && !asked("is-enabled") {
        return None;
    }
    let cat = Command::new("/usr/bin/systemctl")
        .args(["cat", unit])
        .output();
    let cat = cat.ok().filter(|output| output.status.success())?;
    let mut run = Command::new("/usr/bin/systemd-run");
    run.args(["--quiet", "--pipe", "--wait", "--collect"]);
    run.arg("--description=Pull and Pray: the doctor");
    for name in ["TERM", "NO_COLOR", "LANG", "COLUMNS"] {
        if std::env::var_os(name).is_some() {
            run.arg(format!("--setenv={name}"));
        }
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
    let program = std::env::current_exe().unwrap_or_else(|_| "/usr/bin/pp-fetcher".into());
    run.arg("--").arg(program).args(words);
    Some(run.status())
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
        let name = line.split('=').next().unwrap_or_default().trim();
        if in_service && line.contains('=') && counts(name) {
            found.push(line.replace("%i", instance).replace("%I", instance));
        }
    }
    found
}

fn counts(name: &str) -> bool {
    let is = |setting: &&str| match setting.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == *setting,
    };
    SETTINGS.iter().any(is) && !NOT_THESE.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_sandbox_come_in_order_and_those_of_the_start_do_not() {
        let cat = "# /lib/systemd/system/pp-fetcher@.service\n[Unit]\nDescription=User=x\n[Service]\nType=notify\n\
                   ExecStart=/usr/bin/pp-fetcher run\n# User=comment\nUser=%i\nRestartPreventExitStatus=2\n\
                   RestrictRealtime=yes\nReadWritePaths=/a \\\n  /b\n\n# /etc/systemd/system/x.d/x.conf\n[Service]\n\
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
