//! What those who are served feel of a deploy.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use pp_tests::app::{App, Django};
use pp_tests::cases;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;
use pp_tests::load::{Load, Tally};

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        Host::start,
        cases![
            no_request_fails_during_a_deploy_behind_a_socket,
            no_request_fails_when_a_build_fails_behind_a_socket,
            no_request_fails_while_a_crashing_release_is_taken_back_behind_a_socket,
            a_first_deploy_is_good_though_its_socket_is_asked_before,
            with_a_plain_bind_the_outage_is_the_restart_alone,
        ],
    )
}

/// Requests all through one deploy and a second on both sides of it.
fn load(host: &Host, app: &App<'_>, next: Django, code: i32) -> Result<Tally> {
    app.deploy(Django::version("v1"), "First")?;
    app.push(next, "Second")?;
    let load = Load::start(host.lab(), app.port(), "/")?;
    std::thread::sleep(Duration::from_secs(1));
    let polled = app.poll_exits(code);
    std::thread::sleep(Duration::from_secs(1));
    let tally = load.stop()?;
    polled?;
    println!("{}: {tally:?}", app.name());
    assert!(tally.sent() > 100, "{tally:?}");
    Ok(tally)
}

fn no_request_fails_during_a_deploy_behind_a_socket(host: &Host) -> Result<()> {
    let app = host.django_behind_socket("seamless")?;
    let tally = load(host, &app, Django::version("v2"), 0)?;
    assert_eq!(tally.failed(), 0, "{tally:?}");
    app.serves("todo v2")
}

fn no_request_fails_when_a_build_fails_behind_a_socket(host: &Host) -> Result<()> {
    let app = host.django_behind_socket("rescued")?;
    let tally = load(host, &app, Django::version("v2").failing_to_build(), 1)?;
    assert_eq!(tally.failed(), 0, "{tally:?}");
    app.serves("todo v1")
}

fn no_request_fails_while_a_crashing_release_is_taken_back_behind_a_socket(
    host: &Host,
) -> Result<()> {
    let app = host.django_behind_socket("crashing")?;
    let tally = load(host, &app, Django::version("v2").crashing_at_import(), 1)?;
    assert_eq!(tally.failed(), 0, "{tally:?}");
    app.serves("todo v1")
}

fn a_first_deploy_is_good_though_its_socket_is_asked_before(host: &Host) -> Result<()> {
    let app = host.django_behind_socket("impatient")?;
    let load = Load::start(host.lab(), app.port(), "/")?;
    std::thread::sleep(Duration::from_secs(1));
    let deployed = app.deploy(Django::version("v1"), "First");
    load.stop()?;
    deployed?;
    app.serves("todo v1")
}

fn with_a_plain_bind_the_outage_is_the_restart_alone(host: &Host) -> Result<()> {
    let app = host.django("plain")?;
    let tally = load(host, &app, Django::version("v2"), 0)?;
    assert!(tally.refused > 0, "if not, nothing was measured: {tally:?}");
    assert!(tally.outage < Duration::from_secs(5), "{tally:?}");
    assert!(tally.good > tally.failed(), "{tally:?}");
    app.serves("todo v2")
}
