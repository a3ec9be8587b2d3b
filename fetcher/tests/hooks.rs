//! Rule 34: what a hook does, or fails to do, changes nothing about the deploy it is told of. With
//! the real program; the app has no unit and no health URL, so that the hooks are all that happens.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

mod program;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use program::Home;

/// An app with hooks, and its repository.
struct Host(Home);

/// What a poll came to.
struct Polled {
    code: Option<i32>,
    said: String,
}

impl Host {
    fn new(hooks: &str) -> Self {
        let host = Self(Home::new());
        host.0.make_repository();
        host.configure(hooks);
        host
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn configure(&self, hooks: &str) {
        let at = self.0.path().display();
        self.0.app(
            "todo",
            &format!(
                "repository = \"file://{at}/todo.git\"\n\
                 [deploy]\nroot = \"{at}/root\"\nbuild = \"build\"\n\
                 [health]\nsteady = \"0s\"\n[hooks]\n{}\n",
                hooks.replace("@", &at.to_string())
            ),
        );
    }

    /// Pushes a version whose build ends with `code`.
    fn push(&self, name: &str, code: u8) {
        let build = format!("#!/bin/sh\nexit {code}\n");
        self.0.push(&[("name", name), ("build", &build)], name);
    }

    /// Writes a hook from another process, as one that this one has open for writing while another
    /// test forks could not be executed for a moment.
    fn hook(&self, name: &str, body: &str) {
        let script = "printf '#!/bin/sh\\n%s\\n' \"$2\" >\"$1\" && chmod 755 \"$1\"";
        let mut write = Command::new("sh");
        write
            .args(["-c", script, "sh"])
            .arg(self.at(name))
            .arg(body);
        assert!(write.status().unwrap().success());
    }

    fn poll(&self) -> Polled {
        let output = self.0.fetcher(&["poll", "todo"]).output().unwrap();
        let mut said = String::from_utf8(output.stdout).unwrap();
        said.push_str(&String::from_utf8(output.stderr).unwrap());
        Polled {
            code: output.status.code(),
            said,
        }
    }

    /// The last line of the history: the attempt's outcome, and the reason.
    fn last(&self) -> serde_json::Value {
        let history = fs::read_to_string(self.at("state/todo/history.jsonl")).unwrap();
        serde_json::from_str(history.lines().last().unwrap()).unwrap()
    }

    fn live(&self) -> String {
        fs::read_to_string(self.at("root/current/name")).unwrap()
    }
}

#[test]
fn a_hook_is_told_what_was_deployed_and_what_came_of_it() {
    let host = Host::new("deployed = \"@/told\"\nfailed = \"@/told\"");
    let tell =
        "echo \"$PP_APP $PP_OUTCOME $PP_REVISION $PP_REASON\" >>\"$PP_SHARED/../../told-of\"";
    host.hook("told", tell);
    host.push("one", 0);
    assert_eq!(host.poll().code, Some(0));
    host.push("two", 7);
    assert_eq!(host.poll().code, Some(1));

    let told = fs::read_to_string(host.at("told-of")).unwrap();
    let lines: Vec<_> = told.lines().collect();
    assert!(lines[0].starts_with("todo good "), "{told}");
    assert!(lines[1].starts_with("todo failed "), "{told}");
    assert!(lines[1].contains("exit code 7"), "the reason: {told}");
    assert_eq!(host.poll().code, Some(0));
    let again = fs::read_to_string(host.at("told-of")).unwrap();
    assert_eq!(again, told, "a poll with nothing to do tells nobody");
}

#[test]
fn rule_34_a_failing_hook_never_fails_a_deploy() {
    let host = Host::new("deployed = \"@/hook\"");
    let broken = [
        ("exit 3", "ended with exit code 3"),
        ("kill -9 $$", "was ended by signal 9"),
        ("exec /nowhere/at/all", "ended with exit code"),
    ];
    for (n, (body, why)) in broken.into_iter().enumerate() {
        host.hook("hook", body);
        well_all_the_same(&host, &format!("version {n}"), why);
    }
    fs::remove_file(host.at("hook")).unwrap();
    well_all_the_same(&host, "without a hook", "was not run: No such file");
    fs::write(host.at("hook"), "not a program").unwrap();
    well_all_the_same(&host, "with a text", "was not run: Permission denied");
}

/// Pushes a version and demands that it is deployed, whatever its hook does.
fn well_all_the_same(host: &Host, name: &str, why: &str) {
    host.push(name, 0);
    let polled = host.poll();
    assert_eq!(polled.code, Some(0), "{}", polled.said);
    assert!(
        polled.said.contains(why) && polled.said.contains("the deploy is not changed by that"),
        "it is reported: {}",
        polled.said
    );
    assert_eq!(host.live(), name);
    let last = host.last();
    assert_eq!(
        (&last["outcome"], &last["reason"]),
        (&"good".into(), &serde_json::Value::Null)
    );
    let next = host.poll();
    assert_eq!(
        next.code,
        Some(0),
        "and nothing is left to do: {}",
        next.said
    );
    assert_eq!(host.last(), last);
}

#[test]
fn rule_34_a_failing_hook_does_not_hide_why_a_deploy_failed() {
    let host = Host::new("failed = \"@/hook\"");
    host.hook("hook", "exit 9");
    host.push("one", 0);
    assert_eq!(host.poll().code, Some(0));
    host.push("two", 7);
    let polled = host.poll();
    assert_eq!(polled.code, Some(1));
    assert!(
        polled.said.contains("ended with exit code 9"),
        "{}",
        polled.said
    );
    assert_eq!(host.live(), "one");
    let last = host.last();
    let reason = last["reason"].as_str().unwrap();
    assert!(
        reason.contains("exit code 7") && !reason.contains("hook"),
        "{reason}"
    );
}

#[test]
fn rule_34_a_hook_that_hangs_ends_at_its_timeout_and_nothing_of_it_is_left() {
    let host = Host::new("deployed = \"@/hook\"\ntimeout = \"300ms\"");
    let hang = format!(
        "trap '' TERM; sleep 7700 & echo $$ $! >{}; while :; do sleep 1; done",
        host.at("pids").display()
    );
    host.hook("hook", &hang);
    host.push("one", 0);
    let polled = host.poll();
    assert_eq!(polled.code, Some(0), "{}", polled.said);
    assert!(
        polled
            .said
            .contains("was ended after 300 ms (hooks.timeout)"),
        "{}",
        polled.said
    );
    assert_eq!(
        (host.live().as_str(), &host.last()["outcome"]),
        ("one", &"good".into())
    );
    let pids = fs::read_to_string(host.at("pids")).unwrap();
    let pids: Vec<_> = pids.split_whitespace().collect();
    assert_eq!(pids.len(), 2, "the hook and its child: {pids:?}");
    for pid in pids {
        ends(pid);
    }
    // Its lock went with it.
    host.hook("hook", "true");
    host.push("two", 0);
    assert_eq!(host.poll().code, Some(0));
    assert_eq!(host.live(), "two");
}

/// Waits until a process is no more: one that was killed is gone soon, not at once.
fn ends(pid: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return;
        }
        assert!(Instant::now() < deadline, "{pid} lives on: {stat}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
