//! A program at the server, run over a master connection. No process of ssh is started for the program: pp-fetcher asks
//! the master by its control socket, and hands over the ends of three pipes.
//!
//! Protocol: `PROTOCOL.mux` of OpenSSH, spoken by openssh-mux-client.

use std::borrow::Cow;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use openssh_mux_client::{Connection, EstablishedSession, NonZeroByteVec, SessionStatus};
use thiserror::Error;
use tokio::time::sleep;

use super::slot::Session;
use crate::process::ending::{AbortReason, Exit, LastWords, POLL_INTERVAL};
use crate::process::streams::{Streams, runtime};

/// The most bytes that are sent ahead: any new pipe holds them (pipe(7)), so that writing never waits.
pub(crate) const MOST_AHEAD: usize = 4096;

/// How often a session is asked for that is the only one of its connection.
const TRIES: u32 = 3;

/// The time between two tries, in which the server ends the session before.
const ENDING: Duration = Duration::from_millis(20);

/// Why a program was not started.
#[derive(Debug, Error)]
pub(crate) enum NotStarted {
    /// The server allows no more sessions over this connection.
    #[error("the server refused a session: {why}")]
    Refused {
        /// The reason, in the master's words.
        why: String,
        /// Whether it would have been the only session.
        alone: bool,
    },
    /// pp-fetcher was told to stop, or the time is over.
    #[error("starting was cut off")]
    Aborted(AbortReason),
    /// The master does not answer, or answers what it should not.
    #[error(transparent)]
    Master(#[from] openssh_mux_client::Error),
    /// The kernel gives no pipe.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A running program at the server. Dropping it closes its streams and its session.
#[derive(Debug)]
pub(crate) struct RemoteProgram {
    streams: Streams,
    session: Option<EstablishedSession>,
    /// After the session, which ends first.
    _place: Session,
}

impl RemoteProgram {
    /// Runs `command` at the server, with `ahead` as the first bytes of its standard input: these are sent together with
    /// the command, and so take no round trip of their own. More than [`MOST_AHEAD`] is refused.
    ///
    /// # Errors
    /// [`NotStarted`].
    pub(crate) fn start(
        place: Session,
        command: &str,
        ahead: &[u8],
        deadline: Duration,
        budget: u64,
    ) -> Result<Self, NotStarted> {
        let (their_input, mut input) = io::pipe()?;
        let (output, their_output) = io::pipe()?;
        let (errors, their_errors) = io::pipe()?;
        if ahead.len() > MOST_AHEAD {
            return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
        }
        input.write_all(ahead)?;
        let deadline = Instant::now() + deadline;
        let mut streams = Streams::new(runtime()?, output, Some(errors), deadline, budget)?;
        streams.set_input(input)?;
        let theirs = [
            their_input.as_raw_fd(),
            their_output.as_raw_fd(),
            their_errors.as_raw_fd(),
        ];
        let mut opening = Box::pin(open(&place, command, &theirs));
        let session = loop {
            match streams.wait_for(&mut opening, POLL_INTERVAL) {
                Some(opened) => break opened?,
                None => {
                    if let Err(error) = streams.check() {
                        return Err(streams
                            .abort_reason()
                            .map_or(error.into(), NotStarted::Aborted));
                    }
                }
            }
        };
        drop(opening);
        Ok(Self {
            streams,
            session: Some(session),
            _place: place,
        })
    }

    /// Gives the time at which reading and writing are cut off.
    pub(crate) fn deadline(&self) -> Instant {
        self.streams.deadline()
    }

    /// Gives why pp-fetcher cut off reading or writing, if pp-fetcher did so.
    pub(crate) fn abort_reason(&self) -> Option<AbortReason> {
        self.streams.abort_reason()
    }

    /// Reads output of the program: [`Streams::read`].
    ///
    /// # Errors
    /// The same.
    pub(crate) fn read(&mut self, inbox: &mut BytesMut) -> io::Result<usize> {
        // The output ends when the program ends, and when the master does: nobody else has that pipe.
        self.streams.read(inbox, &|| false)
    }

    /// Writes all of `bytes` to the program: [`Streams::write_all`].
    ///
    /// # Errors
    /// The same.
    pub(crate) fn write_all(
        &mut self,
        bytes: &[u8],
        inbox: &mut BytesMut,
        most: usize,
    ) -> io::Result<()> {
        self.streams.write_all(bytes, inbox, most, &|| false)
    }

    /// Gives the standard error and the exit of a program whose output has ended: waits a moment for the exit.
    pub(crate) fn last_words(&mut self) -> LastWords {
        let time = self.streams.begin_last_words();
        let session = self.session.take();
        let exit =
            session.and_then(
                |session| match self.streams.wait_for(session.wait(), time)? {
                    Ok(SessionStatus::Exited { exit_value }) => {
                        exit_value.and_then(|code| i32::try_from(code).ok())
                    }
                    Ok(SessionStatus::TtyAllocFail(_)) | Err(_) => None,
                },
            );
        LastWords {
            stderr: self.streams.take_heard(),
            exit: exit.map(Exit::Code),
        }
    }

    /// Ends the session; the server ends the program.
    pub(crate) fn end(&mut self) {
        self.streams.close_input();
        self.session = None;
    }
}

/// Opens a session in which the server runs `command` with these standard streams. A server of few sessions may refuse
/// while the session of the conversation before is still ending: then it is asked again.
async fn open(
    place: &Session,
    command: &str,
    streams: &[i32; 3],
) -> Result<EstablishedSession, NotStarted> {
    let mut tries = 1;
    loop {
        match open_once(place.socket(), command, streams).await {
            Err(NotStarted::Refused { .. }) if tries < TRIES && place.is_alone() => tries += 1,
            Err(NotStarted::Refused { why, .. }) => {
                let alone = place.is_alone();
                return Err(NotStarted::Refused { why, alone });
            }
            ended => return ended,
        }
        sleep(ENDING).await;
    }
}

async fn open_once(
    socket: &Path,
    command: &str,
    streams: &[i32; 3],
) -> Result<EstablishedSession, NotStarted> {
    let text = |text: &str| {
        let bytes = NonZeroByteVec::new(text.as_bytes().to_vec());
        bytes
            .map(Cow::Owned)
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
    };
    let session = openssh_mux_client::Session::builder()
        .cmd(text(command)?)
        .term(text("")?)
        .build();
    let connection = Connection::connect(socket).await?;
    match connection.open_new_session(&session, streams).await {
        Ok(session) => Ok(session),
        Err(openssh_mux_client::Error::RequestFailure(why)) => Err(NotStarted::Refused {
            why: why.into(),
            alone: false,
        }),
        Err(error) => Err(error.into()),
    }
}
