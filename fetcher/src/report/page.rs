//! The status page: one file of HTML with its style inside, no script, readable without the style. Every text is escaped.

use std::fmt::Write;

use jiff::Timestamp;

use super::App as Facts;
use super::standing::{Condition, Status};
use crate::state::{EndedAttempt, Outcome};
use crate::util::duration::human;
use crate::util::text;

const STYLE: &str = include_str!("page.css");

/// Writes the page.
pub(crate) fn render(host: &str, apps: &[Facts], now: Timestamp) -> String {
    let title = summary(apps);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta http-equiv=\"refresh\" content=\"60\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{host}: {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>{host}</h1><p>{title}; as of {now}</p></header>\n<main>\n",
        host = plain(host),
        title = plain(&title),
        now = time(now),
    );
    for facts in apps {
        app(&mut out, facts);
    }
    out.push_str("</main>\n<footer><p><a href=\"status.json\">the same for programs</a></p></footer>\n</body>\n</html>\n");
    out
}

/// How many apps are well, held or in need of somebody.
fn summary(apps: &[Facts]) -> String {
    let count =
        |is: &dyn Fn(Condition) -> bool| apps.iter().filter(|facts| is(facts.status.state)).count();
    let well = count(&|state| state == Condition::Ok);
    let bad = count(&Condition::is_bad);
    let parts = [
        (well, "well"),
        (apps.len() - well - bad, "new, held or waiting"),
        (bad, "in need of somebody"),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<_> = parts
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    match apps.len() {
        0 => "no app is configured".to_owned(),
        1 => format!("1 app: {}", parts.join(", ")),
        all => format!("{all} apps: {}", parts.join(", ")),
    }
}

fn app(out: &mut String, facts: &Facts) {
    let status = &facts.status;
    let class = match status.state {
        Condition::Ok => "good",
        Condition::New => "plain",
        state if state.is_bad() => "bad",
        _ => "held",
    };
    let _ = write!(
        out,
        "<section class=\"{class}\">\n<h2>{} <span class=\"state\">{}</span></h2>\n<dl>\n",
        escaped(&status.app),
        status.state.as_str()
    );
    live(out, facts);
    holds(out, status);
    troubles(out, facts);
    polls(out, facts);
    out.push_str("</dl>\n");
    attempts(out, &status.recent);
    out.push_str("</section>\n");
}

/// A name and a value, which is HTML already.
fn row(out: &mut String, name: &str, value: &str) {
    let _ = writeln!(out, "<dt>{name}</dt><dd>{value}</dd>");
}

/// What is live, and what is being done.
fn live(out: &mut String, facts: &Facts) {
    let status = &facts.status;
    let live = status.live.as_ref().map(|live| {
        let of_it = status.recent.iter().find(|ended| {
            ended.attempt.revision == live.revision && ended.outcome == Outcome::Good
        });
        let about = of_it.map(|ended| about(&ended.attempt.subject, &ended.attempt.author));
        let tag = live
            .tag
            .as_deref()
            .map(|tag| format!(" ({})", escaped(tag)));
        format!(
            "<code>{}</code>{} {}, since {}",
            live.revision.short(),
            tag.unwrap_or_default(),
            about.unwrap_or_default(),
            time(live.deployed_at)
        )
    });
    row(out, "live", live.as_deref().unwrap_or("nothing yet"));
    if let Some(now) = &status.under_way {
        let phase = escaped(now.phase.as_deref().unwrap_or("begun"));
        let what = escaped(&now.what);
        row(
            out,
            "under way",
            &format!("{what}: {phase}, since {}", time(now.since)),
        );
    }
}

/// What holds new revisions.
fn holds(out: &mut String, status: &Status) {
    if let Some(pause) = &status.paused {
        let until = pause.until.map(|until| format!(" until {}", time(until)));
        let reason = escaped(&pause.reason);
        row(
            out,
            "paused",
            &format!("{reason}{}", until.unwrap_or_default()),
        );
    }
    if let Some(hold) = &status.hold {
        let waits = status.waits.as_ref();
        let waits = waits.map(|revision| format!("<code>{}</code> waits; ", revision.short()));
        row(
            out,
            "held",
            &format!("{}{}", waits.unwrap_or_default(), escaped(&hold.what)),
        );
    }
    if let Some(window) = &status.window {
        row(out, "window", &escaped(window));
    }
    for held in status.quarantined.iter().rev().take(3) {
        let reason = escaped(held.reason.lines().next().unwrap_or_default());
        let revision = held.revision.short();
        let value = format!("<code>{revision}</code> since {}: {reason}", time(held.at));
        row(out, "held back", &value);
    }
}

/// What is wrong, or has changed.
fn troubles(out: &mut String, facts: &Facts) {
    let status = &facts.status;
    if let Some(trouble) = &status.trouble {
        let reason = escaped(trouble.reason.lines().next().unwrap_or_default());
        let next = time(trouble.next_try(facts.interval));
        let (count, since) = (trouble.count, time(trouble.since));
        let value = format!("{count} times since {since}: {reason}; asked again after {next}");
        row(out, "failing", &value);
    }
    if !status.changed.is_empty() {
        let names = escaped(&status.changed.join(", "));
        let value = format!("without a commit, since the live release was made: {names}");
        row(out, "changed", &value);
    }
    if let Some(error) = &status.error {
        row(
            out,
            "error",
            &escaped(error.lines().next().unwrap_or_default()),
        );
    }
}

/// When the app was polled, and is polled.
fn polls(out: &mut String, facts: &Facts) {
    let last = facts.note.as_ref();
    let last = last.map(|note| format!("{}: {}", time(note.at), escaped(&note.result)));
    let unknown = "not known since the host was started";
    row(out, "last poll", last.as_deref().unwrap_or(unknown));
    let next = facts.note.as_ref();
    let next = next.and_then(|note| note.at.checked_add(facts.interval).ok());
    let trouble = facts.status.trouble.as_ref();
    let next = trouble
        .map(|trouble| trouble.next_try(facts.interval))
        .or(next);
    if let Some(next) = next {
        let every = human(facts.interval);
        let value = format!(
            "about {}, where the service polls every {every}",
            time(next)
        );
        row(out, "next poll", &value);
    }
}

fn attempts(out: &mut String, recent: &[EndedAttempt]) {
    if recent.is_empty() {
        return;
    }
    out.push_str("<details><summary>last attempts</summary>\n<ol>\n");
    for ended in recent {
        let attempt = &ended.attempt;
        let phases: Vec<_> = attempt
            .phases
            .iter()
            .filter(|time| time.ms > 0)
            .map(|time| {
                format!(
                    "{} {}",
                    escaped(&time.phase),
                    human(std::time::Duration::from_millis(time.ms))
                )
            })
            .collect();
        let by = attempt
            .by
            .as_deref()
            .map(|by| format!(", by {}", escaped(by)));
        let reason = ended
            .reason
            .as_deref()
            .and_then(|reason| reason.lines().next());
        let reason = reason
            .map(|reason| format!("<br>{}", escaped(reason)))
            .unwrap_or_default();
        let _ = writeln!(
            out,
            "<li value=\"{}\"><b class=\"{}\">{}</b> <code>{}</code> {}<br><small>{}, {}{}: {}</small>{reason}</li>",
            attempt.number,
            ended.outcome.as_str(),
            ended.outcome.as_str(),
            attempt.revision.short(),
            about(&attempt.subject, &attempt.author),
            time(attempt.started_at),
            human(attempt.total()),
            by.unwrap_or_default(),
            phases.join(", ")
        );
    }
    out.push_str("</ol>\n</details>\n");
}

fn about(subject: &str, author: &str) -> String {
    if author.is_empty() {
        return escaped(subject);
    }
    format!("{} \u{2014} {}", escaped(subject), escaped(author))
}

fn time(at: Timestamp) -> String {
    let exact = at.strftime("%Y-%m-%dT%H:%M:%SZ");
    format!(
        "<time datetime=\"{exact}\">{}</time>",
        at.strftime("%Y-%m-%d %H:%M UTC")
    )
}

/// A text on one line that is nothing but text in HTML. What a right-to-left text does to the line ends with it.
fn escaped(text: &str) -> String {
    match plain(text) {
        text if text.is_empty() => text,
        text => format!("<bdi>{text}</bdi>"),
    }
}

/// The same where there can be no elements.
fn plain(text: &str) -> String {
    const LONGEST: usize = 300;
    let line = text::line(text.as_bytes());
    let mut out = String::new();
    for c in line.chars().take(LONGEST) {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::App;
    use crate::report::standing::look;

    #[test]
    fn a_hostile_text_is_text() {
        let hostile = "</dd><script>alert(1)</script>\u{202e}\" onload='x' & \u{1b}[31m";
        let text = escaped(hostile);
        assert!(
            !text.contains("<script") && !text.contains('"') && !text.contains('\''),
            "{text}"
        );
        assert!(!text.contains(['\u{202e}', '\u{1b}']), "{text}");
        assert!(text.contains("&lt;script&gt;"), "{text}");
        let base = tempfile::tempdir().unwrap();
        let root = base.path().join("root");
        let config = format!("repository = \"f:x\"\n[deploy]\nroot = {root:?}\n");
        let app = App::new(
            "todo",
            std::path::Path::new("x"),
            toml::from_str(&config).unwrap(),
        );
        let mut status = look(&app.unwrap(), base.path());
        status.error = Some(hostile.to_owned());
        let facts = Facts {
            status,
            note: None,
            interval: std::time::Duration::from_secs(60),
            releases: 0,
        };
        let page = render(hostile, &[facts], Timestamp::UNIX_EPOCH);
        assert!(
            !page.contains("<script") && !page.contains("onload='"),
            "{page}"
        );
        // Nothing is fetched from elsewhere.
        assert!(
            !page.contains("http://") && !page.contains("https://") && !page.contains("src="),
            "{page}"
        );
        let metrics = super::super::metrics::render(&[], Timestamp::UNIX_EPOCH);
        assert!(metrics.ends_with('\n') && metrics.contains("pp_fetcher_build_info{version=\""));
    }
}
