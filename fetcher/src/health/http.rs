//! One GET request to the health URL, over TCP or a Unix socket; only the status of the answer matters.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::rt::{Read, Write};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::answer::Answer;
use super::url::{HealthUrl, Target};
use crate::config::health::Health;
use crate::http::{Connection, RequestBody};
use crate::util::text;

/// A request to the health URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    /// The URL.
    pub url: HealthUrl,
    /// The `Host` header, if it is not the URL's host.
    pub host: Option<String>,
    /// More headers.
    pub headers: BTreeMap<String, String>,
    /// How long the answer may take.
    pub within: Duration,
}

impl Question {
    /// Gives the request that `health` configures; `None` if `health` has no URL.
    #[must_use]
    pub(crate) fn of(health: &Health) -> Option<Self> {
        Some(Self {
            url: health.url.clone()?,
            host: health.host.clone(),
            headers: health.headers.clone(),
            within: health.timeout,
        })
    }
}

/// Sends the request and gives the answer. Redirections are not followed: a login page is not a healthy app.
pub(crate) async fn ask(question: Question) -> Answer {
    let url = &question.url;
    let answer = async {
        match &url.to {
            Target::Tcp(authority) => {
                let stream = TcpStream::connect(authority.as_str());
                let stream = stream.await.map_err(|e| format!("{authority}: {e}"))?;
                get(TokioIo::new(stream), authority, &question).await
            }
            Target::Unix(path) => {
                let stream = UnixStream::connect(path);
                let stream = stream
                    .await
                    .map_err(|e| format!("{}: {e}", path.display()))?;
                get(TokioIo::new(stream), "localhost", &question).await
            }
        }
    };
    match timeout(question.within, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(why)) => Answer::Failed(why),
        Err(_) => Answer::Failed(format!(
            "{url}: nothing within {}",
            crate::util::duration::human(question.within)
        )),
    }
}

async fn get<I>(io: I, host: &str, question: &Question) -> Result<Answer, String>
where
    I: Read + Write + Send + Unpin + 'static,
{
    let mut request = Request::get(&question.url.path)
        .header(header::HOST, question.host.as_deref().unwrap_or(host))
        .header(header::CONNECTION, "close");
    if !question.headers.contains_key("user-agent") {
        let ours = concat!("pp-fetcher/", env!("CARGO_PKG_VERSION"));
        request = request.header(header::USER_AGENT, ours);
    }
    for (name, value) in &question.headers {
        request = request.header(name, value);
    }
    let request = request
        .body(RequestBody::new(Bytes::new()))
        .map_err(|e| e.to_string())?;
    let mut connection = Connection::open(io).await.map_err(|e| e.to_string())?;
    let reply = connection.send(request).await.map_err(|e| e.to_string())?;
    let location = reply.headers().get(header::LOCATION);
    Ok(Answer::Status {
        status: reply.status().as_u16(),
        location: location.map(|to| text::line(to.as_bytes()).chars().take(200).collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    fn run(question: Question) -> Answer {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(ask(question))
    }

    fn question(url: &str) -> Question {
        Question {
            url: HealthUrl::parse(url).unwrap(),
            host: None,
            headers: BTreeMap::new(),
            within: Duration::from_secs(2),
        }
    }

    /// Runs a request against a server that replies `answer`; gives the request's text and the result.
    fn told(answer: &'static [u8], change: impl FnOnce(&mut Question)) -> (String, Answer) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/healthz", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let n = peer.read(&mut request).unwrap();
            peer.write_all(answer).unwrap();
            String::from_utf8_lossy(&request[..n]).into_owned()
        });
        let mut question = question(&url);
        change(&mut question);
        let answer = run(question);
        (server.join().unwrap(), answer)
    }

    #[test]
    fn the_status_is_told_and_so_is_everything_that_is_none() {
        let told = |answer| told(answer, |_| ()).1;
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(told(ok), Answer::status(200));
        let found = told(b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n");
        let location = Some("/login".to_owned());
        let status = 302;
        assert_eq!(found, Answer::Status { status, location });
        assert!(matches!(told(b""), Answer::Failed(_)));
        assert!(matches!(told(b"SSH-2.0-x\r\n"), Answer::Failed(_)));
    }

    #[test]
    fn the_request_carries_the_configured_host_and_headers() {
        let ok = b"HTTP/1.1 204 No Content\r\n\r\n";
        let (request, answer) = told(ok, |question| {
            question.host = Some("todo.example.org".into());
            let proto = ("x-forwarded-proto".to_owned(), "https".to_owned());
            question.headers = BTreeMap::from([proto]);
        });
        assert_eq!(answer, Answer::status(204));
        let request = request.to_ascii_lowercase();
        assert!(
            request.starts_with("get /healthz http/1.1\r\n"),
            "{request}"
        );
        for line in ["host: todo.example.org\r\n", "x-forwarded-proto: https\r\n"] {
            assert!(request.contains(line), "{request}");
        }
        assert_eq!(request.matches("host:").count(), 1);
    }

    #[test]
    fn a_port_nobody_listens_on_is_named() {
        let closed = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        match run(question(&format!("http://{closed}/"))) {
            Answer::Failed(why) => assert!(
                why.contains(&closed.to_string()) && why.contains("refused"),
                "{why}"
            ),
            other => panic!("{other:?}"),
        }
    }
}
