//! Targets that are one request with JSON in it: a webhook of ours, and the forms of Slack, Matrix, ntfy and Discord.
//!
//! Sources, read in November 2026: Slack's "Formatting message text" (which characters are escaped), Matrix' client-server
//! API (`PUT …/send/{type}/{txnId}`, which takes a message once for each transaction id), ntfy's "Publish as JSON",
//! Discord's "Execute Webhook" (`allowed_mentions`; at most 2,000 characters).

use pp_web::header::{HeaderName, HeaderValue};
use pp_web::{Method, Request};
use serde_json::json;

use super::{address, bearer, json, token};
use crate::clean;
use crate::config::{Target, TargetKind};
use crate::message::Message;

/// The most characters that Discord takes in one message.
const DISCORD: usize = 1900;

/// Makes the request.
///
/// # Errors
/// A sentence: a file of the target cannot be read.
pub(super) fn request(target: &Target, message: &Message) -> Result<Request, String> {
    let url = address(target)?;
    let text = format!("{}\n{}", message.title, message.body);
    let mut headers = Vec::new();
    if target.token_file.is_some() {
        headers.push(bearer(&token(target)?)?);
    }
    let room = target.room.as_deref().unwrap_or_default();
    Ok(match target.kind {
        TargetKind::Slack => {
            // In a block of code, where Mattermost and Rocket.Chat make no links and load no images.
            let text = slack(&message.body.replace('`', "'"));
            let text = format!("*{}*\n```\n{text}\n```", slack(&message.title));
            let body = json!({"text": text});
            json(Method::POST, url, headers, &body)
        }
        TargetKind::Matrix => {
            let url = url.join(&[
                "_matrix",
                "client",
                "v3",
                "rooms",
                room,
                "send",
                "m.room.message",
                &message.id,
            ]);
            json(
                Method::PUT,
                url,
                headers,
                &json!({"msgtype": "m.notice", "body": text}),
            )
        }
        TargetKind::Ntfy => {
            let body = json!({
                "topic": room,
                "title": message.title,
                "message": clean::text(&message.body, 3500),
                "priority": if message.is_bad { 4 } else { 3 },
                "tags": [if message.is_bad { "warning" } else { "white_check_mark" }],
            });
            json(Method::POST, url, headers, &body)
        }
        TargetKind::Discord => {
            // Backquotes would end the block; nobody is called by name.
            let body = message.body.replace('`', "'");
            let content = format!(
                "**{}**\n```\n{}\n```",
                message.title,
                clean::text(&body, DISCORD - 300)
            );
            json(
                Method::POST,
                url,
                headers,
                &json!({"content": content, "allowed_mentions": {"parse": []}}),
            )
        }
        // The rest of the kinds has a room of its own.
        _ => {
            let id = HeaderValue::from_str(&message.id).map_err(|_| "the id is no header")?;
            // A receiver that has seen this key has seen the message (draft-ietf-httpapi-idempotency-key-header).
            headers.push((HeaderName::from_static("idempotency-key"), id));
            json(Method::POST, url, headers, &message.document())
        }
    })
}

/// Escapes what Slack would read as a link, a mention or a command.
fn slack(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    // Mattermost reads a bare @channel.
    text.replace('@', "@\u{2060}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::News;

    fn target(kind: &str, more: &str) -> Target {
        let text = format!("name = \"x\"\ntype = \"{kind}\"\nurl = \"https://host/hook\"\n{more}");
        toml::from_str(&text).unwrap()
    }

    fn message() -> Message {
        let json = r#"{"schema":1,"id":"todo-1","at":"2026-11-27T12:00:00Z","host":"web1","app":"todo","event":"failed",
            "code":"build","reason":"<!channel> <http://x|y> @channel ``` @everyone & more"}"#;
        Message::new("todo-1", &News::Event(serde_json::from_str(json).unwrap()))
    }

    fn body(request: &Request) -> serde_json::Value {
        serde_json::from_slice(&request.body).unwrap()
    }

    #[test]
    fn no_text_of_an_event_is_a_mention_or_a_link() {
        let slack = request(&target("slack", ""), &message()).unwrap();
        let text = body(&slack)["text"].to_string();
        assert!(text.contains("&lt;!channel&gt;"), "{text}");
        assert!(!text.contains("<") && !text.contains("@channel"), "{text}");
        let discord = body(&request(&target("discord", ""), &message()).unwrap());
        assert_eq!(discord["allowed_mentions"]["parse"], json!([]));
        assert_eq!(
            discord["content"].as_str().unwrap().matches("```").count(),
            2
        );
    }

    #[test]
    fn each_form_is_that_of_its_service() {
        let webhook = request(&target("webhook", ""), &message()).unwrap();
        let found = body(&webhook);
        assert_eq!(found["event"]["event"], "failed");
        assert_eq!(
            (&found["id"], &found["type"]),
            (&json!("pp-todo-1"), &json!("event"))
        );
        assert!(
            webhook
                .headers
                .iter()
                .any(|(name, value)| name == "idempotency-key" && value == "pp-todo-1")
        );
        let matrix = Target {
            token_file: None,
            ..target("matrix", "room = \"!a/b:example.org\"\n")
        };
        let matrix = request(&matrix, &message()).unwrap();
        assert_eq!(matrix.method, Method::PUT);
        let path =
            "/hook/_matrix/client/v3/rooms/%21a%2Fb%3Aexample.org/send/m.room.message/pp-todo-1";
        assert_eq!(matrix.url.path(), path);
        assert_eq!(body(&matrix)["msgtype"], "m.notice");
        let ntfy = body(&request(&target("ntfy", "room = \"apps\"\n"), &message()).unwrap());
        assert_eq!(
            (&ntfy["topic"], &ntfy["priority"]),
            (&json!("apps"), &json!(4))
        );
        assert_eq!(ntfy["title"], "todo on web1: failed (build)");
    }
}
