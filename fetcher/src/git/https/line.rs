//! The line to one server: the connection, the means to make another one, and the runtime that drives it.

use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::http::uri::Authority;
use hyper::{Request, Response};
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use super::HttpsOptions;
use super::connect::{Connector, is_stale};
use super::error::HttpsError;
use super::failure;
use crate::http::{Connection, RequestBody};
use crate::process::ending::{AbortReason, POLL_INTERVAL, check};

/// The longest wait for an answer over a connection that an earlier conversation has left: a network that has gone
/// away meanwhile says nothing. The request is then sent over a new connection, with all of the conversation's time.
const QUIET: Duration = Duration::from_secs(15);

/// Why a request got no answer.
pub(super) enum NoAnswer {
    /// pp-fetcher was told to stop, or the time or the bytes of the conversation are used up.
    Aborted(AbortReason),
    /// The connection or the server failed.
    Failed(HttpsError),
}

/// The line to one server.
pub(super) struct Line {
    /// Always `Some`, until the line is dropped.
    runtime: Option<Runtime>,
    connector: Connector,
    connection: Option<Connection>,
    /// Whether the connection is from an earlier conversation, and has not answered in this one yet.
    left_over: bool,
    options: HttpsOptions,
}

impl Line {
    /// Prepares a line to `host`: reads the file of trusted authorities. Nothing is sent yet.
    ///
    /// # Errors
    /// [`HttpsError::Roots`], or `host` is not a valid host.
    pub(super) fn new(host: &str, options: &HttpsOptions) -> Result<Self, HttpsError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| failure::of_io(&error, options))?;
        Ok(Self {
            runtime: Some(runtime),
            connector: Connector::new(host, options)?,
            connection: None,
            left_over: false,
            options: options.clone(),
        })
    }

    /// Returns the server's name and port, as a request names them.
    pub(super) fn authority(&self) -> &Authority {
        self.connector.authority()
    }

    /// Returns whether there is a connection that can serve another request.
    pub(super) fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    /// Marks the connection as one of an earlier conversation.
    pub(super) fn leave(&mut self) {
        self.left_over = true;
    }

    /// Sends a request over the open connection, or over a new one. A server may end a connection that it had
    /// promised to keep; the request is then sent once more, as no request changes anything on the server.
    pub(super) fn send(
        &mut self,
        deadline: Instant,
        request: &dyn Fn() -> Result<Request<RequestBody>, NoAnswer>,
    ) -> Result<Response<Incoming>, NoAnswer> {
        if let Some(mut connection) = self.connection.take() {
            let asked = connection.send(request()?);
            let left_over = std::mem::take(&mut self.left_over);
            let answered = match left_over {
                // The timer belongs to the runtime, so it is made inside of it.
                true => self
                    .wait(deadline, async { timeout(QUIET, asked).await })?
                    .ok(),
                false => Some(self.wait(deadline, asked)?),
            };
            match answered {
                Some(Ok(response)) => {
                    self.connection = Some(connection);
                    return Ok(response);
                }
                // Whatever became of a connection since an earlier conversation is no error of this one.
                Some(Err(error)) if !left_over && !is_stale(&error) => {
                    return Err(self.of_http(&error));
                }
                Some(Err(_)) | None => {}
            }
        }
        let request = request()?;
        let connected = self.wait(deadline, self.connector.connect())?;
        let mut connection = connected.map_err(NoAnswer::Failed)?;
        let answered = self.wait(deadline, connection.send(request))?;
        let response = answered.map_err(|error| self.of_http(&error))?;
        self.connection = Some(connection);
        Ok(response)
    }

    /// Returns the error of a conversation for an error of the connection.
    pub(super) fn of_http(&self, error: &hyper::Error) -> NoAnswer {
        NoAnswer::Failed(failure::of_http(error, &self.options))
    }

    /// Waits for `work` until the deadline, or until pp-fetcher is told to stop: a server that stalls must not
    /// delay the stop.
    pub(super) fn wait<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = T>,
    ) -> Result<T, NoAnswer> {
        let Some(runtime) = &self.runtime else {
            return Err(NoAnswer::Aborted(AbortReason::Stopped));
        };
        runtime.block_on(async {
            let mut work = std::pin::pin!(work);
            loop {
                check(deadline).map_err(NoAnswer::Aborted)?;
                let left = deadline.saturating_duration_since(Instant::now());
                tokio::select! {
                    done = &mut work => return Ok(done),
                    () = sleep(left.min(POLL_INTERVAL)) => {}
                }
            }
        })
    }

    /// Closes the connection.
    pub(super) fn close(&mut self) {
        self.connection = None;
        // The connection's task ends when the runtime polls it once more.
        if let Some(runtime) = &self.runtime {
            runtime.block_on(tokio::task::yield_now());
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.close();
        // A host name that is still being resolved is not waited for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
