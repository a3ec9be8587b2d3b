//! `pp-fetcher doctor`: the condition of every link of an app's chain.

use std::ffi::OsString;

use serde::Serialize;

use super::args::{Arguments, Doctor};
use super::output::style::{TextStyle, Tone};
use super::output::{print_error, say, say_json};
use super::{FAILED, OK, USAGE, load, select};
use crate::config::App;
use crate::doctor::old_way::{self, LeftOver};
use crate::doctor::{self, Condition, Finding, Surroundings, sandbox};

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
    let left_over: Option<Vec<LeftOver>> = options
        .left_over
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
        let directory = arguments.config().join("apps.d");
        say(&format!(
            "no app is configured in {}\n",
            directory.display()
        ));
    }
    let states = arguments.state();
    let around = Surroundings {
        apps: &all,
        states: &states,
        left_over: left_over.as_deref(),
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

/// Finds, as root, what is left of the old way for the user `name`; gives it as words of the command line.
pub(super) fn left_over(name: &str) -> [OsString; 2] {
    let found = serde_json::to_string(&old_way::found_by_root(name));
    ["--left-over".into(), found.unwrap_or_default().into()]
}

/// Runs the doctor in the sandbox of the service, as root can. Gives the exit code; `None` if no service polls these
/// apps, so that a process of their user without a sandbox has to look.
pub(super) fn in_the_sandbox(
    arguments: &Arguments,
    options: &Doctor,
    left_over: &[OsString],
) -> Option<u8> {
    let unit = match arguments.user.as_deref() {
        Some(user) if arguments.is_of_a_users_own() => format!("pp-fetcher@{user}.service"),
        _ => "pp-fetcher.service".to_owned(),
    };
    let mut words: Vec<OsString> = vec!["doctor".into()];
    words.extend(arguments.for_another());
    words.extend_from_slice(left_over);
    words.extend(options.json.then(|| "--json".into()));
    words.extend(options.app.iter().map(OsString::from));
    match sandbox::run(&unit, &words)? {
        Ok(status) => status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .or(Some(FAILED)),
        Err(error) => {
            print_error(&format!(
                "systemd-run cannot be started: {error}; this looks from outside of the service's sandbox"
            ));
            None
        }
    }
}
