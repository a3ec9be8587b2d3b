//! One GET, over TCP or a Unix socket, for its status alone.

use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::url::{HealthUrl, Target};

/// The status `url` answers with. Redirections are not followed: a login page is not a healthy app.
///
/// # Errors
/// A sentence: what went wrong on the way, or that it took longer than `limit`.
pub async fn status(url: &HealthUrl, limit: Duration) -> Result<u16, String> {
    let answer = async {
        match &url.to {
            Target::Tcp(authority) => {
                let stream = TcpStream::connect(authority.as_str());
                let stream = stream.await.map_err(|e| format!("{authority}: {e}"))?;
                get(TokioIo::new(stream), authority, &url.path).await
            }
            Target::Unix(path) => {
                let stream = UnixStream::connect(path);
                let stream = stream
                    .await
                    .map_err(|e| format!("{}: {e}", path.display()))?;
                get(TokioIo::new(stream), "localhost", &url.path).await
            }
        }
    };
    match timeout(limit, answer).await {
        Ok(result) => result,
        Err(_) => Err(format!(
            "{url}: nothing within {}",
            crate::config::duration::human(limit)
        )),
    }
}

async fn get<I>(io: I, host: &str, path: &str) -> Result<u16, String>
where
    I: Read + Write + Unpin,
{
    let request = Request::get(path)
        .header(header::HOST, host)
        .header(
            header::USER_AGENT,
            concat!("pp-fetcher/", env!("CARGO_PKG_VERSION")),
        )
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|e| e.to_string())?;
    let (mut sender, connection) = http1::handshake(io).await.map_err(|e| e.to_string())?;
    let mut reply = std::pin::pin!(sender.send_request(request));
    // The connection only moves while it is polled; it may end in the moment it has the reply.
    let reply = tokio::select! {
        reply = &mut reply => reply,
        _ended = connection => reply.await,
    };
    reply
        .map(|reply| reply.status().as_u16())
        .map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    fn ask(answer: &'static [u8]) -> Result<u16, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/healthz", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let n = peer.read(&mut request).unwrap();
            peer.write_all(answer).unwrap();
            String::from_utf8_lossy(&request[..n]).into_owned()
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let url = HealthUrl::parse(&url).unwrap();
        let status = runtime.block_on(status(&url, Duration::from_secs(2)));
        assert!(
            server
                .join()
                .unwrap()
                .starts_with("GET /healthz HTTP/1.1\r\n")
        );
        status
    }

    #[test]
    fn the_status_is_told_and_so_is_everything_that_is_none() {
        assert_eq!(
            ask(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            Ok(200)
        );
        assert_eq!(ask(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"), Ok(302));
        assert!(ask(b"").is_err());
        assert!(ask(b"SSH-2.0-x\r\n").is_err());
    }

    #[test]
    fn a_port_nobody_listens_on_is_named() {
        let closed = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let url = HealthUrl::parse(&format!("http://{closed}/")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let why = runtime
            .block_on(status(&url, Duration::from_secs(2)))
            .unwrap_err();
        assert!(
            why.contains(&closed.to_string()) && why.contains("refused"),
            "{why}"
        );
    }
}
