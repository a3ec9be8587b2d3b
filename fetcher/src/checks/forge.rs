//! Asking a forge for the checks of a commit.
//!
//! Sources, read in November 2026: GitHub's "REST API endpoints for check runs" and "… for commit statuses" (API version
//! 2022-11-28), GitLab's "Commits API" (statuses of a commit), Gitea's API (`/repos/{owner}/{repo}/commits/{ref}/status`).

use std::path::Path;
use std::time::Duration;

use pp_web::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue};
use pp_web::{Client, Method, Request, Url};
use serde_json::Value;

use super::judge::{Check, judge, list};
use super::{Checks, CommitChecks, Forge, Verdict};
use crate::git::https::token::Token;
use crate::revision::Revision;
use crate::util::text;

/// The longest time that one request may take.
const WITHIN: Duration = Duration::from_secs(15);

/// The most checks that are asked for in one answer: more are not read.
const MOST: &str = "100";

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
        let get = |url: Url| self.get(checks, url);
        let (owner, name) = checks.repository.split_once('/').unwrap_or_default();
        let of_repository = |more: &[&str]| checks.url.join(&["repos", owner, name]).join(more);
        let most = [("per_page", MOST)];
        match checks.forge {
            Forge::Github => {
                let runs = get(of_repository(&["commits", &id, "check-runs"]).query(&most))?;
                // A run that has not ended has a conclusion of null.
                let mut all: Vec<Check> = Vec::new();
                for run in runs
                    .get("check_runs")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                {
                    let key = if run["conclusion"].is_string() {
                        "conclusion"
                    } else {
                        "status"
                    };
                    all.extend(list(Some(&Value::Array(vec![run.clone()])), "name", key));
                }
                let statuses = get(of_repository(&["commits", &id, "status"]).query(&most))?;
                all.extend(list(statuses.get("statuses"), "context", "state"));
                Ok(all)
            }
            Forge::Gitlab => {
                let project = [
                    "projects",
                    &checks.repository,
                    "repository",
                    "commits",
                    &id,
                    "statuses",
                ];
                let found = get(checks.url.join(&project).query(&most))?;
                let mut all = list(Some(&found), "name", "status");
                // What may fail is no reason to refuse where all are asked for.
                let jobs = found.as_array().into_iter().flatten();
                let allowed = jobs.filter(|job| job["allow_failure"] == true);
                for job in allowed {
                    let same = all
                        .iter_mut()
                        .filter(|check| Some(check.name.as_str()) == job["name"].as_str());
                    for check in same.filter(|check| check.state == super::judge::State::Failed) {
                        check.state = super::judge::State::Neutral;
                    }
                }
                Ok(all)
            }
            Forge::Gitea => {
                let found = get(of_repository(&["commits", &id, "status"]))?;
                Ok(list(found.get("statuses"), "context", "status"))
            }
        }
    }

    fn get(&self, checks: &Checks, url: Url) -> Result<Value, String> {
        let mut headers = vec![(ACCEPT, HeaderValue::from_static("application/json"))];
        if let Some(file) = &checks.token_file {
            let token = Token::read(file).map_err(|error| error.to_string())?;
            let (name, value) = match checks.forge {
                Forge::Github => (AUTHORIZATION, token.with_word("Bearer ")),
                Forge::Gitlab => (
                    HeaderName::from_static("private-token"),
                    token.with_word(""),
                ),
                Forge::Gitea => (AUTHORIZATION, token.with_word("token ")),
            };
            headers.push((name, value.ok_or("the token cannot be part of a header")?));
        }
        if checks.forge == Forge::Github {
            let version = HeaderName::from_static("x-github-api-version");
            headers.push((version, HeaderValue::from_static("2022-11-28")));
        }
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
