//! The same requests made by sudo, by polkit and by the restarter: who lets what through. Prints one
//! table, which `restarter/COMPARISON.md` quotes.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::process::ExitCode;

use anyhow::Result;
use pp_tests::cases;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;

fn main() -> ExitCode {
    harness::run(Needs::Packages, start, cases![who_lets_what_through])
}

const LISTED: &str = "todo_gunicorn.service";
const UNITS: [&str; 4] = [LISTED, "other.service", "looped.service", "ssh.service"];

/// As in the old way: the rule names the command to the letter.
const SUDOERS: &str = "\
%hosted_apps ALL = NOPASSWD: /bin/systemctl restart todo_gunicorn.service, \\
    /bin/systemctl restart looped.service, /bin/systemctl restart other-name.service, \\
    /bin/systemctl restart lingers.service
";

/// As the manual of polkit has it, with unit and verb checked.
const POLKIT: &str = r#"
polkit.addRule(function (action, subject) {
    var units = ["todo_gunicorn.service", "looped.service", "other-name.service", "lingers.service"];
    var verbs = ["restart", "try-restart"];
    if (action.id == "org.freedesktop.systemd1.manage-units" && subject.isInGroup("hosted_apps")
        && verbs.indexOf(action.lookup("verb")) >= 0 && units.indexOf(action.lookup("unit")) >= 0) {
        return polkit.Result.YES;
    }
});
"#;

const POLICY: &str = r#"
[[allow]]
units = ["todo_gunicorn.service", "looped.service", "other-name.service", "lingers.service"]
verbs = ["restart", "try-restart"]
groups = ["hosted_apps"]
"#;

fn start() -> Result<Host> {
    let host = Host::start()?;
    for unit in [LISTED, "other.service", "looped.service"] {
        host.lab().write(
            &format!("/etc/systemd/system/{unit}"),
            b"[Service]\nType=exec\nExecStart=/bin/sleep infinity\n",
            0o644,
            "root:root",
        )?;
    }
    host.lab().write(
        "/etc/sudoers.d/todo",
        SUDOERS.as_bytes(),
        0o440,
        "root:root",
    )?;
    host.lab().write(
        "/etc/polkit-1/rules.d/50-todo.rules",
        POLKIT.as_bytes(),
        0o644,
        "root:root",
    )?;
    host.lab().write(
        "/etc/systemd/system/lingers.service",
        b"[Service]\nExecStart=/bin/sleep infinity\nExecStop=/bin/sleep 2\n",
        0o644,
        "root:root",
    )?;
    host.policy("todo", POLICY)?;
    host.lab().sh(
        "useradd -p '*' mallory; useradd -m -p '*' -G hosted_apps grace
         echo grace:100000:65536 >/etc/subuid
         ln -s /lib/systemd/system/ssh.service /etc/systemd/system/other-name.service
         systemctl daemon-reload; systemctl restart polkit.service
         systemctl start todo_gunicorn other looped",
    )?;
    Ok(host)
}

/// One way to ask: its name, the program for a restart, the one for another verb.
struct Way {
    name: &'static str,
    restart: &'static str,
    stop: &'static str,
    try_restart: &'static str,
}

const WAYS: [Way; 3] = [
    Way {
        name: "sudoers",
        restart: "sudo -n systemctl restart",
        stop: "sudo -n systemctl stop",
        // The rule names one verb; whoever may restart has it so.
        try_restart: "sudo -n systemctl restart",
    },
    Way {
        name: "polkit",
        restart: "systemctl --no-ask-password restart",
        stop: "systemctl --no-ask-password stop",
        try_restart: "systemctl --no-ask-password try-restart",
    },
    // It has no verb but its own; that is tried as somebody would.
    Way {
        name: "pp-restarter",
        restart: "pp-restart",
        stop: "pp-restart stop",
        try_restart: "pp-restart --try-restart",
    },
];

/// What is tried: in words, by whom, the arguments, and which units it ought to touch.
struct Attempt {
    words: &'static str,
    user: &'static str,
    before: &'static str,
    stop: bool,
    arguments: &'static str,
    right: &'static [&'static str],
    /// Refusing the whole of it is right as well.
    or_nothing: bool,
}

const fn attempt(
    words: &'static str,
    arguments: &'static str,
    right: &'static [&'static str],
) -> Attempt {
    Attempt {
        words,
        user: "gunicorn",
        before: "",
        stop: false,
        arguments,
        right,
        or_nothing: false,
    }
}

const ATTEMPTS: &[Attempt] = &[
    attempt("the listed unit", LISTED, &[LISTED]),
    Attempt {
        before: "setpriv --no-new-privs ",
        ..attempt(
            "the same by a sandboxed caller (no new privileges)",
            LISTED,
            &[LISTED],
        )
    },
    attempt("another unit", "other.service", &[]),
    Attempt {
        user: "mallory",
        ..attempt("the listed unit, by a stranger", LISTED, &[])
    },
    Attempt {
        stop: true,
        ..attempt("stop instead of restart", LISTED, &[])
    },
    attempt(
        "the listed unit and another",
        "todo_gunicorn.service other.service",
        &[LISTED],
    ),
    attempt("its name without .service", "todo_gunicorn", &[]),
    attempt("a pattern", "'todo_*.service'", &[]),
    attempt("a pattern that fits other units", "'*.service'", &[]),
    attempt("upper case", "TODO_GUNICORN.service", &[]),
    attempt("a trailing space", "'todo_gunicorn.service '", &[]),
    attempt("a path", "/etc/systemd/system/todo_gunicorn.service", &[]),
    Attempt {
        or_nothing: true,
        ..attempt(
            "an option before it",
            "--force other.service todo_gunicorn.service",
            &[LISTED],
        )
    },
    attempt(
        "a listed name that is an alias of ssh.service",
        "other-name.service",
        &[],
    ),
];

fn who_lets_what_through(host: &Host) -> Result<()> {
    let mut table = vec![
        format!("| request | {} |", WAYS.map(|way| way.name).join(" | ")),
        "|---|---|---|---|".into(),
    ];
    for attempt in ATTEMPTS {
        let mut row = format!("| {} |", attempt.words);
        for way in &WAYS {
            let touched = touched(host, way, attempt)?;
            let verdict = match touched.as_slice() {
                [] => "refused".to_owned(),
                units => format!("**{}**", units.join(", ")),
            };
            let right = touched == attempt.right || attempt.or_nothing && touched.is_empty();
            let mark = if right { "" } else { " ✗" };
            row += &format!(" {verdict}{mark} |");
            // sudo and polkit are only measured; what is ours must be right.
            assert!(
                way.name != "pp-restarter" || mark.is_empty(),
                "{}: {verdict}",
                attempt.words
            );
        }
        table.push(row);
    }
    for situation in SITUATIONS {
        let mut row = format!("| {} |", situation.words);
        for way in &WAYS {
            let came = came(host, way, situation)?;
            let right = situation.right.contains(&came.as_str());
            assert!(
                way.name != "pp-restarter" || right,
                "{}: {came}",
                situation.words
            );
            row += &format!(" {came}{} |", if right { "" } else { " ✗" });
        }
        table.push(row);
    }
    let mut row = "| the listed unit thirty times in a row: it is then |".to_owned();
    for way in &WAYS {
        host.lab().sh(
            "systemctl reset-failed looped.service; systemctl restart looped.service; sleep 11",
        )?;
        let script = format!(
            "for n in $(seq 30); do {} looped.service || true; done >/dev/null 2>&1",
            way.restart
        );
        host.lab().as_user("gunicorn").sh(&script)?;
        let state = host.lab().property("looped.service", "ActiveState")?;
        assert!(way.name != "pp-restarter" || state == "active", "{state}");
        row += &format!(" {state}{} |", if state == "active" { "" } else { " ✗" });
    }
    table.push(row);
    println!("\n{}\n", table.join("\n"));
    Ok(())
}

/// What is done to the host before somebody asks, and what the unit ought to be like after.
struct Situation {
    words: &'static str,
    before: &'static str,
    /// How the request is made; `PROGRAM` stands for the way's own.
    ask: &'static str,
    unit: &'static str,
    right: &'static [&'static str],
}

/// The caller hears that its number of groups is the reason.
const TOLD: &str = "refused, with the reason";

const SITUATIONS: &[Situation] = &[
    Situation {
        words: "a setgid copy of the way's program, run by who has left the group",
        before: "systemctl start todo_gunicorn",
        ask: "runuser -u grace -- sh -c 'p=$(command -v $(set -- PROGRAM; echo $1)); cp $p /tmp/copy-of'
              chgrp hosted_apps /tmp/copy-of; chmod 2755 /tmp/copy-of
              runuser -u mallory -- /tmp/copy-of $(set -- PROGRAM; shift; echo $*) UNIT",
        unit: LISTED,
        right: &["untouched"],
    },
    Situation {
        words: "a uid of a member's subordinate range, with the group",
        before: "systemctl start todo_gunicorn",
        ask: "setpriv --reuid 100005 --regid hosted_apps --groups hosted_apps PROGRAM UNIT",
        unit: LISTED,
        right: &["untouched"],
    },
    Situation {
        words: "while root's stop of the unit is under way",
        before: "systemctl start lingers; systemctl stop --no-block lingers; sleep 0.3",
        ask: "runuser -u grace -- PROGRAM UNIT",
        unit: "lingers.service",
        right: &["stopped"],
    },
    Situation {
        words: "a unit stopped on purpose, where only running ones are to be restarted",
        before: "systemctl stop lingers",
        ask: "runuser -u grace -- TRY UNIT",
        unit: "lingers.service",
        right: &["stopped"],
    },
    Situation {
        words: "a member in 66 groups",
        before: "systemctl start todo_gunicorn; for n in $(seq 66); do groupadd -f g$n; done",
        ask: "setpriv --reuid grace --regid grace --groups hosted_apps,$(seq -s, -f g%g 65) PROGRAM UNIT",
        unit: LISTED,
        right: &["restarted", TOLD],
    },
];

/// What became of the unit of a situation.
fn came(host: &Host, way: &Way, situation: &Situation) -> Result<String> {
    let lab = host.lab();
    lab.sh("systemctl reset-failed; systemctl stop pp-restarter.service")?;
    lab.sh(situation.before)?;
    let before = lab.property(situation.unit, "InvocationID")?;
    let script = situation
        .ask
        .replace("PROGRAM", way.restart)
        .replace("TRY", way.try_restart)
        .replace("UNIT", situation.unit);
    let asked = lab.cmd(["sh", "-c", &script]).output()?;
    // A stop that is not cancelled ends by itself.
    if situation.right == ["stopped"] {
        lab.sh("sleep 3")?;
    }
    let state = lab.property(situation.unit, "ActiveState")?;
    let renewed = lab.property(situation.unit, "InvocationID")? != before;
    if asked.stderr.contains("supplementary groups") {
        return Ok(TOLD.to_owned());
    }
    Ok(match (state.as_str(), renewed) {
        ("active", true) => "restarted".to_owned(),
        ("active", false) => "untouched".to_owned(),
        ("inactive", _) => "stopped".to_owned(),
        (state, _) => state.to_owned(),
    })
}

/// The units that one request has touched: restarted or stopped.
fn touched(host: &Host, way: &Way, attempt: &Attempt) -> Result<Vec<&'static str>> {
    host.lab().sh(
        "systemctl reset-failed; systemctl start todo_gunicorn other looped
         systemctl stop pp-restarter.service",
    )?;
    let before = invocations(host)?;
    let program = if attempt.stop { way.stop } else { way.restart };
    let script = format!(
        "{}{program} {} >/dev/null 2>&1 || true",
        attempt.before, attempt.arguments
    );
    host.lab().as_user(attempt.user).sh(&script)?;
    let after = invocations(host)?;
    let pairs = UNITS.into_iter().zip(before.iter().zip(&after));
    Ok(pairs
        .filter(|(_, (before, after))| before != after)
        .map(|(unit, _)| unit)
        .collect())
}

fn invocations(host: &Host) -> Result<Vec<String>> {
    let of = |unit: &str| -> Result<String> {
        Ok(host.lab().property(unit, "InvocationID")?
            + &host.lab().property(unit, "ActiveState")?)
    };
    UNITS.into_iter().map(of).collect()
}
