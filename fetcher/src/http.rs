//! One HTTP/1.1 connection over any stream, used by the health probe and by git over https.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper::{Request, Response};
use tokio::task::JoinHandle;

/// The body of a request, held in memory.
pub(crate) type RequestBody = Full<Bytes>;

/// An open HTTP connection. Requests go out one after the other; dropping the connection closes the stream.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<RequestBody>,
    driver: JoinHandle<()>,
}

impl Connection {
    /// Begins HTTP over `stream`, driven by a task of the tokio runtime that this function is called on.
    ///
    /// # Errors
    /// The stream is closed already.
    pub(crate) async fn open<S>(stream: S) -> hyper::Result<Self>
    where
        S: Read + Write + Send + Unpin + 'static,
    {
        let (sender, driver) = http1::handshake(stream).await?;
        let driver = tokio::spawn(async move {
            // An error of the connection is reported by the request that waits for its answer.
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
