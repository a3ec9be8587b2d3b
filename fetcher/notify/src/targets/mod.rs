//! Each kind of target: from a message to what goes over the network, or to a program.
//!
//! - [`post`]: targets that are one request with JSON in it. [`forge`]: deployments and statuses.
//! - [`mail`]: the host's sendmail. [`program`]: programs, ours to start and to end.

mod forge;
mod mail;
mod post;
mod program;

use std::time::Duration;

use pp_web::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use pp_web::{Answer, Client, Method, Request, Url};
use serde_json::Value;

use crate::config::{Target, TargetKind};
use crate::message::Message;
use crate::secret;

/// The longest time that one request may take.
const WITHIN: Duration = Duration::from_secs(20);

/// Why a target was not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Why, in words for the log, without a secret.
    pub(crate) why: String,
    /// What another try can be hoped for.
    pub(crate) again: Again,
    /// Whether the target has answered.
    pub(crate) answered: bool,
}

/// What another try can be hoped for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// It may work at any moment.
    Soon,
    /// The server asks to wait so long.
    After(Duration),
    /// Somebody has to change something first, a token perhaps.
    Late,
    /// It never works: the server does not take this message.
    Never,
}

impl Fault {
    pub(crate) fn new(again: Again, why: impl Into<String>) -> Self {
        let why = why.into();
        Self {
            why,
            again,
            answered: false,
        }
    }
}

/// Tells a target. What it is not for, such as a pause for a forge, is told by doing nothing.
///
/// # Errors
/// [`Fault`].
pub(crate) fn tell(target: &Target, client: &Client, message: &Message) -> Result<(), Fault> {
    match target.kind {
        TargetKind::Mail => mail::send(target, message),
        TargetKind::Command => program::run_command(target, message),
        TargetKind::Forge => forge::tell(target, client, message),
        TargetKind::Heartbeat => beat(target, client),
        _ => {
            let request = post::request(target, message).map_err(late)?;
            let answer = ask(client, &request)?;
            judge(&answer).map(drop)
        }
    }
}

/// Asks the address of a heartbeat.
///
/// # Errors
/// [`Fault`].
pub(crate) fn beat(target: &Target, client: &Client) -> Result<(), Fault> {
    let request = Request {
        method: Method::GET,
        url: address(target).map_err(late)?,
        headers: Vec::new(),
        body: Vec::new(),
    };
    judge(&ask(client, &request)?).map(drop)
}

/// Looks at what a target needs on this host: its files, its program. Sends nothing.
///
/// # Errors
/// A sentence: what is missing, and what to do.
pub(crate) fn check(target: &Target) -> Result<(), String> {
    match target.kind {
        TargetKind::Mail | TargetKind::Command => program::check(target),
        TargetKind::Forge => {
            token(target)?;
            forge::base(target).map(drop)
        }
        _ => {
            address(target)?;
            target
                .token_file
                .as_deref()
                .map_or(Ok(()), |file| secret::read(file).map(drop))
        }
    }
}

/// Whether the target is reached over an encrypted connection.
pub(crate) fn is_over_tls(target: &Target) -> bool {
    match target.kind {
        TargetKind::Mail | TargetKind::Command => false,
        TargetKind::Forge => forge::base(target).is_ok_and(|url| url.is_encrypted()),
        _ => address(target).is_ok_and(|url| url.is_encrypted()),
    }
}

/// The target's address.
fn address(target: &Target) -> Result<Url, String> {
    let written = match (&target.url, &target.url_file) {
        (Some(url), _) => url.clone(),
        (None, Some(file)) => secret::read(file)?,
        (None, None) => return Err("it has no address".to_owned()),
    };
    Url::parse(&written).map_err(|why| match &target.url_file {
        Some(file) => format!("{}: {why}", file.display()),
        None => format!("`url`: {why}"),
    })
}

/// The target's token.
fn token(target: &Target) -> Result<String, String> {
    let file = target.token_file.as_deref();
    secret::read(file.ok_or("it has no token_file")?)
}

fn late(why: String) -> Fault {
    Fault::new(Again::Late, why)
}

fn ask(client: &Client, request: &Request) -> Result<Answer, Fault> {
    let answer = client.ask(request, WITHIN);
    answer.map_err(|error| Fault::new(Again::Soon, error.to_string()))
}

/// Gives the answer if it says that all is well.
///
/// # Errors
/// What the status means for another try.
fn judge(answer: &Answer) -> Result<&Answer, Fault> {
    let again = match (answer.status, answer.retry_after) {
        (200..=299, _) => return Ok(answer),
        // GitHub says 403 for its limits, with the time to wait.
        (403 | 429 | 503, Some(wait)) => Again::After(wait),
        (429, None) => Again::After(Duration::from_secs(60)),
        (408 | 425 | 500..=599, _) => Again::Soon,
        // A redirection would take the token along; the address has to be mended.
        (300..=399 | 401 | 403 | 404 | 410, _) => Again::Late,
        _ => Again::Never,
    };
    let text = String::from_utf8_lossy(&answer.body);
    let said = crate::clean::line(&text, 200);
    let said = if said.is_empty() {
        said
    } else {
        format!(": {said}")
    };
    Err(Fault {
        answered: true,
        ..Fault::new(again, format!("status {}{said}", answer.status))
    })
}

/// A request with JSON in it.
fn json(
    method: Method,
    url: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: &Value,
) -> Request {
    let mut headers = headers;
    headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
    Request {
        method,
        url,
        headers,
        body: body.to_string().into_bytes(),
    }
}

fn bearer(token: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    pp_web::secret(AUTHORIZATION, &format!("Bearer {token}"))
}
