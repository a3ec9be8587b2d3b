//! What installing the packages makes of a host.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use pp_tests::cases;
use pp_tests::harness::{self, Needs};
use pp_tests::host;
use pp_tests::lab::Lab;
use pp_tests::wait::wait_until;

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        installed,
        cases![
            users_and_groups_are_there,
            rule_5_the_socket_is_systemds_0660_root_hosted_apps,
            directories_have_their_modes_and_owners,
            the_service_idles_while_no_app_is_configured,
            the_restarter_is_not_resident_before_it_is_asked,
            nobody_may_do_anything_by_default,
            the_poll_log_is_rotated,
            rule_23_the_fetchers_user_writes_neither_policy_nor_programs_nor_units,
            an_existing_user_gunicorn_keeps_what_it_is,
            odd_users_that_exist_already_are_told_or_kept,
            purging_leaves_the_apps_and_their_user,
        ],
    )
}

fn installed() -> Result<Lab> {
    let lab = Lab::boot()?;
    lab.install(&host::debs()?)?;
    Ok(lab)
}

/// Starts the restarter by asking it something; who may do nothing is told 3.
fn ask(lab: &Lab) -> Result<()> {
    let output = lab
        .as_user("gunicorn")
        .cmd(["pp-restart", "--list"])
        .output()?;
    ensure!(output.code == Some(3), "{output}");
    Ok(())
}

fn users_and_groups_are_there(lab: &Lab) -> Result<()> {
    let groups = lab.sh("id -Gn gunicorn")?;
    assert!(
        groups.split(' ').any(|group| group == "hosted_apps"),
        "{groups}"
    );
    lab.sh("getent passwd pp-restarter; getent group hosted_apps")?;
    let shells = lab.sh("getent passwd gunicorn pp-restarter | cut -d: -f7 | sort -u")?;
    assert_eq!(shells, "/usr/sbin/nologin");
    Ok(())
}

fn rule_5_the_socket_is_systemds_0660_root_hosted_apps(lab: &Lab) -> Result<()> {
    let socket = "/run/pp-restarter/restarter.sock";
    assert_eq!(lab.stat(socket)?, "660 root hosted_apps");
    assert_eq!(
        lab.property("pp-restarter.socket", "ActiveState")?,
        "active"
    );
    assert_eq!(
        lab.sh("systemctl is-enabled pp-restarter.socket")?,
        "enabled"
    );
    ask(lab)?;
    lab.sh("systemctl stop pp-restarter.service")?;
    assert_eq!(
        lab.stat(socket)?,
        "660 root hosted_apps",
        "stopping the service leaves it"
    );
    Ok(())
}

fn directories_have_their_modes_and_owners(lab: &Lab) -> Result<()> {
    for (path, expected) in [
        ("/etc/pp-restarter", "755 root root"),
        ("/etc/pp-restarter/policy.d", "755 root root"),
        ("/etc/pp-fetcher", "755 root root"),
        ("/etc/pp-fetcher/apps.d", "755 root root"),
        ("/etc/pp-fetcher/keys", "700 gunicorn root"),
        ("/var/lib/pp-fetcher", "2750 gunicorn hosted_apps"),
        ("/var/lib/gunicorn", "700 gunicorn hosted_apps"),
        ("/var/lib/pp-fetcher-users", "755 root root"),
        ("/etc/pp-fetcher/users", "755 root root"),
        ("/srv/apps", "755 root root"),
        ("/var/log/pp-fetcher", "2750 gunicorn hosted_apps"),
        ("/var/www/projects", "2775 root hosted_apps"),
        ("/usr/bin/pp-fetcher", "755 root root"),
        ("/usr/bin/pp-restart", "755 root root"),
        ("/usr/sbin/pp-restarter", "755 root root"),
    ] {
        assert_eq!(lab.stat(path)?, expected, "{path}");
    }
    assert_eq!(
        lab.sh("find /usr/bin/pp-* /usr/sbin/pp-* -perm /6000")?,
        "",
        "nothing is setuid"
    );
    Ok(())
}

fn the_service_idles_while_no_app_is_configured(lab: &Lab) -> Result<()> {
    wait_until("pp-fetcher.service is up", Duration::from_secs(10), || {
        let state = lab.property("pp-fetcher.service", "ActiveState")?;
        Ok((state == "active").then_some(()))
    })?;
    assert_eq!(
        lab.sh("systemctl is-enabled pp-fetcher.service")?,
        "enabled"
    );
    assert_eq!(lab.property("pp-fetcher.service", "SubState")?, "running");
    assert_eq!(lab.property("pp-fetcher.service", "NRestarts")?, "0");
    let pid = lab.property("pp-fetcher.service", "MainPID")?;
    // utime and stime of proc(5), in clock ticks: one hundred a second.
    let ticks = || lab.sh(&format!("cut -d' ' -f14,15 /proc/{pid}/stat"));
    let before = ticks()?;
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(
        ticks()?,
        before,
        "no processor time while there is nothing to do"
    );
    assert_ne!(
        lab.property("pp-fetcher.service", "StatusText")?,
        "",
        "it says what it does"
    );
    Ok(())
}

fn the_restarter_is_not_resident_before_it_is_asked(lab: &Lab) -> Result<()> {
    lab.sh("systemctl stop pp-restarter.service")?;
    assert_eq!(lab.property("pp-restarter.service", "MainPID")?, "0");
    ask(lab)?;
    assert_eq!(
        lab.property("pp-restarter.service", "ActiveState")?,
        "active"
    );
    Ok(())
}

fn nobody_may_do_anything_by_default(lab: &Lab) -> Result<()> {
    assert_eq!(
        lab.list("/etc/pp-restarter/policy.d")?,
        Vec::<String>::new()
    );
    lab.cmd(["pp-restarter", "--check"]).ok()?;
    for user in ["root", "gunicorn"] {
        let output = lab
            .as_user(user)
            .cmd(["pp-restart", "cron.service"])
            .output()?;
        assert_eq!(output.code, Some(3), "{user}: {output}");
    }
    Ok(())
}

fn the_poll_log_is_rotated(lab: &Lab) -> Result<()> {
    lab.as_user("gunicorn")
        .sh("echo a line >>/var/log/pp-fetcher/poll.log")?;
    lab.sh("logrotate --force /etc/logrotate.d/pp-fetcher")?;
    assert_eq!(
        lab.list("/var/log/pp-fetcher")?,
        ["poll.log", "poll.log.1.gz"]
    );
    assert_eq!(
        lab.stat("/var/log/pp-fetcher/poll.log")?,
        "640 gunicorn hosted_apps"
    );
    lab.as_user("gunicorn")
        .sh("echo another >>/var/log/pp-fetcher/poll.log")?;
    Ok(())
}

fn rule_23_the_fetchers_user_writes_neither_policy_nor_programs_nor_units(lab: &Lab) -> Result<()> {
    let writable = lab
        .as_user("gunicorn")
        .sh("find /etc /usr /lib/systemd /boot -writable ! -type l \\
             ! -path '/etc/pp-fetcher/keys*' 2>/dev/null || true")?;
    assert_eq!(writable, "");
    Ok(())
}

fn an_existing_user_gunicorn_keeps_what_it_is(_: &Lab) -> Result<()> {
    let lab = Lab::boot()?;
    lab.sh("groupadd web; useradd -u 1234 -g web -d /srv/gunicorn -s /bin/bash gunicorn")?;
    lab.install(&host::debs()?)?;
    let entry = lab.sh("getent passwd gunicorn")?;
    assert!(entry.starts_with("gunicorn:x:1234:"), "{entry}");
    assert!(entry.ends_with(":/srv/gunicorn:/bin/bash"), "{entry}");
    assert_eq!(lab.sh("id -Gn gunicorn")?, "web hosted_apps");
    Ok(())
}

fn odd_users_that_exist_already_are_told_or_kept(_: &Lab) -> Result<()> {
    let lab = Lab::boot()?;
    // A front that would run in root's group, groups that are there, and apps that would run as root.
    lab.sh("useradd -g root -s /bin/bash pp-restarter; groupadd -g 4321 hosted_apps; groupadd -g 4322 pp-callers
         useradd -o -u 0 -g 0 -d /root gunicorn")?;
    lab.install(&host::debs()?)?;
    assert_eq!(
        lab.sh("getent group hosted_apps pp-callers | cut -d: -f3")?,
        "4321\n4322"
    );
    assert_eq!(
        lab.stat("/run/pp-restarter/restarter.sock")?,
        "660 root hosted_apps"
    );
    let asked = lab
        .cmd(["pp-restart", "--timeout", "5", "--list"])
        .output()?;
    assert!(asked.code != Some(0), "{asked}");
    let told = lab.journal(&["-u", "pp-restarter.service", "-o", "cat"])?;
    assert!(told.contains("user pp-restarter is root"), "{told}");
    let refused = lab.cmd(["pp-fetcher", "status"]).output()?;
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(
        refused.stderr.contains("apps do not run as root"),
        "{refused}"
    );
    // Mended, and no more is needed than what is said.
    lab.sh("userdel -f pp-restarter; systemd-sysusers; systemctl restart pp-restarter.socket")?;
    assert_eq!(lab.cmd(["pp-restart", "--list"]).output()?.code, Some(3));
    Ok(())
}

fn purging_leaves_the_apps_and_their_user(lab: &Lab) -> Result<()> {
    lab.write(
        "/var/www/projects/mine/current",
        b"mine",
        0o644,
        "gunicorn:hosted_apps",
    )?;
    lab.sh("dpkg --purge pp-fetcher pp-restarter")?;
    for gone in [
        "/etc/pp-restarter",
        "/etc/pp-fetcher",
        "/var/lib/pp-fetcher",
        "/run/pp-restarter/restarter.sock",
    ] {
        assert!(!lab.exists(gone)?, "{gone}");
    }
    assert_eq!(lab.read("/var/www/projects/mine/current")?, "mine");
    lab.sh("id gunicorn")?;
    assert_eq!(lab.sh("systemctl --failed --plain --no-legend")?, "");
    Ok(())
}
