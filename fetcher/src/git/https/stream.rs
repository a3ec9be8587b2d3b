//! A conversation with a git server over https as a `Read` and `Write` stream, with a deadline and a byte budget; the
//! conversation ends when pp-fetcher is told to stop.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response};

use super::error::HttpsError;
use super::kept::{HttpsConnections, HttpsServer};
use super::line::{Line, NoAnswer};
use super::token::Token;
use super::{HttpsOptions, redirect};
use crate::http::RequestBody;
use crate::process::ending::AbortReason;
use crate::util::stamp::Stamp;
use crate::util::text;

/// The most redirections that are followed; a repository seldom moves twice.
const MOST_REDIRECTS: usize = 4;

/// The most bytes read of the rest of an answer, so that its connection can be used for the next request.
const REMAINDER: usize = 4096;

/// The longest wait for the end of the last answer of a conversation, so that its connection can be kept.
const LAST_BYTES: Duration = Duration::from_secs(1);

/// The content types of git's requests and answers (gitprotocol-http(5)).
const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
const REQUEST: &str = "application/x-git-upload-pack-request";
const RESULT: &str = "application/x-git-upload-pack-result";

/// The `User-Agent` header of every request.
const USER_AGENT: &str = concat!("git/pp-fetcher-", env!("CARGO_PKG_VERSION"));

/// A conversation with a git server. Written bytes are collected and sent as one request by a flush; reading gives
/// the server's answer. A first read without a request before it asks for the server's greeting.
pub(crate) struct Https {
    /// Always `Some`, until the conversation is dropped.
    line: Option<Line>,
    /// Where the line is left for the next conversation.
    kept: Option<Arc<HttpsConnections>>,
    server: HttpsServer,
    /// The file of authorities as it was before it was read.
    roots: Option<Stamp>,
    /// The repository's address; after a redirection, the new address on the same server.
    base: String,
    authorization: Option<HeaderValue>,
    deadline: Instant,
    left: u64,
    asked: Vec<u8>,
    answer: Option<Incoming>,
    /// Bytes of the answer that have arrived and were not read yet.
    inbox: Bytes,
    aborted: Option<AbortReason>,
    failed: Option<HttpsError>,
}

impl Https {
    /// Prepares a conversation about the repository at `path` of `host`: reads the token and the trusted
    /// authorities. Nothing is sent yet. The connection is one that `kept` has, if it has one.
    ///
    /// # Errors
    /// [`HttpsError::Token`], [`HttpsError::Roots`].
    pub(crate) fn new(
        host: &str,
        path: &str,
        options: &HttpsOptions,
        kept: Option<Arc<HttpsConnections>>,
        (deadline, budget): (Duration, u64),
    ) -> Result<Self, HttpsError> {
        let deadline = Instant::now() + deadline;
        let token = options.token_file.as_deref().map(Token::read).transpose()?;
        let server = HttpsServer::new(host, options);
        let roots = Stamp::of(&options.ca_file);
        let line = kept.as_ref().and_then(|kept| kept.take(&server, roots));
        let line = line.map_or_else(|| Line::new(host, options), Ok)?;
        Ok(Self {
            line: Some(line),
            kept,
            server,
            roots,
            base: format!("https://{host}{}", path.trim_end_matches('/')),
            authorization: token.and_then(|token| token.header(&options.username)),
            deadline,
            left: budget,
            asked: Vec::new(),
            answer: None,
            inbox: Bytes::new(),
            aborted: None,
            failed: None,
        })
    }

    /// Returns the time at which the conversation is cut off.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Returns why pp-fetcher cut off reading or writing, if it did.
    pub(crate) fn abort_reason(&self) -> Option<AbortReason> {
        self.aborted
    }

    /// Takes the error of reading or writing, if it failed for another reason than a cut-off by pp-fetcher.
    pub(in crate::git) fn failure(&mut self) -> Option<HttpsError> {
        self.failed.take()
    }

    /// Asks for the server's greeting, and follows the redirections if the repository has moved.
    fn greet(&mut self) -> io::Result<()> {
        for _ in 0..=MOST_REDIRECTS {
            let url = format!("{}{}", self.base, redirect::GREETING);
            let response = self.send(&Method::GET, &url, Bytes::new());
            let response = response.map_err(|error| self.give_up(error))?;
            let location = response.headers().get(header::LOCATION);
            match location.filter(|_| response.status().is_redirection()) {
                Some(location) => {
                    let to = String::from_utf8_lossy(location.as_bytes());
                    self.base = redirect::followed(&self.base, &to).map_err(|e| self.fail(e))?;
                    self.answer = Some(response.into_body());
                    self.finish();
                }
                None => return self.take(response, ADVERTISEMENT),
            }
        }
        let to = self.base.clone();
        Err(self.fail(HttpsError::Redirected { to }))
    }

    /// Sends the written bytes as one request.
    fn ask(&mut self) -> io::Result<()> {
        self.finish();
        let asked = Bytes::from(std::mem::take(&mut self.asked));
        let url = format!("{}/git-upload-pack", self.base);
        let response = self.send(&Method::POST, &url, asked);
        let response = response.map_err(|error| self.give_up(error))?;
        self.take(response, RESULT)
    }

    fn send(
        &mut self,
        method: &Method,
        url: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, NoAnswer> {
        let Some(mut line) = self.line.take() else {
            return Err(NoAnswer::Aborted(AbortReason::Stopped));
        };
        let authority = line.authority().to_string();
        let request = || self.request(method, &authority, url, body.clone());
        let answered = line.send(self.deadline, &request);
        self.line = Some(line);
        answered
    }

    /// Returns a request with the headers for protocol version 2 and, if there is a token, the authorization.
    fn request(
        &self,
        method: &Method,
        authority: &str,
        url: &str,
        body: Bytes,
    ) -> Result<Request<RequestBody>, NoAnswer> {
        let origin = url
            .find("://")
            .and_then(|at| Some(at + 3 + url.get(at + 3..)?.find('/')?));
        let path = origin.and_then(|at| url.get(at..)).unwrap_or("/");
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, authority)
            .header(header::USER_AGENT, USER_AGENT)
            .header("git-protocol", "version=2");
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        request = match *method {
            Method::POST => request
                .header(header::CONTENT_TYPE, REQUEST)
                .header(header::ACCEPT, RESULT),
            _ => request.header(header::ACCEPT, "*/*"),
        };
        request.body(RequestBody::new(body)).map_err(|error| {
            let why = text::line(error.to_string().as_bytes());
            NoAnswer::Failed(HttpsError::NotHttp { why })
        })
    }

    /// Takes an answer for reading if its status and content type are those of a git server.
    fn take(&mut self, response: Response<Incoming>, wanted: &'static str) -> io::Result<()> {
        let token = self.authorization.is_some();
        let failed = match response.status().as_u16() {
            200 => None,
            status @ (401 | 403) => Some(HttpsError::Denied { status, token }),
            404 | 410 => Some(HttpsError::NoRepository { token }),
            status => Some(HttpsError::Status { status }),
        };
        if let Some(error) = failed {
            return Err(self.fail(error));
        }
        let found = response.headers().get(header::CONTENT_TYPE);
        let found = found.map(|v| text::line(v.as_bytes()));
        let found = found.unwrap_or_else(|| "without a type".into());
        let kind = found.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case(wanted) {
            return Err(self.fail(HttpsError::NotGit { found, wanted }));
        }
        self.answer = Some(response.into_body());
        self.inbox = Bytes::new();
        Ok(())
    }

    /// Returns the next bytes of the answer; `None` at its end.
    fn next_bytes(&mut self) -> io::Result<Option<Bytes>> {
        let (Some(mut answer), Some(line)) = (self.answer.take(), &self.line) else {
            return Ok(None);
        };
        loop {
            let frame = match line.wait(self.deadline, answer.frame()) {
                Ok(None) => {
                    // An answer that was read to its end leaves its connection free for the next request.
                    self.answer = Some(answer);
                    return Ok(None);
                }
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => {
                    let error = line.of_http(&error);
                    return Err(self.give_up(error));
                }
                Err(error) => return Err(self.give_up(error)),
            };
            if let Ok(data) = frame.into_data() {
                self.answer = Some(answer);
                return Ok(Some(data));
            }
        }
    }

    /// Ends the previous answer. If little of it is left to read, its connection serves the next request;
    /// otherwise the connection is closed.
    fn finish(&mut self) {
        self.inbox = Bytes::new();
        let mut read = 0;
        while let Ok(Some(bytes)) = self.next_bytes() {
            read += bytes.len();
            if read > REMAINDER {
                self.close();
                break;
            }
        }
        self.answer = None;
    }

    /// Closes the connection, and keeps the reason for the message.
    fn give_up(&mut self, error: NoAnswer) -> io::Error {
        match error {
            NoAnswer::Failed(error) => self.fail(error),
            NoAnswer::Aborted(reason) => {
                self.close();
                self.aborted = Some(reason);
                reason.into()
            }
        }
    }

    fn fail(&mut self, error: HttpsError) -> io::Error {
        self.close();
        let text = io::Error::other(error.to_string());
        self.failed = Some(error);
        text
    }

    fn close(&mut self) {
        self.answer = None;
        if let Some(line) = &mut self.line {
            line.close();
        }
    }
}

impl Drop for Https {
    fn drop(&mut self) {
        let Some(kept) = self.kept.take() else {
            return self.close();
        };
        if self.aborted.is_none() && self.failed.is_none() {
            // The end of the answer has come with it, or is not worth waiting for.
            self.deadline = self.deadline.min(Instant::now() + LAST_BYTES);
            self.finish();
        }
        self.answer = None;
        if let Some(mut line) = self.line.take().filter(Line::is_open) {
            line.leave();
            kept.put(&self.server, self.roots, line);
        }
    }
}

impl Read for Https {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.aborted.is_some() || self.failed.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if self.answer.is_none() {
            self.greet()?;
        }
        while self.inbox.is_empty() {
            match self.next_bytes()? {
                Some(bytes) => self.inbox = bytes,
                None => return Ok(0),
            }
        }
        let count = self.inbox.len().min(buffer.len());
        let taken = self.inbox.split_to(count);
        if let Some(to) = buffer.get_mut(..count) {
            to.copy_from_slice(&taken);
        }
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(self.give_up(NoAnswer::Aborted(AbortReason::Budget))),
        }
        Ok(count)
    }
}

impl Write for Https {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.asked.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.ask()
    }
}
