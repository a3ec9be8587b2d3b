//! HTTP to the host: from a thread of ours that has joined its network.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use nix::sched::{CloneFlags, setns};

use super::Lab;
use crate::wait::wait_until;

/// Longest wait for a connection and for an answer: nginx's, as in the shipped example of a site.
const PATIENCE: Duration = Duration::from_secs(60);

/// The host's network.
#[derive(Debug)]
pub struct NetNs(File);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// What came after the headers.
    pub body: String,
}

impl Lab {
    /// The host's network, to be joined by threads.
    ///
    /// # Errors
    /// The host is gone.
    pub fn network(&self) -> Result<NetNs> {
        let path = format!("/proc/{}/ns/net", self.machine.leader());
        Ok(NetNs(
            File::open(&path).with_context(|| format!("cannot open {path}"))?,
        ))
    }

    /// `GET path` from a port of the host's loopback.
    ///
    /// # Errors
    /// No connection, or no HTTP answer.
    pub fn get(&self, port: u16, path: &str) -> Result<Response> {
        self.request(port, "GET", path)
    }

    /// Waits until the first page at a port of the host's loopback begins so.
    ///
    /// # Errors
    /// Not within that time.
    pub fn serves(&self, port: u16, text: &str, within: Duration) -> Result<()> {
        wait_until(&format!("port {port} serves {text:?}"), within, || {
            let got = self.get(port, "/")?;
            ensure!(got.body.starts_with(text), "it serves {got:?}");
            Ok(Some(()))
        })
    }

    /// A request without a body to a port of the host's loopback.
    ///
    /// # Errors
    /// No connection, or no HTTP answer.
    pub fn request(&self, port: u16, method: &str, path: &str) -> Result<Response> {
        let network = self.network()?;
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    network.join()?;
                    request(port, method, path)
                        .with_context(|| format!("{method} http://127.0.0.1:{port}{path}"))
                })
                .join()
                .map_err(|_| anyhow!("the requesting thread ended"))?
        })
    }
}

impl NetNs {
    /// Moves the calling thread, and only it, into the host's network.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn join(&self) -> Result<()> {
        setns(&self.0, CloneFlags::CLONE_NEWNET).context("cannot join the host's network")
    }
}

/// One request on a connection of its own, from a thread that has joined the network.
///
/// # Errors
/// No connection (the error's source is the `io::Error`), or no HTTP answer.
pub(crate) fn request(port: u16, method: &str, path: &str) -> Result<Response> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(&String::from_utf8_lossy(&bytes))
}

fn parse(text: &str) -> Result<Response> {
    let short = || anyhow!("not an HTTP answer: {text:?}");
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(short)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or_else(short)?;
    Ok(Response {
        status,
        body: body.trim_end().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_and_its_body() {
        let got = parse("HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\nnot yet\n").unwrap();
        assert_eq!(
            got,
            Response {
                status: 503,
                body: "not yet".to_owned()
            }
        );
    }

    #[test]
    fn an_empty_answer_is_an_error() {
        assert!(parse("").is_err());
        assert!(parse("HTTP/1.1 200").is_err());
    }
}
