//! Forges: a deployment at GitHub and GitLab, a commit status at Gitea and Forgejo, which have no deployments.
//!
//! A deployment needs no right to write code, and no status of a commit is touched where one could be taken for a test's
//! (GitHub's and GitLab's statuses decide what may be merged). Before something is made, the forge is asked whether it
//! is there already: an earlier try may have been cut short after it.
//!
//! Sources, read in November 2026: GitHub's "REST API endpoints for deployments" and "… for deployment statuses" (API
//! version 2022-11-28), GitLab's "Deployments API", Gitea's API (`/repos/{owner}/{repo}/statuses/{sha}`).

use pp_events::{Event, Kind};
use pp_web::header::{ACCEPT, HeaderName, HeaderValue};
use pp_web::{Client, Forge, Method, Request, Url};
use serde_json::{Value, json};

use super::{Again, Fault, ask, json, judge, late, token};
use crate::clean;
use crate::config::Target;
use crate::message::Message;

/// The most characters that GitHub takes as a description.
const DESCRIPTION: usize = 140;

/// What a forge is told.
struct Told<'a> {
    base: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The repository's owner and name, or groups and name.
    repository: &'a str,
    revision: &'a str,
    /// Host and app: what the forge calls the environment.
    environment: String,
    good: bool,
    description: String,
    id: &'a str,
    reference: &'a str,
}

/// Tells a forge of an event. What is not about a revision's attempt is not for a forge.
///
/// # Errors
/// [`Fault`].
pub(super) fn tell(target: &Target, client: &Client, message: &Message) -> Result<(), Fault> {
    let Some((forge, told)) = told(target, message).map_err(late)? else {
        return Ok(());
    };
    match forge {
        Forge::Github => github(client, &told),
        Forge::Gitlab => gitlab(client, &told),
        Forge::Gitea => gitea(client, &told),
    }
}

/// The address of the forge's API.
///
/// # Errors
/// A sentence: it cannot be read.
pub(super) fn base(target: &Target) -> Result<Url, String> {
    let forge = target.forge.ok_or("it has no forge")?;
    let url = match (&target.url, &target.url_file, forge.public()) {
        (None, None, Some(public)) => Url::parse(public).map_err(|why| why.to_string())?,
        _ => super::address(target)?,
    };
    Ok(forge.api(&url))
}

fn told<'a>(target: &'a Target, message: &'a Message) -> Result<Option<(Forge, Told<'a>)>, String> {
    let Some(event) = &message.event else {
        return Ok(None);
    };
    let revision = event.revision.as_deref().and_then(clean::revision);
    let (Some(revision), Some(good), Some(forge)) = (revision, outcome(event), target.forge) else {
        return Ok(None);
    };
    let token = token(target)?;
    let mut headers = forge.headers(Some(&token))?;
    let accepts = match forge {
        Forge::Github => "application/vnd.github+json",
        _ => "application/json",
    };
    headers.push((ACCEPT, HeaderValue::from_static(accepts)));
    let app = event.app.as_deref().map(clean::word).unwrap_or_default();
    Ok(Some((
        forge,
        Told {
            base: base(target)?,
            headers,
            repository: target.repository.as_deref().unwrap_or_default(),
            revision,
            environment: format!("{}/{app}", clean::word(&event.host)),
            good,
            description: clean::line(&message.title, DESCRIPTION),
            id: &message.id,
            reference: target.reference.as_deref().unwrap_or_default(),
        },
    )))
}

/// Whether the event is the good or the bad end of an attempt; `None` if it is neither.
fn outcome(event: &Event) -> Option<bool> {
    event.attempt?;
    match event.event {
        Kind::Deployed | Kind::Recovered => Some(true),
        Kind::Failed | Kind::TakenBack | Kind::Stuck => Some(false),
        _ => None,
    }
}

impl Told<'_> {
    fn request(&self, method: Method, url: Url, body: &Value) -> Request {
        json(method, url, self.headers.clone(), body)
    }

    /// Asks, and gives the JSON of the answer.
    fn get(&self, client: &Client, url: Url) -> Result<Value, Fault> {
        let request = Request {
            method: Method::GET,
            url,
            headers: self.headers.clone(),
            body: Vec::new(),
        };
        parsed(&judge(&ask(client, &request)?)?.body)
    }

    fn send(
        &self,
        client: &Client,
        method: Method,
        url: Url,
        body: &Value,
    ) -> Result<Value, Fault> {
        let request = self.request(method, url, body);
        parsed(&judge(&ask(client, &request)?)?.body)
    }

    fn of_repository(&self, more: &[&str]) -> Url {
        let (owner, name) = self.repository.split_once('/').unwrap_or_default();
        let url = self.base.join(&["repos", owner, name]);
        url.join(more)
    }
}

fn parsed(body: &[u8]) -> Result<Value, Fault> {
    serde_json::from_slice(body)
        .map_err(|error| Fault::new(Again::Soon, format!("the answer is no JSON: {error}")))
}

fn number(value: &Value) -> Result<String, Fault> {
    let id = value.get("id").and_then(Value::as_u64);
    id.map(|id| id.to_string())
        .ok_or_else(|| Fault::new(Again::Soon, "the answer has no id"))
}

fn github(client: &Client, told: &Told<'_>) -> Result<(), Fault> {
    let deployments = told.of_repository(&["deployments"]);
    let query = [
        ("sha", told.revision),
        ("environment", told.environment.as_str()),
    ];
    let there = told.get(client, deployments.query(&query))?;
    let same =
        |found: &&Value| found.pointer("/payload/id").and_then(Value::as_str) == Some(told.id);
    let deployment = match there.as_array().into_iter().flatten().find(same) {
        Some(found) => number(found)?,
        None => {
            let body = json!({
                "ref": told.revision,
                "environment": told.environment,
                "description": told.description,
                // Else GitHub waits for every status of the commit, or merges the default branch into it.
                "required_contexts": [],
                "auto_merge": false,
                "payload": {"id": told.id},
            });
            let made = told.send(client, Method::POST, deployments, &body)?;
            number(&made)?
        }
    };
    let statuses = told.of_repository(&["deployments", &deployment, "statuses"]);
    let state = if told.good { "success" } else { "failure" };
    let there = told.get(client, statuses.clone())?;
    let same = |found: &Value| found.get("state").and_then(Value::as_str) == Some(state);
    if there.as_array().into_iter().flatten().any(same) {
        return Ok(());
    }
    let body = json!({
        "state": state,
        "environment": told.environment,
        "description": told.description,
        // A failed deployment leaves the one before in place: that release serves.
        "auto_inactive": told.good,
    });
    told.send(client, Method::POST, statuses, &body).map(drop)
}

fn gitlab(client: &Client, told: &Told<'_>) -> Result<(), Fault> {
    let url = told
        .base
        .join(&["projects", told.repository, "deployments"]);
    let query = [
        ("environment", told.environment.as_str()),
        ("order_by", "id"),
        ("sort", "desc"),
        ("per_page", "1"),
    ];
    let status = if told.good { "success" } else { "failed" };
    let there = told.get(client, url.query(&query))?;
    let text = |name: &str| there.pointer(&format!("/0/{name}")).and_then(Value::as_str);
    // The latest of this environment tells the same: nothing to add.
    if text("sha") == Some(told.revision) && text("status") == Some(status) {
        return Ok(());
    }
    let body = json!({
        "environment": told.environment,
        "sha": told.revision,
        "ref": told.reference,
        "tag": false,
        "status": status,
    });
    told.send(client, Method::POST, url, &body).map(drop)
}

fn gitea(client: &Client, told: &Told<'_>) -> Result<(), Fault> {
    let url = told.of_repository(&["statuses", told.revision]);
    let state = if told.good { "success" } else { "failure" };
    let context = format!("pull-and-pray/{}", told.environment);
    let there = told.get(
        client,
        url.query(&[("sort", "recentupdate"), ("limit", "50")]),
    )?;
    let of_us =
        |found: &&Value| found.get("context").and_then(Value::as_str) == Some(context.as_str());
    let last = there.as_array().into_iter().flatten().find(of_us);
    if last
        .and_then(|found| found.get("status"))
        .and_then(Value::as_str)
        == Some(state)
    {
        return Ok(());
    }
    let body = json!({"state": state, "context": context, "description": told.description});
    told.send(client, Method::POST, url, &body).map(drop)
}

#[cfg(test)]
#[path = "forge_tests.rs"]
mod tests;
