//! What the faults are done to, and how each of them must end.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use pp_tests::app::{App, Perl};
use pp_tests::forge::Tree;
use pp_tests::host::Host;
use pp_tests::lab::Output;
use pp_tests::wait::wait_until;

/// The restarter's unit.
pub(crate) const RESTARTER: &str = "pp-restarter.service";
/// The unit of its socket.
pub(crate) const SOCKET: &str = "pp-restarter.socket";

/// Long enough for what happens by itself on a machine that has other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Longest a poll may take: two restarts of 20 s, two probes, and other things to do.
pub(crate) const POLL: Duration = Duration::from_secs(180);

/// An app whose first version serves, and a restarter as it was installed.
pub(crate) fn app<'h>(host: &'h Host, name: &str) -> Result<App<'h>> {
    host.lab().cmd(["systemctl", "start", SOCKET]).ok()?;
    let app = host.perl(name)?;
    app.deploy(Perl("v1"), "First")?;
    Ok(app)
}

/// What the unit's file does not say, as `systemctl edit` adds it.
pub(crate) fn drop_in(host: &Host, app: &App<'_>, text: &str) -> Result<()> {
    let path = format!("/etc/systemd/system/{}.d/fault.conf", app.unit());
    let text = format!("[Service]\n{text}\n");
    host.lab()
        .write(&path, text.as_bytes(), 0o644, "root:root")?;
    host.lab().cmd(["systemctl", "daemon-reload"]).ok()?;
    Ok(())
}

/// A version whose server does this before it listens.
pub(crate) fn serving(version: &'static str, first: &str) -> Tree {
    let server = Perl::SERVER.replace("my $server", &format!("{first}\nmy $server"));
    Tree::from(Perl(version)).file("server.pl", server)
}

/// A version that serves its page and whose health URL answers 500.
pub(crate) fn sick(version: &'static str) -> Tree {
    let server = Perl::SERVER.replace(
        "print $client \"HTTP/1.0 200 OK",
        "my $status = $request =~ /healthz/ ? '500 Sick' : '200 OK';\n    print $client \"HTTP/1.0 $status",
    );
    assert_ne!(server, Perl::SERVER);
    Tree::from(Perl(version)).file("server.pl", server)
}

/// A version whose first build waits until [`while_it_waits`] lets it go on.
pub(crate) fn waiting(version: &'static str) -> Tree {
    let script = "#!/bin/sh
set -eu
cd \"$PP_SHARED\"
test ! -e again || exit 0
touch again waits
while test -e waits; do sleep 0.1; done
";
    Tree::from(Perl(version)).program("deploy.sh", script)
}

/// Its build waits as long as this file is there.
pub(crate) fn waits(app: &App<'_>) -> String {
    format!("{}/shared/waits", app.dir())
}

/// Does `meanwhile` while a build waits: what is to be restarted has been asked for already.
pub(crate) fn while_it_waits(
    host: &Host,
    app: &App<'_>,
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<()> {
    wait_until("the build waits", PATIENCE, || {
        Ok(host.lab().exists(&waits(app))?.then_some(()))
    })?;
    let done = meanwhile();
    host.lab().cmd(["rm", &waits(app)]).ok()?;
    done
}

/// Polls these apps, as cron does.
pub(crate) fn poll(host: &Host, apps: &[&str]) -> Result<Output> {
    let gunicorn = host.lab().as_user("gunicorn");
    let call = gunicorn.cmd(["pp-fetcher", "poll"]);
    call.args(apps.iter().copied()).within(POLL).output()
}

/// Polls, and does `meanwhile` at the same time.
pub(crate) fn polling(
    host: &Host,
    app: &App<'_>,
    code: i32,
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<Output> {
    let name = app.name();
    std::thread::scope(|scope| {
        let poll = scope.spawn(|| poll(host, &[name]));
        let done = meanwhile();
        let output = poll.join().map_err(|_| anyhow!("the poll panicked"))??;
        done.with_context(|| format!("beside this poll: {output}"))?;
        ensure!(output.code == Some(code), "not exit code {code}: {output}");
        Ok(output)
    })
}

/// Nothing of a poll is left: no process, nothing half-made, nothing unfinished in the books.
pub(crate) fn at_rest(host: &Host, app: &App<'_>) -> Result<()> {
    wait_until("nothing but the apps runs", PATIENCE, || {
        let all = host.lab().cmd(["ps", "-u", "gunicorn", "-o", "args="]);
        let all = all.output()?.stdout;
        let left: Vec<_> = all
            .lines()
            .filter(|line| !line.ends_with("perl server.pl"))
            .collect();
        ensure!(left.is_empty(), "{left:?}");
        Ok(Some(()))
    })?;
    let releases = app.releases()?;
    assert!(
        releases.iter().all(|name| !name.starts_with('.')),
        "{releases:?}"
    );
    let trying = "import json, sys; print(json.load(open(sys.argv[1])).get('trying'))";
    let state = format!("/var/lib/pp-fetcher/{}/state.json", app.name());
    let trying = host.lab().cmd(["python3", "-c", trying, &state]).ok()?;
    assert_eq!(trying, "None");
    Ok(())
}

/// `good` serves, the last attempt was this one, and `why` are words of its reason.
pub(crate) fn taken_back(app: &App<'_>, good: &str, bad: &str, why: &[&str]) -> Result<()> {
    app.serves("hello v1")?;
    assert_eq!(app.current_revision()?, good);
    assert_eq!(app.status()?.live.unwrap().revision, good);
    let last = app.last()?;
    assert_eq!(
        (&*last.outcome, &*last.revision),
        ("rolled-back", bad),
        "{last:?}"
    );
    let reason = last.reason.unwrap();
    for words in why {
        assert!(reason.contains(words), "{words:?} is not in: {reason}");
    }
    Ok(())
}

/// The next poll deploys what was pushed last, whatever was in its way before.
pub(crate) fn converges(host: &Host, app: &App<'_>, revision: &str, text: &str) -> Result<()> {
    app.poll_exits(0)?;
    deployed(host, app, revision, text)
}

/// This revision serves, is written down as good, and nothing is left over.
pub(crate) fn deployed(host: &Host, app: &App<'_>, revision: &str, text: &str) -> Result<()> {
    app.serves(text)?;
    assert_eq!(app.current_revision()?, revision);
    let status = app.status()?;
    assert_eq!(
        (&*status.state, status.live.unwrap().revision),
        ("ok", revision.to_owned())
    );
    at_rest(host, app)
}

/// Another one after each start of its unit.
pub(crate) fn invocation(host: &Host, app: &App<'_>) -> Result<String> {
    host.lab().property(app.unit(), "InvocationID")
}

/// An app that takes five seconds to stop, with a second version pushed.
pub(crate) fn slow<'h>(host: &'h Host, name: &str) -> Result<(App<'h>, String)> {
    let app = app(host, name)?;
    drop_in(host, &app, "TimeoutStopSec=5")?;
    app.deploy(serving("v1", "$SIG{TERM} = 'IGNORE';"), "Deaf")?;
    let next = app.push(Perl("v2"), "Second")?;
    Ok((app, next))
}

/// Waits until its unit is being stopped.
pub(crate) fn stopping(host: &Host, app: &App<'_>) -> Result<()> {
    wait_until("the unit is stopping", PATIENCE, || {
        let now = host.lab().property(app.unit(), "ActiveState")?;
        Ok((now == "deactivating").then_some(()))
    })
}

/// How often the app's server was started, by whomever.
pub(crate) fn starts(host: &Host, app: &App<'_>) -> Result<usize> {
    let filter = [
        "-u",
        app.unit(),
        "-t",
        "systemd",
        "-g",
        "^Started ",
        "-o",
        "cat",
    ];
    Ok(host.lab().journal(&filter)?.lines().count())
}
