//! A TLS server on loopback that serves repositories by `git http-backend`, or misbehaves.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

pub type Tls = StreamOwned<ServerConnection, TcpStream>;

/// What a client asked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub method: String,
    pub target: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Which connection it came over, from 0.
    pub connection: usize,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Answers a request; the connection ends where it gives false.
pub type Answer = dyn Fn(&Request, &mut Tls) -> bool + Send + Sync;

/// Who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub fn write(&self, path: &Path) {
        std::fs::write(path, self.0.pem()).unwrap();
    }

    /// TLS with a certificate for `name`, good from one year to the other.
    pub fn server(&self, name: &str, from: i32, until: i32) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.0).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.der().clone()], key)
            .unwrap();
        Arc::new(config)
    }
}

pub struct Server {
    pub dir: TempDir,
    pub port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
    ended: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

impl Server {
    /// With a good certificate, whose authority is in the file `ca.pem` of its directory.
    pub fn start(answer: impl Fn(&Request, &mut Tls) -> bool + Send + Sync + 'static) -> Self {
        Self::start_as("127.0.0.1", 2020, 2090, answer)
    }

    pub fn start_as(
        name: &str,
        from: i32,
        until: i32,
        answer: impl Fn(&Request, &mut Tls) -> bool + Send + Sync + 'static,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new(&format!("authority of {name}"));
        authority.write(&dir.path().join("ca.pem"));
        let tls = authority.server(name, from, until);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            dir,
            port: listener.local_addr().unwrap().port(),
            seen: Arc::default(),
            ended: Arc::default(),
            stop: Arc::default(),
        };
        let (seen, ended, stop) = (
            server.seen.clone(),
            server.ended.clone(),
            server.stop.clone(),
        );
        let answer: Arc<Answer> = Arc::new(answer);
        thread::spawn(move || {
            for (connection, peer) in listener.incoming().flatten().enumerate() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (tls, seen) = (tls.clone(), seen.clone());
                let (answer, ended) = (answer.clone(), ended.clone());
                thread::spawn(move || {
                    let tls = ServerConnection::new(tls).unwrap();
                    let mut stream = StreamOwned::new(tls, peer);
                    while let Some(mut request) = read(&mut stream) {
                        request.connection = connection;
                        seen.lock().unwrap().push(request.clone());
                        if !answer(&request, &mut stream) {
                            break;
                        }
                    }
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                    let _ = stream.sock.shutdown(std::net::Shutdown::Write);
                    ended.store(true, Ordering::SeqCst);
                });
            }
        });
        server
    }

    /// A server of the repositories below `root`.
    pub fn serving(root: PathBuf) -> Self {
        Self::start(move |request, stream| backend(&root, request, stream))
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }

    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// Whether a connection has ended.
    pub fn a_connection_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// The next request; none where the connection ends.
fn read(stream: &mut Tls) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut request = Request::default();
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    request.method = words.next()?.to_owned();
    request.target = words.next()?.to_owned();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        let header = (name.to_ascii_lowercase(), value.to_owned());
        request.headers.push(header);
    }
    let length = request.header("content-length").map(|v| v.parse().unwrap());
    request.body.resize(length.unwrap_or(0), 0);
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// Answers as git's own CGI program does.
pub fn backend(root: &Path, request: &Request, stream: &mut Tls) -> bool {
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((&request.target, ""));
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_TYPE", request.header("content-type").unwrap_or(""))
        .env("GIT_PROTOCOL", request.header("git-protocol").unwrap_or(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let body = request.body.clone();
    thread::spawn(move || stdin.write_all(&body));
    let said = child.wait_with_output().unwrap().stdout;
    let end = said.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(said[..end].to_vec()).unwrap();
    let mut status = "200 OK".to_owned();
    let mut headers = String::new();
    for line in head.lines() {
        match line.strip_prefix("Status: ") {
            Some(other) => status = other.to_owned(),
            None => headers += &format!("{line}\r\n"),
        }
    }
    reply(stream, &status, &headers, &said[end + 4..])
}

/// Sends a whole answer. `headers` are lines with their ends.
pub fn reply(stream: &mut Tls, status: &str, headers: &str, body: &[u8]) -> bool {
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).is_ok()
        && stream.write_all(body).is_ok()
        && stream.flush().is_ok()
}

/// The header of a greeting or of an answer.
pub fn git_type(request: &Request) -> String {
    let kind = if request.method == "GET" {
        "advertisement"
    } else {
        "result"
    };
    format!("Content-Type: application/x-git-upload-pack-{kind}\r\n")
}
