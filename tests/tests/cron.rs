//! Run by the host's own cron, as the old way was.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pp_tests::app::{Django, Perl};
use pp_tests::cases;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;
use pp_tests::wait::wait_until;

/// Two of cron's minutes: it may have just begun one, and reads its files once a minute.
const TWO_MINUTES: Duration = Duration::from_secs(125);

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        Host::start,
        cases![
            the_doctor_tells_what_cron_does_not_find_and_what_a_build_misses,
            a_push_goes_live_by_cron_within_its_interval_and_a_bad_one_does_not,
        ],
    )
}

fn the_doctor_tells_what_cron_does_not_find_and_what_a_build_misses(host: &Host) -> Result<()> {
    let lab = host.lab();
    let app = host.django("by_doctor")?;
    let table = "/etc/cron.d/elsewhere";
    lab.sh(&format!(
        "printf 'PATH=/opt/bin\\n* * * * * gunicorn pp-fetcher poll by_doctor\\n' >{table}
         home=$(getent passwd gunicorn | cut -d: -f6); mv $home $home.away"
    ))?;
    let doctor = || lab.cmd(["pp-fetcher", "doctor", "by_doctor"]).output();
    let said = doctor()?;
    for part in [
        "cron finds no such program in PATH=/opt/bin",
        "HOME of the build script, is not there",
        "as root: install -d -o gunicorn /var/lib/gunicorn",
    ] {
        assert!(said.stdout.contains(part), "{part}: {said}");
    }
    let mend = said
        .stdout
        .split_once("as root: install")
        .context("advice")?
        .1;
    lab.sh(&format!(
        "install {}",
        mend.lines().next().context("advice")?
    ))?;
    lab.sh(&format!(
        "sed -i 's|gunicorn pp|gunicorn /usr/bin/pp|' {table}"
    ))?;
    let said = doctor()?;
    assert!(
        said.stdout.contains("cron finds /usr/bin/pp-fetcher"),
        "{said}"
    );
    assert!(!said.stdout.contains("HOME of the build"), "{said}");
    app.push(Django::version("v1"), "First")?;
    wait_until("cron deploys the push", TWO_MINUTES, || {
        Ok((app.status()?.state == "ok").then_some(()))
    })?;
    lab.sh(&format!(
        "rm {table}; home=$(getent passwd gunicorn | cut -d: -f6); rm -rf $home; mv $home.away $home"
    ))?;
    Ok(())
}

fn a_push_goes_live_by_cron_within_its_interval_and_a_bad_one_does_not(host: &Host) -> Result<()> {
    let (good, bad) = (host.django("by_cron")?, host.perl("by_cron_too")?);
    let kept = bad.deploy(Perl("v1"), "First")?;
    good.push(Django::version("v1"), "First")?;
    bad.push(
        pp_tests::forge::Tree::from(Perl("v2")).program("deploy.sh", "#!/bin/sh\nexit 9\n"),
        "Bad",
    )?;

    // The line as it is shipped, switched on, with an interval of one minute.
    let file = "/etc/cron.d/pp-fetcher";
    host.lab().sh(&format!("sed -i 's|^#\\*/5|*/1|' {file}"))?;
    let line = host.lab().sh(&format!("grep '^[^#]' {file}"))?;
    assert!(
        line.starts_with("*/1 * * * * gunicorn pp-fetcher poll "),
        "{line}"
    );
    assert_eq!(good.history()?, []);

    wait_until("cron deploys the push", TWO_MINUTES, || {
        let got = good.get("/")?;
        ensure!(got.body.starts_with("todo v1"), "{got:?}");
        Ok((good.status()?.state == "ok").then_some(()))
    })?;
    wait_until("the bad one is recorded", Duration::from_secs(20), || {
        Ok((bad.history()?.len() == 2).then_some(()))
    })?;
    host.lab().sh(&format!("rm {file}"))?;
    assert_eq!(bad.last()?.outcome, "failed");
    assert_eq!(bad.current_revision()?, kept);
    bad.serves("hello v1")?;
    let log = host.lab().read("/var/log/pp-fetcher/poll.log")?;
    assert!(log.contains("by_cron"), "cron's log tells of it: {log}");
    assert_eq!(
        host.lab()
            .stat("/var/log/pp-fetcher/poll.log")?
            .split(' ')
            .nth(2),
        Some("hosted_apps")
    );
    Ok(())
}
