//! The forges, against a server on loopback that demands what their documents demand.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use super::*;
use crate::checks::Which;

const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A server that answers each target with a status and JSON, if a header is as it should be.
fn serve(header: &'static str, answers: &'static [(&'static str, u16, &'static str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                lines.push(line.trim().to_owned());
            }
            let target = lines[0].split(' ').nth(1).unwrap();
            let known = answers.iter().find(|(known, ..)| *known == target);
            let (status, json) = match known {
                _ if !lines.iter().any(|line| line == header) => (401, "{\"message\":\"who?\"}"),
                Some((_, status, json)) => (*status, *json),
                None => (404, "{\"message\":\"Not Found\"}"),
            };
            let length = json.len();
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{json}");
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

fn ask(forge: Forge, address: &str, token: &str, names: &[&str]) -> Verdict {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, token).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let checks = Checks {
        which: match names {
            [] => Which::All,
            names => Which::Named(names.iter().map(|name| (*name).to_owned()).collect()),
        },
        forge,
        url: Url::parse(address).unwrap(),
        repository: "me/todo".into(),
        token_file: Some(file),
        within: Duration::from_secs(3600),
    };
    OverHttps::new(Path::new("/nowhere"), None).ask(&checks, &Revision::parse(ID).unwrap())
}

#[test]
fn github_has_check_runs_and_statuses() {
    let address = serve(
        "authorization: Bearer s3cret",
        &[
            (
                "/repos/me/todo/commits/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/check-runs?per_page=100",
                200,
                r#"{"total_count":2,"check_runs":[{"name":"test","status":"completed","conclusion":"success"},
                {"name":"slow","status":"in_progress","conclusion":null}]}"#,
            ),
            (
                "/repos/me/todo/commits/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/status?per_page=100",
                200,
                r#"{"state":"failure","statuses":[{"context":"ci/old","state":"failure"}]}"#,
            ),
        ],
    );
    let ask = |token, names: &[&str]| ask(Forge::Github, &address, token, names);
    assert_eq!(ask("s3cret", &["test"]), Verdict::Green);
    assert_eq!(
        ask("s3cret", &["test", "slow"]),
        Verdict::Pending("not ended: slow".into())
    );
    assert_eq!(
        ask("s3cret", &["ci/old"]),
        Verdict::Failed("not successful: ci/old".into())
    );
    assert!(matches!(ask("s3cret", &[]), Verdict::Failed(_)));
    assert!(
        matches!(ask("wrong", &["test"]), Verdict::Unknown(why) if why.contains("status 401") && !why.contains("wrong"))
    );
}

#[test]
fn gitlab_has_statuses_of_jobs_that_may_be_allowed_to_fail() {
    let address = serve(
        "private-token: s3cret",
        &[(
            "/projects/me%2Ftodo/repository/commits/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/statuses?per_page=100",
            200,
            r#"[{"id":1,"name":"test","status":"failed","allow_failure":false},
            {"id":7,"name":"test","status":"success","allow_failure":false},
            {"id":8,"name":"fuzz","status":"failed","allow_failure":true}]"#,
        )],
    );
    let ask = |names: &[&str]| ask(Forge::Gitlab, &address, "s3cret", names);
    assert_eq!(ask(&["test"]), Verdict::Green);
    assert_eq!(ask(&[]), Verdict::Green);
    // It is named, so it must have succeeded.
    assert!(matches!(ask(&["fuzz"]), Verdict::Failed(_)));
}

#[test]
fn gitea_has_statuses() {
    let address = serve(
        "authorization: token s3cret",
        &[(
            "/repos/me/todo/commits/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/status?limit=100",
            200,
            r#"{"state":"pending","statuses":[{"context":"ci/test","status":"pending"}]}"#,
        )],
    );
    let ask = |names: &[&str]| ask(Forge::Gitea, &address, "s3cret", names);
    assert_eq!(
        ask(&["ci/test"]),
        Verdict::Pending("not ended: ci/test".into())
    );
    assert!(matches!(ask(&["other"]), Verdict::Pending(_)));
}

#[test]
fn a_forge_that_errs_or_is_away_is_no_answer() {
    let errs = serve("host: x", &[]);
    assert!(matches!(
        ask(Forge::Gitea, &errs, "s3cret", &[]),
        Verdict::Unknown(_)
    ));
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let away = ask(
        Forge::Github,
        &format!("http://{address}"),
        "s3cret",
        &["test"],
    );
    assert!(matches!(away, Verdict::Unknown(why) if why.contains("refused")));
}
