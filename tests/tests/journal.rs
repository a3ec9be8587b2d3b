//! What the service writes to the journal, as `journalctl` finds it.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pp_tests::app::Perl;
use pp_tests::cases;
use pp_tests::forge::Tree;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;
use pp_tests::wait::wait_until;
use serde_json::Value;

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        Host::start,
        cases![the_service_writes_records_with_stable_fields],
    )
}

fn the_service_writes_records_with_stable_fields(host: &Host) -> Result<()> {
    let app = host.perl("journalled")?;
    let good = app.push(Perl("v1"), "First")?;
    host.lab().sh("systemctl restart pp-fetcher.service")?;
    let ended = wait_for(host, "good")?;
    let last = app.last()?;
    for (field, wanted) in [
        ("PP_REVISION", &*good),
        ("PP_RELEASE", &*app.current()?),
        ("PP_ATTEMPT", "1"),
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "pp-fetcher"),
        ("_SYSTEMD_UNIT", "pp-fetcher.service"),
    ] {
        assert_eq!(text(&ended, field), wanted, "{field} of {ended}");
    }
    let took: u64 = last.phases.iter().map(|phase| phase.ms).sum();
    assert_eq!(text(&ended, "PP_DURATION_MS"), took.to_string(), "{ended}");
    assert!(
        text(&ended, "MESSAGE").starts_with("journalled: good: "),
        "{ended}"
    );

    let steps = records(host, "PP_EVENT=step PP_PHASE=build")?;
    let build = steps.first().context("no record of the build")?;
    assert_eq!(text(build, "PP_OUTCOME"), "good");
    assert_eq!(text(build, "PP_REVISION"), good);

    // The next polls find nothing new: for those who look closely only.
    app.set("interval = \"1m\"", "interval = \"5s\"")?;
    host.lab().sh("systemctl reload pp-fetcher.service")?;
    let nothing = wait_for(host, "nothing")?;
    assert_eq!(text(&nothing, "PRIORITY"), "7", "{nothing}");
    assert_eq!(text(&nothing, "PP_REVISION"), good);

    let bad = Tree::from(Perl("v2")).program("deploy.sh", "#!/bin/sh\nexit 9\n");
    let bad = app.push(bad, "Bad")?;
    let failed = wait_for(host, "failed")?;
    assert_eq!(text(&failed, "PRIORITY"), "3", "{failed}");
    assert_eq!(text(&failed, "PP_REVISION"), bad);
    assert!(
        text(&failed, "MESSAGE").contains("ended with exit code 9"),
        "{failed}"
    );
    host.lab().sh("systemctl stop pp-fetcher.service")?;
    Ok(())
}

/// The record of a pass's end with this outcome.
fn wait_for(host: &Host, outcome: &str) -> Result<Value> {
    let what = format!("a pass ends as {outcome}");
    wait_until(&what, Duration::from_secs(90), || {
        let found = records(host, &format!("PP_EVENT=ended PP_OUTCOME={outcome}"))?;
        Ok(found.into_iter().next())
    })
}

fn records(host: &Host, matches: &str) -> Result<Vec<Value>> {
    let command = format!("journalctl -q -o json PP_APP=journalled {matches}");
    let lines = host.lab().sh(&command)?;
    let records: Result<Vec<Value>, _> = lines.lines().map(serde_json::from_str).collect();
    let records = records.with_context(|| lines.clone())?;
    ensure!(records.iter().all(Value::is_object), "{lines}");
    Ok(records)
}

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
