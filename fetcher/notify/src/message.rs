//! The words of a message. Every text of an event is cleaned and cut here; what is not a text is a word of a fixed
//! alphabet.

use jiff::Timestamp;
use pp_events::{Event, Kind};
use serde_json::{Value, json};

use crate::clean;
use crate::store::News;

/// A message, ready to be put into the form that a target wants.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    /// A name of its own, the same however often it is sent: of letters, digits, '.', '_' and '-'.
    pub(crate) id: String,
    /// One line, of words alone.
    pub(crate) title: String,
    /// Several lines for people.
    pub(crate) body: String,
    /// Whether a person has to look.
    pub(crate) is_bad: bool,
    /// What is told, for programs.
    pub(crate) json: Value,
    /// The event, unless several are told of.
    pub(crate) event: Option<Event>,
}

impl Message {
    /// Puts news into words.
    pub(crate) fn new(id: &str, news: &News) -> Self {
        match news {
            News::Event(event) => Self::of(id, event, ""),
            News::Reminder(event) => {
                let since = event.at.strftime("%Y-%m-%d %H:%M UTC");
                Self::of(id, event, &format!("still so, since {since}\n"))
            }
            News::Digest(events, count) => Self::digest(id, events, *count),
        }
    }

    fn of(id: &str, event: &Event, first: &str) -> Self {
        let what = what(event);
        let title = match (&event.app, first) {
            (Some(app), "") => format!(
                "{} on {}: {what}",
                clean::word(app),
                clean::word(&event.host)
            ),
            (Some(app), _) => format!(
                "{} on {}: still {what}",
                clean::word(app),
                clean::word(&event.host)
            ),
            (None, _) => format!("{}: {what}", clean::word(&event.host)),
        };
        Self {
            id: clean::id(id),
            title,
            body: format!("{first}{}", body(event)),
            is_bad: event.event.is_bad(),
            json: json!({
                "schema": 1,
                "type": if first.is_empty() { "event" } else { "reminder" },
                "event": cleaned(event),
            }),
            event: first.is_empty().then(|| event.clone()),
        }
    }

    fn digest(id: &str, events: &[Event], count: u64) -> Self {
        let line = |event: &Event| {
            let app = event
                .app
                .as_deref()
                .map_or_else(|| "-".to_owned(), clean::word);
            let revision = short(event.revision.as_deref());
            format!(
                "{} {app}: {} {revision}",
                event.at.strftime("%H:%M"),
                what(event)
            )
        };
        let lines: Vec<_> = events.iter().map(line).collect();
        let more = count.saturating_sub(lines.len() as u64);
        let before = match more {
            0 => String::new(),
            more => format!("{more} earlier ones are not shown\n"),
        };
        let host = events
            .last()
            .map_or_else(|| "?".to_owned(), |event| clean::word(&event.host));
        Self {
            id: clean::id(id),
            title: format!("{host}: {count} more messages, held back for an hour"),
            body: format!("{before}{}", lines.join("\n")),
            is_bad: events.iter().any(|event| event.event.is_bad()),
            json: json!({
                "schema": 1,
                "type": "digest",
                "count": count,
                "events": events.iter().map(cleaned).collect::<Vec<_>>(),
            }),
            event: None,
        }
    }

    /// The message as one JSON object, for a program or a webhook.
    pub(crate) fn document(&self) -> Value {
        let mut document = self.json.clone();
        if let Some(fields) = document.as_object_mut() {
            fields.insert("id".into(), self.id.clone().into());
            fields.insert("title".into(), self.title.clone().into());
            fields.insert("text".into(), self.body.clone().into());
        }
        document
    }

    /// The message of `pp-notify test`.
    pub(crate) fn test(host: &str, now: Timestamp) -> Self {
        let host = clean::word(host);
        Self {
            id: format!("test-{}", now.as_millisecond()),
            title: format!("{host}: a test of pp-notify"),
            body: "This target is told what pp-fetcher does. Nothing has happened.".to_owned(),
            is_bad: false,
            json: json!({"schema": 1, "type": "test", "host": host, "at": now.to_string()}),
            event: None,
        }
    }
}

/// What has happened, in words of a fixed alphabet.
fn what(event: &Event) -> String {
    let code = event.code.as_deref().map(clean::word);
    let words = match event.event {
        Kind::Deployed => "deployed",
        Kind::Failed => "failed",
        Kind::TakenBack => "taken back, the release before serves",
        Kind::Stuck => "not well, and there is no way back",
        Kind::Recovered => "well again",
        Kind::Held => "a revision waits",
        Kind::Paused => "paused",
        Kind::Resumed => "no longer paused",
        Kind::Frozen => "frozen",
        Kind::Thawed => "no longer frozen",
        Kind::HostKeyChanged => "the forge has another host key",
        Kind::Unreachable => "the forge cannot be reached",
        Kind::Reachable => "the forge is reached again",
    };
    let bare = matches!(
        event.event,
        Kind::HostKeyChanged | Kind::Unreachable | Kind::Reachable | Kind::Deployed
    );
    match code {
        Some(code) if !bare => format!("{words} ({code})"),
        _ => words.to_owned(),
    }
}

fn short(revision: Option<&str>) -> &str {
    let whole = revision.and_then(clean::revision);
    whole.and_then(|id| id.get(..12)).unwrap_or_default()
}

/// The lines below the title.
fn body(event: &Event) -> String {
    let mut lines = Vec::new();
    let revision = short(event.revision.as_deref());
    let subject = event.subject.as_deref().map(|text| clean::line(text, 200));
    let author = event.author.as_deref().map(|text| clean::line(text, 80));
    match (revision, subject, author) {
        ("", ..) => {}
        (revision, Some(subject), author) => {
            let by = author.filter(|name| !name.is_empty());
            let by = by
                .map(|name| format!(" \u{2014} {name}"))
                .unwrap_or_default();
            lines.push(format!("{revision} {subject}{by}"));
        }
        (revision, ..) => lines.push(revision.to_owned()),
    }
    if let Some(by) = &event.by {
        lines.push(format!("asked for by hand: {}", clean::line(by, 40)));
    }
    if let Some(reason) = &event.reason {
        lines.push(clean::text(reason, 1200));
    }
    if let Some(until) = event.until {
        lines.push(format!("until {}", until.strftime("%Y-%m-%d %H:%M UTC")));
    }
    let live = short(event.live.as_deref());
    if event.event.is_bad() && !live.is_empty() && live != revision {
        lines.push(format!("live: {live}"));
    }
    if let (true, Some(app)) = (event.event.is_bad(), &event.app) {
        lines.push(format!("on the host: pp-fetcher why {}", clean::word(app)));
    }
    lines.join("\n")
}

/// The event for programs: with each text cleaned, and nothing that is not known.
fn cleaned(event: &Event) -> Value {
    let revision =
        |text: &Option<String>| text.as_deref().and_then(clean::revision).map(str::to_owned);
    let line = |text: &Option<String>| text.as_deref().map(|text| clean::line(text, 300));
    let clean = Event {
        schema: event.schema,
        id: clean::word(&event.id),
        at: event.at,
        host: clean::word(&event.host),
        app: event.app.as_deref().map(clean::word),
        event: event.event,
        code: event.code.as_deref().map(clean::word),
        revision: revision(&event.revision),
        previous: revision(&event.previous),
        live: revision(&event.live),
        author: line(&event.author),
        subject: line(&event.subject),
        attempt: event.attempt,
        ms: event.ms,
        by: line(&event.by),
        reason: event.reason.as_deref().map(|text| clean::text(text, 1500)),
        until: event.until,
    };
    serde_json::to_value(clean).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_event_is_a_plain_message() {
        let json = r#"{"schema":1,"id":"x\r\ny","at":"2026-11-27T12:00:00Z","host":"web1\r\nBcc: a@b","app":"todo<script>",
            "event":"failed","code":"build\nX: y","revision":"../../etc","author":"\u202eAda\u0007","subject":"<!channel> \u001b[31m",
            "reason":"one\r\n.\r\ntwo\u0000"}"#;
        let event: Event = serde_json::from_str(json).unwrap();
        let message = Message::new(&event.id, &News::Event(event.clone()));
        assert_eq!(
            message.title,
            "todo?script? on web1??Bcc??a?b: failed (build?X??y)"
        );
        assert_eq!(message.id, "pp-x..y");
        for text in [&message.title, &message.body, &message.json.to_string()] {
            assert!(
                !text.contains(['\r', '\u{1b}', '\u{202e}', '\0', '\u{7}']),
                "{text:?}"
            );
        }
        assert!(message.json["event"]["revision"].is_null());
    }

    #[test]
    fn a_failure_reads_well() {
        let json = format!(
            r#"{{"schema":1,"id":"todo-1","at":"2026-11-27T12:00:00Z","host":"web1","app":"todo","event":"taken-back",
            "code":"unhealthy","revision":"{}","live":"{}","author":"Ada","subject":"a change","reason":"probe: answered 500"}}"#,
            "a".repeat(40),
            "b".repeat(40)
        );
        let event: Event = serde_json::from_str(&json).unwrap();
        let message = Message::new("todo-1", &News::Event(event));
        assert_eq!(
            message.title,
            "todo on web1: taken back, the release before serves (unhealthy)"
        );
        assert_eq!(
            message.body,
            "aaaaaaaaaaaa a change \u{2014} Ada\nprobe: answered 500\nlive: bbbbbbbbbbbb\non the host: pp-fetcher why todo"
        );
    }
}
