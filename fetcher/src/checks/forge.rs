//! Asking a forge for the checks of a commit.
//!
//! Sources, read in November 2026: GitHub's "REST API endpoints for check runs" and "… for commit statuses" (API version
//! 2022-11-28), GitLab's "Commits API" (statuses of a commit), Gitea's API (`/repos/{owner}/{repo}/commits/{ref}/status`).

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pp_web::header::{ACCEPT, HeaderValue};
use pp_web::{Client, Forge, Method, Request, Url};
use serde_json::Value;

use super::judge::{Check, State, judge, list};
use super::{Checks, CommitChecks, Verdict};
use crate::git::https::token::Token;
use crate::revision::Revision;
use crate::util::text;

/// The longest time that one request may take.
const WITHIN: Duration = Duration::from_secs(15);

/// The most checks that are asked for in one answer, which is the most that the forges give.
const MOST: usize = 100;

/// The forge over https.
pub(crate) struct OverHttps {
    client: Client,
}

impl OverHttps {
    /// Makes the driver. `authorities` vouch for the forge.
    pub(crate) fn new(authorities: &Path, proxy: Option<&str>) -> Self {
        let proxy = proxy.and_then(|written| Url::parse_proxy(written).ok());
        let agent = concat!("pp-fetcher/", env!("CARGO_PKG_VERSION"));
        Self {
            client: Client::new(authorities, proxy, agent),
        }
    }

    fn found(&self, checks: &Checks, revision: &Revision) -> Result<Vec<Check>, String> {
        let id = revision.to_string();
        let (owner, name) = checks.repository.split_once('/').unwrap_or_default();
        let commit = checks.url.join(&["repos", owner, name, "commits", &id]);
        let most = MOST.to_string();
        match checks.forge {
            Forge::Github => {
                let most = [("per_page", most.as_str())];
                let runs = self.get(checks, commit.join(&["check-runs"]).query(&most))?;
                let mut all = check_runs(whole(runs.get("check_runs"))?);
                let statuses = self.get(checks, commit.join(&["status"]).query(&most))?;
                let statuses = whole(statuses.get("statuses"))?;
                all.extend(list(statuses, "context", "state"));
                Ok(all)
            }
            Forge::Gitlab => {
                let (repository, id) = (checks.repository.as_str(), id.as_str());
                let path = [
                    "projects",
                    repository,
                    "repository",
                    "commits",
                    id,
                    "statuses",
                ];
                let url = checks.url.join(&path).query(&[("per_page", most.as_str())]);
                Ok(jobs(whole(Some(&self.get(checks, url)?))?))
            }
            Forge::Gitea => {
                let url = commit.join(&["status"]).query(&[("limit", most.as_str())]);
                let found = self.get(checks, url)?;
                let statuses = whole(found.get("statuses"))?;
                let all = found.get("total_count").and_then(Value::as_u64);
                if all.is_some_and(|all| all > statuses.len() as u64) {
                    return Err(TOO_MANY.to_owned());
                }
                Ok(list(statuses, "context", "status"))
            }
        }
    }

    fn get(&self, checks: &Checks, url: Url) -> Result<Value, String> {
        let token = checks.token_file.as_deref().map(Token::read).transpose();
        let token = token.map_err(|error| error.to_string())?;
        let mut headers = checks.forge.headers(token.as_ref().map(Token::reveal))?;
        headers.push((ACCEPT, HeaderValue::from_static("application/json")));
        let request = Request {
            method: Method::GET,
            url,
            headers,
            body: Vec::new(),
        };
        let answer = self
            .client
            .ask(&request, WITHIN)
            .map_err(|error| error.to_string())?;
        if answer.status != 200 {
            let said = text::line(&answer.body);
            let said: String = said.chars().take(200).collect();
            return Err(format!(
                "{}: status {} {said}",
                checks.url.authority(),
                answer.status
            ));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|error| format!("{}: the answer is no JSON: {error}", checks.url.authority()))
    }
}

/// Why a list that may go on is no answer: what is not read might have failed.
const TOO_MANY: &str =
    "the commit has more checks than the forge lists in one answer; name those that count";

/// Gives the entries of a list that is there, and all of it.
fn whole(list: Option<&Value>) -> Result<&[Value], String> {
    match list.and_then(Value::as_array) {
        None => Err("the answer has no list of checks".to_owned()),
        Some(list) if list.len() >= MOST => Err(TOO_MANY.to_owned()),
        Some(list) => Ok(list),
    }
}

/// The check runs of GitHub. One that has not ended has a conclusion of null.
fn check_runs(runs: &[Value]) -> Vec<Check> {
    let ended = |run: &&Value| run.get("conclusion").is_some_and(Value::is_string);
    let (ended, others): (Vec<_>, Vec<_>) = runs.iter().partition(ended);
    let of = |runs: Vec<&Value>, key| {
        let runs: Vec<Value> = runs.into_iter().cloned().collect();
        list(&runs, "name", key)
    };
    let mut all = of(ended, "conclusion");
    all.extend(of(others, "status"));
    all
}

/// The jobs of GitLab: of each name the latest, of whatever pipeline. A job that may fail and did counts for nothing.
fn jobs(found: &[Value]) -> Vec<Check> {
    let number = |job: &Value| job.get("id").and_then(Value::as_u64).unwrap_or_default();
    let name = |job: &Value| job.get("name").and_then(Value::as_str).map(str::to_owned);
    let mut latest: BTreeMap<String, &Value> = BTreeMap::new();
    for job in found {
        let Some(name) = name(job) else { continue };
        let known = latest.entry(name).or_insert(job);
        if number(job) >= number(known) {
            *known = job;
        }
    }
    let jobs: Vec<Value> = latest.into_values().cloned().collect();
    let allowed = jobs
        .iter()
        .map(|job| job.get("allow_failure") == Some(&Value::Bool(true)));
    let allowed: Vec<bool> = allowed.collect();
    let mut all = list(&jobs, "name", "status");
    for (check, allowed) in all.iter_mut().zip(allowed) {
        if allowed && check.state == State::Failed {
            check.state = State::Neutral;
        }
    }
    all
}

impl CommitChecks for OverHttps {
    fn ask(&self, checks: &Checks, revision: &Revision) -> Verdict {
        match self.found(checks, revision) {
            Ok(found) => judge(&checks.which, &found),
            Err(why) => Verdict::Unknown(why),
        }
    }
}

#[cfg(test)]
#[path = "forge_tests.rs"]
mod tests;
