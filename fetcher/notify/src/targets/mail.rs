//! Mail, handed to the host's sendmail. The header has words of ours alone; what comes from an event is in the body, in
//! base64, where no line of it can be taken for a header or the end.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::program::{SENDMAIL, run};
use super::{Again, Fault};
use crate::clean;
use crate::config::Target;
use crate::message::Message;

/// The most characters of a line of base64 (RFC 2045).
const LINE: usize = 76;

/// Hands a mail to sendmail.
///
/// # Errors
/// [`Fault`].
pub(super) fn send(target: &Target, message: &Message) -> Result<(), Fault> {
    let to = target.to.clone().unwrap_or_default();
    let host = clean::word(&pp_events::host_name());
    let from = target
        .from
        .clone()
        .unwrap_or_else(|| format!("pp-notify@{host}"));
    let date = rfc2822::to_string(&Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC));
    let date = date.map_err(|error| Fault::new(Again::Soon, error.to_string()))?;
    let mail = compose(&from, &to, &host, &date, message);
    let usual = [SENDMAIL.to_owned(), "-i".to_owned()];
    let words = target.command.as_deref().unwrap_or(&usual);
    let mut more = vec!["-f", from.as_str(), "--"];
    more.extend(to.iter().map(String::as_str));
    run(words, &more, mail.as_bytes())
}

fn compose(from: &str, to: &[String], host: &str, date: &str, message: &Message) -> String {
    let text = format!("{}\n\n{}\n", message.title, message.body);
    let encoded = STANDARD.encode(text.replace('\n', "\r\n"));
    let mut body = String::new();
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(LINE.min(rest.len()));
        body.push_str(line);
        body.push('\n');
        rest = more;
    }
    // The same mail has the same Message-ID: most servers and programs show it once.
    format!(
        "From: {from}\nTo: {}\nSubject: {}\nDate: {date}\nMessage-ID: <{}@{host}>\nAuto-Submitted: auto-generated\n\
         MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n{body}",
        to.join(", "),
        message.title,
        message.id
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_has_the_header_that_we_wrote_and_the_text_in_base64() {
        let json = r#"{"schema":1,"id":"todo-1","at":"2026-11-27T12:00:00Z","host":"web1","app":"todo","event":"failed",
            "code":"build\r\nBcc: x@y","reason":"first\r\n.\r\nBcc: x@y\r\n\r\nsecond"}"#;
        let event = serde_json::from_str(json).unwrap();
        let message = Message::new("todo-1", &crate::store::News::Event(event));
        let to = ["ops@example.org".to_owned()];
        let mail = compose(
            "pp@web1",
            &to,
            "web1",
            "Fri, 27 Nov 2026 12:00:00 +0000",
            &message,
        );
        let (header, body) = mail.split_once("\n\n").unwrap();
        assert!(!header.contains("Bcc: "), "{header}");
        assert_eq!(header.lines().count(), 9);
        assert!(header.contains("Message-ID: <pp-todo-1@web1>"), "{header}");
        assert!(body.lines().all(|line| line.len() <= LINE && line != "."));
        let text = STANDARD.decode(body.replace('\n', "")).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("\r\nfirst\r\n.\r\nBcc: x@y\r\n"), "{text}");
    }
}
