//! The forges, against a server on loopback that demands what their documents demand and answers as they do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use super::*;
use crate::store::News;

/// What a forge was asked, and what it keeps.
#[derive(Debug, Default)]
struct Kept {
    requests: Vec<String>,
    deployments: Vec<Value>,
    statuses: Vec<Value>,
    /// The next answers instead of the right ones: status and a further header.
    instead: Vec<(u16, &'static str)>,
}

struct Server {
    address: String,
    kept: Arc<Mutex<Kept>>,
    directory: tempfile::TempDir,
}

const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Answers one request: the status and the JSON.
type Forges = fn(&mut Kept, &str, &str, &[(String, String)], &Value) -> (u16, Value);

impl Server {
    fn start(answer: Forges) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let kept = Arc::new(Mutex::new(Kept::default()));
        let shared = Arc::clone(&kept);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let mut head = Vec::new();
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).unwrap();
                    if line.trim().is_empty() {
                        break;
                    }
                    head.push(line.trim().to_owned());
                }
                let mut first = head[0].split(' ');
                let (method, target) = (first.next().unwrap(), first.next().unwrap());
                let headers: Vec<_> = head[1..]
                    .iter()
                    .filter_map(|line| line.split_once(": "))
                    .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                    .collect();
                let length = header(&headers, "content-length").parse().unwrap_or(0);
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let mut kept = shared.lock().unwrap();
                kept.requests.push(format!("{method} {target}"));
                let (status, more, json) = match kept.instead.pop() {
                    Some((status, more)) => (status, more, json!({"message": "no"})),
                    None => {
                        let (status, json) = answer(&mut kept, method, target, &headers, &body);
                        (status, "x: y", json)
                    }
                };
                drop(kept);
                let text = json.to_string();
                let length = text.len();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\n{more}\r\ncontent-length: {length}\r\n\r\n{text}"
                );
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        });
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token");
        std::fs::write(&token, "s3cret\n").unwrap();
        std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        Self {
            address,
            kept,
            directory,
        }
    }

    fn target(&self, forge: &str) -> Target {
        let token = self.directory.path().join("token");
        let text = format!(
            "name = \"forge\"\ntype = \"forge\"\nforge = \"{forge}\"\nurl = \"{}\"\nrepository = \"me/todo\"\n\
             token_file = {token:?}\napps = [\"todo\"]\nref = \"main\"\n",
            self.address
        );
        toml::from_str(&text).unwrap()
    }

    fn tell(&self, forge: &str, number: u32, kind: &str) -> Result<(), Fault> {
        let json = format!(
            r#"{{"schema":1,"id":"todo-{number}","at":"2026-11-27T12:00:00Z","host":"web1","app":"todo",
            "event":"{kind}","code":"build","revision":"{ID}","attempt":{number},"subject":"<b>x</b>"}}"#
        );
        let event = serde_json::from_str(&json).unwrap();
        let message = Message::new(&format!("todo-{number}"), &News::Event(event));
        let authorities = Path::new(pp_web::AUTHORITIES);
        let client = Client::new(authorities, None, "test");
        super::super::tell(&self.target(forge), &client, &message)
    }

    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.kept.lock().unwrap().requests)
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    let found = headers.iter().find(|(n, _)| n == name);
    found.map_or("", |(_, value)| value.as_str())
}

/// Whether an object has these fields, each of its type, and no other.
fn is_exactly(body: &Value, fields: &[(&str, &str)]) -> bool {
    let type_of = |value: &Value| match value {
        Value::String(_) => "text",
        Value::Bool(_) => "bool",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
        _ => "other",
    };
    let object = body.as_object();
    object.is_some_and(|object| object.len() == fields.len())
        && fields
            .iter()
            .all(|(name, of)| body.get(name).map(type_of) == Some(of))
}

fn github(
    kept: &mut Kept,
    method: &str,
    target: &str,
    headers: &[(String, String)],
    body: &Value,
) -> (u16, Value) {
    if header(headers, "authorization") != "Bearer s3cret" {
        return (401, json!({"message": "Bad credentials"}));
    }
    if header(headers, "accept") != "application/vnd.github+json"
        || header(headers, "x-github-api-version") != "2022-11-28"
        || header(headers, "user-agent").is_empty()
    {
        return (400, json!({"message": "headers"}));
    }
    let path = target.split('?').next().unwrap();
    match (method, path) {
        ("GET", "/repos/me/todo/deployments") => {
            assert!(
                target.contains(&format!("sha={ID}")) && target.contains("environment=web1%2Ftodo"),
                "{target}"
            );
            (200, json!(kept.deployments))
        }
        ("POST", "/repos/me/todo/deployments") => {
            let fields = [
                ("ref", "text"),
                ("environment", "text"),
                ("description", "text"),
                ("required_contexts", "list"),
                ("auto_merge", "bool"),
                ("payload", "object"),
            ];
            // What GitHub does unless it is told: it waits for every status of the commit.
            if !is_exactly(body, &fields) || body["required_contexts"] != json!([]) {
                return (
                    409,
                    json!({"message": "Conflict: commit status checks failed"}),
                );
            }
            if body["auto_merge"] == true {
                return (202, json!({"message": "Auto-merged"}));
            }
            let id = kept.deployments.len() + 1;
            kept.deployments.push(
                json!({"id": id, "payload": body["payload"], "environment": body["environment"]}),
            );
            (201, json!({"id": id}))
        }
        ("GET", path) if path.ends_with("/statuses") => (200, json!(kept.statuses)),
        (
            "POST",
            "/repos/me/todo/deployments/1/statuses" | "/repos/me/todo/deployments/2/statuses",
        ) => {
            let fields = [
                ("state", "text"),
                ("environment", "text"),
                ("description", "text"),
                ("auto_inactive", "bool"),
            ];
            if !is_exactly(body, &fields)
                || !["success", "failure"].contains(&body["state"].as_str().unwrap())
            {
                return (422, json!({"message": "Validation Failed"}));
            }
            kept.statuses.push(body.clone());
            (201, json!({"id": 7}))
        }
        _ => (404, json!({"message": "Not Found"})),
    }
}

#[test]
fn github_gets_one_deployment_for_an_attempt_however_often_it_is_tried() {
    let server = Server::start(github);
    server.tell("github", 1, "deployed").unwrap();
    server.tell("github", 1, "deployed").unwrap();
    let kept = server.kept.lock().unwrap();
    assert_eq!((kept.deployments.len(), kept.statuses.len()), (1, 1));
    assert_eq!(kept.deployments[0]["environment"], "web1/todo");
    assert_eq!(kept.statuses[0]["state"], "success");
    drop(kept);
    // Cut short between the deployment and its status.
    server.kept.lock().unwrap().instead = vec![(500, "x: y"), (200, "x: y")];
    server.requests();
    let fault = server.tell("github", 2, "taken-back").unwrap_err();
    assert_eq!(fault.again, Again::Soon, "{fault:?}");
    server.kept.lock().unwrap().statuses.clear();
    server.tell("github", 2, "taken-back").unwrap();
    let kept = server.kept.lock().unwrap();
    assert_eq!(kept.statuses.last().unwrap()["state"], "failure");
    assert_eq!(kept.statuses.last().unwrap()["auto_inactive"], false);
}

#[test]
fn what_is_about_no_attempt_is_not_told_to_a_forge() {
    let server = Server::start(github);
    server.tell("github", 1, "paused").unwrap();
    server.tell("github", 1, "unreachable").unwrap();
    assert_eq!(server.requests(), [""; 0]);
}

#[test]
fn each_status_of_a_forge_says_whether_another_try_helps() {
    use std::time::Duration;
    for (status, more, again) in [
        (401, "x: y", Again::Late),
        (403, "x: y", Again::Late),
        (
            403,
            "retry-after: 77",
            Again::After(Duration::from_secs(77)),
        ),
        (404, "x: y", Again::Late),
        (301, "location: https://elsewhere.example", Again::Late),
        (422, "x: y", Again::Never),
        (
            429,
            "retry-after: 30",
            Again::After(Duration::from_secs(30)),
        ),
        (429, "x: y", Again::After(Duration::from_secs(60))),
        (500, "x: y", Again::Soon),
        (503, "retry-after: 9", Again::After(Duration::from_secs(9))),
    ] {
        let server = Server::start(github);
        server.kept.lock().unwrap().instead = vec![(status, more)];
        let fault = server.tell("github", 1, "deployed").unwrap_err();
        assert_eq!(fault.again, again, "{status} {more}: {fault:?}");
        assert!(
            fault.why.contains(&status.to_string()) && !fault.why.contains("s3cret"),
            "{fault:?}"
        );
        assert_eq!(server.requests().len(), 1, "no redirection is followed");
    }
}

fn gitlab(
    kept: &mut Kept,
    method: &str,
    target: &str,
    headers: &[(String, String)],
    body: &Value,
) -> (u16, Value) {
    if header(headers, "private-token") != "s3cret" || !header(headers, "authorization").is_empty()
    {
        return (401, json!({"message": "401 Unauthorized"}));
    }
    let path = target.split('?').next().unwrap();
    if path != "/api/v4/projects/me%2Ftodo/deployments" {
        return (404, json!({"message": "404 Project Not Found"}));
    }
    if method == "GET" {
        let last: Vec<_> = kept.deployments.iter().rev().take(1).collect();
        return (200, json!(last));
    }
    let fields = [
        ("environment", "text"),
        ("sha", "text"),
        ("ref", "text"),
        ("tag", "bool"),
        ("status", "text"),
    ];
    let states = ["running", "success", "failed", "canceled"];
    if !is_exactly(body, &fields) || !states.contains(&body["status"].as_str().unwrap()) {
        return (400, json!({"error": "status does not have a valid value"}));
    }
    kept.deployments.push(body.clone());
    (201, json!({"id": 1}))
}

#[test]
fn gitlab_gets_a_deployment_of_the_environment_once() {
    let server = Server::start(gitlab);
    server.tell("gitlab", 1, "deployed").unwrap();
    server.tell("gitlab", 1, "deployed").unwrap();
    server.tell("gitlab", 2, "failed").unwrap();
    let kept = server.kept.lock().unwrap();
    let told: Vec<_> = kept
        .deployments
        .iter()
        .map(|d| d["status"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["success", "failed"]);
    assert_eq!(
        (&kept.deployments[0]["sha"], &kept.deployments[0]["ref"]),
        (&json!(ID), &json!("main"))
    );
}

fn gitea(
    kept: &mut Kept,
    method: &str,
    target: &str,
    headers: &[(String, String)],
    body: &Value,
) -> (u16, Value) {
    if header(headers, "authorization") != "token s3cret" {
        return (401, json!({"message": "token is required"}));
    }
    let path = target.split('?').next().unwrap();
    if path != format!("/api/v1/repos/me/todo/statuses/{ID}") {
        return (404, json!({"message": "not found"}));
    }
    if method == "GET" {
        let newest: Vec<_> = kept.statuses.iter().rev().collect();
        return (200, json!(newest));
    }
    let fields = [
        ("state", "text"),
        ("context", "text"),
        ("description", "text"),
    ];
    let states = ["pending", "success", "error", "failure", "warning"];
    if !is_exactly(body, &fields) || !states.contains(&body["state"].as_str().unwrap()) {
        return (422, json!({"message": "invalid state"}));
    }
    // Gitea calls it `state` where it is written and `status` where it is read.
    kept.statuses
        .push(json!({"status": body["state"], "context": body["context"]}));
    (201, json!({"id": 1}))
}

#[test]
fn gitea_gets_a_status_whose_context_names_host_and_app_once() {
    let server = Server::start(gitea);
    server.tell("gitea", 1, "failed").unwrap();
    server.tell("gitea", 1, "failed").unwrap();
    server.tell("gitea", 2, "recovered").unwrap();
    let kept = server.kept.lock().unwrap();
    let told: Vec<_> = kept
        .statuses
        .iter()
        .map(|s| s["status"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["failure", "success"]);
    assert_eq!(kept.statuses[0]["context"], "pull-and-pray/web1/todo");
}
