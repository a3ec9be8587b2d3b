//! `pp-fetcher doctor`: the condition of every link of an app's chain.

use std::ffi::OsString;

use serde::Serialize;

use super::args::{Arguments, Doctor};
use super::output::style::{TextStyle, Tone};
use super::output::{print_error, print_prompt, say, say_json};
use super::{FAILED, OK, USAGE, load, say_no_app, select};
use crate::config::App;
use crate::doctor::{self, ByRoot, Condition, Finding, Surroundings, old_way, sandbox};

/// The version of the JSON document.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    apps: Vec<Examined<'a>>,
}

#[derive(Serialize)]
struct Examined<'a> {
    app: &'a str,
    links: Vec<Finding>,
}

/// Looks at every link of one app, or of all apps. Gives the exit code.
pub(crate) fn doctor(arguments: &Arguments, options: &Doctor) -> u8 {
    let json = options.json;
    let names: Vec<String> = options.app.iter().cloned().collect();
    let by_root: Option<ByRoot> = options
        .by_root
        .as_deref()
        .map(|found| serde_json::from_str(found).unwrap_or_default());
    let config = match load(&arguments.config(), &names) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let broken = config.broken_of(&names).next().is_some();
    let all = config.apps.clone();
    let apps = match select(config, &names) {
        Ok(apps) => apps,
        Err(code) => return code,
    };
    if apps.is_empty() && !broken && !json {
        say_no_app(arguments);
    }
    let states = arguments.state();
    let around = Surroundings {
        apps: &all,
        states: &states,
        by_root: by_root.as_ref(),
    };
    let examined: Vec<_> = apps.iter().map(|app| examine(app, around, json)).collect();
    let is_fault = |finding: &Finding| finding.condition == Condition::Fault;
    let faults = examined.iter().any(|app| app.links.iter().any(is_fault));
    if json {
        let document = Document {
            schema: SCHEMA,
            apps: examined,
        };
        let text = serde_json::to_string_pretty(&document).unwrap_or_default();
        say_json(&format!("{text}\n"));
    }
    match (broken, faults) {
        (true, _) => USAGE,
        (false, true) => FAILED,
        (false, false) => OK,
    }
}

fn examine<'a>(app: &'a App, around: Surroundings<'_>, json: bool) -> Examined<'a> {
    let look = TextStyle::stdout();
    let mut links = Vec::new();
    if !json {
        say(&format!("{}\n", app.name));
    }
    doctor::examine(app, around, &mut |finding| {
        if !json {
            say(&format_finding(&finding, look));
        }
        links.push(finding);
    });
    if !json {
        say(&format!("{}: {}\n", app.name, summary(&links)));
    }
    Examined {
        app: &app.name,
        links,
    }
}

fn format_finding(finding: &Finding, look: TextStyle) -> String {
    let (word, tone) = match finding.condition {
        Condition::Ok => ("ok", Tone::Good),
        Condition::Warning => ("warning", Tone::Held),
        Condition::Fault => ("FAULT", Tone::Bad),
        Condition::Skipped => ("skipped", Tone::Plain),
    };
    // The colour has no width, so the blanks are counted without it.
    let gap = " ".repeat(9_usize.saturating_sub(word.len()));
    let mut text = format!(
        "  {}{gap}{:<14} {}\n",
        look.paint(tone, word),
        finding.link,
        finding.text
    );
    for line in &finding.remedy {
        text.push_str(&format!("{:27}{line}\n", ""));
    }
    text
}

fn summary(links: &[Finding]) -> String {
    let count = |condition| links.iter().filter(|f| f.condition == condition).count();
    let many = |n: usize, what: &str| match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    };
    match (count(Condition::Fault), count(Condition::Warning)) {
        (0, 0) => "every link holds".to_owned(),
        (0, warnings) => format!("no fault, {}", many(warnings, "warning")),
        (faults, warnings) => format!("{}, {}", many(faults, "fault"), many(warnings, "warning")),
    }
}

/// What root does of the doctor's work.
pub(super) enum AsRoot {
    /// The doctor has run in the sandbox of the service; its exit code.
    Done(u8),
    /// No service polls these apps: a process of their user has to look, with these words on its command line.
    Continue([OsString; 2]),
}

/// Finds out what only root can, and runs the doctor in the sandbox of the service that polls these apps, if one does.
pub(super) fn as_root(arguments: &Arguments, options: &Doctor, user: &str) -> AsRoot {
    let unit = match arguments.user.as_deref() {
        Some(user) if arguments.is_of_a_users_own() => format!("pp-fetcher@{user}.service"),
        _ => "pp-fetcher.service".to_owned(),
    };
    let in_use = sandbox::is_in_use(&unit);
    let by_root = ByRoot {
        unit: in_use.then(|| unit.clone()),
        left_over: old_way::found_by_root(user),
    };
    let by_root = serde_json::to_string(&by_root).unwrap_or_default();
    let by_root = ["--by-root".into(), OsString::from(by_root)];
    if !in_use {
        return AsRoot::Continue(by_root);
    }
    let mut words: Vec<OsString> = vec!["doctor".into()];
    words.extend(arguments.for_another());
    words.extend_from_slice(&by_root);
    words.extend(options.json.then(|| "--json".into()));
    words.extend(options.app.iter().map(OsString::from));
    let lines = sandbox::Lines {
        output: &say,
        errors: &print_prompt,
    };
    let why = match sandbox::run(&unit, user, &words, &lines) {
        Ok(Some(code @ (OK | FAILED | USAGE))) => return AsRoot::Done(code),
        Ok(Some(code)) => {
            format!("the doctor was ended in the sandbox of {unit} (exit code {code})")
        }
        Ok(None) => {
            format!("the sandbox of {unit} cannot be made: is a path there that its settings name?")
        }
        Err(error) => format!("systemd-run cannot be started: {error}"),
    };
    print_error(&format!(
        "{why}\n  journalctl -n 20 and systemctl status {unit} show more"
    ));
    AsRoot::Done(FAILED)
}
