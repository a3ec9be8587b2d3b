//! One HTTP/1.1 connection over any stream: what the health probe and git over https have in common.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper::{Request, Response};
use tokio::task::JoinHandle;

/// The body of a request, held in memory.
pub(crate) type RequestBody = Full<Bytes>;

/// An open connection. Requests go out one after the other; dropping it closes the stream.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<RequestBody>,
    driver: JoinHandle<()>,
}

impl Connection {
    /// Speaks HTTP over `stream`, driven by a task of the runtime that this is called on.
    ///
    /// # Errors
    /// The stream is closed already.
    pub(crate) async fn open<S>(stream: S) -> hyper::Result<Self>
    where
        S: Read + Write + Send + Unpin + 'static,
    {
        let (sender, driver) = http1::handshake(stream).await?;
        let driver = tokio::spawn(async move {
            // What goes wrong on the connection, the request that waits for its answer reports.
            let _ = driver.with_upgrades().await;
        });
        Ok(Self { sender, driver })
    }

    /// Sends a request and waits for the head of the answer, whose body may then be read as long as the connection is
    /// not dropped.
    ///
    /// # Errors
    /// The connection broke, or the answer is not HTTP.
    pub(crate) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> hyper::Result<Response<Incoming>> {
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
