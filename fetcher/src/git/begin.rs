//! How a conversation begins: over a connection that several share, if there is one, or over one of its own.
//!
//! Over a shared connection the listing is asked for together with the program that gives it, where the last
//! conversation has shown what the server takes. Of a server that takes input before it has started the program, as those
//! written in Go do (Gitea, Forgejo, GitLab), the answer comes a round trip earlier; OpenSSH's takes none before.

use super::error::RemoteError;
use super::listing::{ListedRefs, RefSelector};
use super::multiplex::{Connections, Destination, MOST_AHEAD, NotStarted, RemoteProgram, Session};
use super::options::RemoteOptions;
use super::pipe::Pipe;
use super::remote::{Endpoints, Remote};
use super::ssh::{UPLOAD_PACK, at_server};
use super::transport::Transport;
use super::url::RepositoryUrl;
use super::wire::{self, CommandCapabilities, Greeting, Wire, WireError};
use crate::process::ending::{AbortReason, Exit};

/// The exit code of ssh's own errors (ssh(1)); a program at the server has another one.
const SSH_FAILED: i32 = 255;

/// A conversation that has begun, and the listing, if one was wanted.
type Begun = (Remote, Option<ListedRefs>);

/// Why a conversation has not begun over a shared connection.
enum Instead {
    /// pp-fetcher has cut it off: the time is over, too many bytes came, or pp-fetcher was told to stop.
    CutOff(RemoteError),
    /// The connection is well, and this conversation takes one of its own.
    OwnConnection,
    /// The server has answered with an error. What a session may do is often decided at its login, such as by groups or by
    /// the owner of a key: so a new login is asked.
    Answered,
    /// The connection has failed.
    Failed,
}

impl Remote {
    /// Opens a conversation: over a shared connection, if there is one.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub(crate) fn connect(
        url: &RepositoryUrl,
        options: &RemoteOptions,
    ) -> Result<Self, RemoteError> {
        begin(url, options, None).map(|(remote, _)| remote)
    }

    /// Opens a conversation as [`Self::connect`] does, and lists the refs that `wanted` may mean.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub(crate) fn connect_and_list(
        url: &RepositoryUrl,
        options: &RemoteOptions,
        wanted: &RefSelector,
    ) -> Result<(Self, ListedRefs), RemoteError> {
        let (mut remote, listed) = begin(url, options, Some(wanted))?;
        let listed = match listed {
            Some(listed) => listed,
            None => remote.list(wanted)?,
        };
        Ok((remote, listed))
    }
}

fn begin(
    url: &RepositoryUrl,
    options: &RemoteOptions,
    wanted: Option<&RefSelector>,
) -> Result<Begun, RemoteError> {
    let ends = Endpoints::new(url, options);
    let destination = Destination::of(url, &options.ssh);
    let shared = options.connections.as_deref().zip(destination.as_ref());
    if let Some((all, destination)) = shared
        && let Some(session) = all.session(destination)
    {
        let master = session.master();
        match over_master(&ends, all, session, url, wanted) {
            Ok(begun) => return Ok(begun),
            Err(Instead::CutOff(error)) => return Err(error),
            Err(Instead::OwnConnection) => {}
            Err(Instead::Answered) => {
                let remote = Remote::greet(&ends, url)?;
                // The login of the master is not what a login is now.
                all.replace(destination, master);
                return Ok((remote, None));
            }
            // The master may have died, or its server does not answer any more: a connection of its own shows.
            Err(Instead::Failed) => all.give_up(destination, master),
        }
    }
    Ok((Remote::greet(&ends, url)?, None))
}

fn over_master(
    ends: &Endpoints,
    all: &Connections,
    session: Session,
    url: &RepositoryUrl,
    wanted: Option<&RefSelector>,
) -> Result<Begun, Instead> {
    let RepositoryUrl::Ssh { path, .. } = url else {
        return Err(Instead::OwnConnection);
    };
    let address = url.to_string();
    let ahead = wanted.zip(all.announced(&address));
    let ahead = ahead
        .map(|(wanted, takes)| (takes, wire::refs::request(takes, &[&wanted.prefix()])))
        .filter(|(_, request)| request.bytes().len() <= MOST_AHEAD);
    let expected = ahead.as_ref().map(|(takes, _)| *takes);
    let ahead = ahead
        .as_ref()
        .map_or(&[][..], |(_, request)| request.bytes());
    let command = at_server(UPLOAD_PACK, path);
    let (deadline, budget) = (ends.options.deadline, ends.options.budget);
    let program = RemoteProgram::start(session, &command, ahead, deadline, budget);
    let program = program.map_err(|error| not_started(ends, &error))?;
    let mut wire = Wire::new(Transport::Pipe(Box::new(Pipe::over_master(program))));
    let failed = |transport: &mut Transport, error| {
        if expected.is_some() {
            all.ask_never_ahead(&address);
        }
        instead(ends, transport, error)
    };
    let greeting = match Greeting::read(&mut wire) {
        Ok(greeting) => greeting,
        Err(error) => return Err(failed(wire.stream(), error)),
    };
    let is_2 = greeting.version == wire::Version::V2;
    let takes = is_2.then(|| CommandCapabilities::of(&greeting));
    all.heard(&address, takes);
    let mut remote = Remote {
        wire,
        greeting,
        ends: ends.clone(),
        asked: None,
    };
    let listed = match (wanted, expected) {
        (None, _) => return Ok((remote, None)),
        (Some(wanted), None) => remote.try_list(wanted),
        (Some(wanted), Some(expected)) if takes == Some(expected) => remote.list_asked(wanted),
        // The server has changed, and was sent a request that it may not take.
        (Some(_), Some(_)) => return Err(Instead::OwnConnection),
    };
    match listed {
        Ok(listed) => Ok((remote, Some(listed))),
        Err(error) => Err(failed(remote.wire.stream(), error)),
    }
}

/// What to do when no program was started at the server.
fn not_started(ends: &Endpoints, error: &NotStarted) -> Instead {
    match error {
        // A connection on which the server allows no session at all is of no use.
        NotStarted::Refused { alone: true, .. } => Instead::Failed,
        NotStarted::Refused { .. } | NotStarted::Io(_) => Instead::OwnConnection,
        NotStarted::Aborted(AbortReason::Stopped) => Instead::CutOff(RemoteError::Stopped {
            remote: ends.remote.clone(),
        }),
        NotStarted::Aborted(_) | NotStarted::Master(_) => Instead::Failed,
    }
}

/// What to do when a program at the server was started and the conversation with it has failed.
fn instead(ends: &Endpoints, transport: &mut Transport, error: WireError) -> Instead {
    let by_server = !matches!(error, WireError::Io(_));
    let error = ends.explain(transport, error);
    if transport.abort_reason().is_some() {
        return Instead::CutOff(error);
    }
    match transport.exit() {
        _ if by_server => Instead::Answered,
        Some(Exit::Code(code)) if code != SSH_FAILED => Instead::Answered,
        _ => Instead::Failed,
    }
}
