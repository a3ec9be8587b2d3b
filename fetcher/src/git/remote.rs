//! A conversation with a remote: one connection, over which refs are listed and packs fetched.

use super::error::RemoteError;
use super::failure::{Failure, classify};
use super::https::{Https, HttpsError};
use super::listing::{ListedRefs, RefSelector};
use super::options::RemoteOptions;
use super::pipe::Pipe;
use super::transport::Transport;
use super::url::RepositoryUrl;
use super::wire::{self, Between, Greeting, Wire, WireError};
use super::{hostkey, local};
use crate::process::ending::{AbortReason, Exit};
use crate::util::text;

/// The prefixes of the refs that are named in a message about a ref that is missing: a branch was perhaps renamed.
const OTHERS: &[&str] = &["HEAD", "refs/heads/", "refs/tags/"];

/// An open conversation. Dropping it ends the transport: its whole process group, its session, or its connection.
pub(crate) struct Remote {
    pub(super) wire: Wire<Transport>,
    pub(super) greeting: Greeting,
    pub(super) ends: Endpoints,
    /// The revisions whose history was asked for, and whose answer is still to be read.
    pub(super) asked: Option<Between>,
}

/// The facts about both ends of a conversation that its error messages need.
#[derive(Clone)]
pub(super) struct Endpoints {
    /// The remote's address, fit to be shown.
    pub(super) remote: String,
    pub(super) options: RemoteOptions,
    ssh: bool,
}

impl Remote {
    /// Starts the transport and reads the server's greeting.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub(super) fn greet(ends: &Endpoints, url: &RepositoryUrl) -> Result<Self, RemoteError> {
        let mut wire = Wire::new(ends.open(url)?);
        match Greeting::read(&mut wire) {
            Ok(greeting) => Ok(Self {
                wire,
                greeting,
                ends: ends.clone(),
                asked: None,
            }),
            Err(error) => Err(ends.explain(wire.stream(), error)),
        }
    }

    /// Lists the remote's refs that `wanted` may mean. Takes one round trip in version 2 and none in version 0,
    /// where the server has sent all refs already; in version 0 this works only once.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub(crate) fn list(&mut self, wanted: &RefSelector) -> Result<ListedRefs, RemoteError> {
        let listed = self.try_list(wanted);
        listed.map_err(|error| self.failed(error))
    }

    /// Lists as [`Self::list`] does.
    ///
    /// # Errors
    /// [`WireError`], which tells an answer of the server from a connection that has failed.
    pub(super) fn try_list(&mut self, wanted: &RefSelector) -> Result<ListedRefs, WireError> {
        let prefix = wanted.prefix();
        match self.greeting.version {
            wire::Version::V2 => {
                let refs = self.refs(&[&prefix])?;
                self.with_others(refs, wanted)
            }
            // A version 0 server sends all refs, wanted or not.
            wire::Version::V0 => {
                let all = self.refs(&[&[prefix.as_str()], OTHERS].concat())?;
                let (refs, others) = all.into_iter().partition(|r| wanted.may_mean(&r.name));
                Ok(ListedRefs { refs, others })
            }
        }
    }

    /// Reads the listing that was asked for before the server had greeted, in version 2: [`Self::list`].
    ///
    /// # Errors
    /// [`WireError`].
    pub(super) fn list_asked(&mut self, wanted: &RefSelector) -> Result<ListedRefs, WireError> {
        let refs = wire::refs::listing(&mut self.wire, &[&wanted.prefix()])?;
        self.with_others(refs, wanted)
    }

    /// Makes the result of a listing of version 2: if no ref of it is meant, with the other refs of the remote.
    fn with_others(
        &mut self,
        mut refs: Vec<wire::refs::RemoteRef>,
        wanted: &RefSelector,
    ) -> Result<ListedRefs, WireError> {
        refs.retain(|r| wanted.may_mean(&r.name));
        let others = match refs.is_empty() {
            true => self.refs(OTHERS)?,
            false => Vec::new(),
        };
        Ok(ListedRefs { refs, others })
    }

    /// Returns the protocol version that the server speaks.
    #[cfg(test)]
    pub(crate) fn version(&self) -> wire::Version {
        self.greeting.version
    }

    /// Returns the process group of the transport; 0 over https, which has no process.
    #[cfg(test)]
    pub(crate) fn process_group(&mut self) -> u32 {
        match self.wire.stream() {
            Transport::Pipe(pipe) => pipe.process_group(),
            Transport::Https(_) => 0,
        }
    }

    fn refs(&mut self, prefixes: &[&str]) -> Result<Vec<wire::refs::RemoteRef>, WireError> {
        wire::refs::list(&mut self.wire, &mut self.greeting, prefixes)
    }

    /// Returns the error a person sees, from the errors of wire and pipe and the transport's stderr.
    pub(super) fn failed(&mut self, error: WireError) -> RemoteError {
        self.ends.explain(self.wire.stream(), error)
    }
}

impl Endpoints {
    /// Collects the facts about a conversation with the repository at `url`.
    pub(super) fn new(url: &RepositoryUrl, options: &RemoteOptions) -> Self {
        Self {
            remote: url.to_string(),
            options: options.clone(),
            ssh: matches!(url, RepositoryUrl::Ssh { .. }),
        }
    }

    /// Starts the transport.
    fn open(&self, url: &RepositoryUrl) -> Result<Transport, RemoteError> {
        let options = &self.options;
        let command = match url {
            RepositoryUrl::Ssh {
                user,
                host,
                port,
                path,
            } => options.ssh.command(user.as_deref(), host, *port, path)?,
            RepositoryUrl::File { path } => local::command(&options.git, path),
            RepositoryUrl::Https { host, path } => {
                let limits = (options.deadline, options.budget);
                let kept = options.https_connections.clone();
                return match Https::new(host, path, &options.https, kept, limits) {
                    Ok(https) => Ok(Transport::Https(Box::new(https))),
                    Err(error) => Err(self.https(error)),
                };
            }
        };
        match Pipe::spawn(&command, options.deadline, options.budget) {
            Ok(pipe) => Ok(Transport::Pipe(Box::new(pipe))),
            Err(source) => Err(RemoteError::Program {
                remote: self.remote.clone(),
                program: command.get_program().into(),
                package: if self.ssh { "openssh-client" } else { "git" },
                source,
            }),
        }
    }

    fn https(&self, error: HttpsError) -> RemoteError {
        RemoteError::Https {
            remote: self.remote.clone(),
            error: Box::new(error),
        }
    }

    /// Returns the error a person sees, from an error of the wire and what the transport has said.
    pub(super) fn explain(&self, transport: &mut Transport, error: WireError) -> RemoteError {
        let remote = self.remote.clone();
        match error {
            WireError::Said(said) => match classify(false, said.as_bytes(), None) {
                Failure::NoRepository => RemoteError::NoRepository { remote, said },
                _ => RemoteError::Server { remote, said },
            },
            WireError::ObjectFormat(format) => RemoteError::ObjectFormat { remote, format },
            WireError::TooManyRefs(most) => RemoteError::TooManyRefs { remote, most },
            WireError::Malformed(what) => RemoteError::Protocol {
                remote,
                what,
                said: said(&transport.said()),
            },
            WireError::Io(error) => match transport.abort_reason() {
                Some(AbortReason::Deadline) => RemoteError::TimedOut {
                    remote,
                    deadline: self.options.deadline,
                    said: said(&transport.said()),
                },
                Some(AbortReason::Budget) => RemoteError::TooLarge {
                    remote,
                    budget: self.options.budget,
                },
                Some(AbortReason::Stopped) => RemoteError::Stopped { remote },
                None => match transport {
                    Transport::Pipe(pipe) => self.explain_end(pipe, &error),
                    Transport::Https(https) => match https.failure() {
                        Some(error) => self.https(error),
                        None => self.early(&error, String::new()),
                    },
                },
            },
        }
    }

    /// Returns the error for a transport's process that has ended by itself, too early.
    fn explain_end(&self, pipe: &mut Pipe, error: &std::io::Error) -> RemoteError {
        let words = pipe.last_words();
        let remote = self.remote.clone();
        let said = said(&words.stderr);
        let code = match words.exit {
            Some(Exit::Code(code)) => Some(code),
            Some(Exit::Signal(_)) | None => None,
        };
        match classify(self.ssh, &words.stderr, code) {
            Failure::HostKeyChanged(mut key) => {
                if let Some((file, line)) = &key.line {
                    key.pinned = hostkey::fingerprint(file.as_ref(), *line);
                }
                RemoteError::HostKeyChanged {
                    remote,
                    key: Box::new(key),
                }
            }
            Failure::HostKeyUnknown => RemoteError::HostKeyUnknown { remote },
            Failure::JumpKeyUnknown => RemoteError::JumpKeyUnknown { remote },
            Failure::Configuration => RemoteError::SshConfiguration { remote, said },
            Failure::Denied => RemoteError::Denied {
                remote,
                said: without_banner(&words.stderr),
            },
            Failure::Unresolved => RemoteError::Unresolved { remote, said },
            Failure::Unreachable => RemoteError::Unreachable { remote, said },
            Failure::NoRepository => RemoteError::NoRepository { remote, said },
            Failure::NotOwned => RemoteError::NotOwned { remote },
            Failure::Other if !said.is_empty() => RemoteError::Server { remote, said },
            Failure::Other => self.early(error, said),
        }
    }

    fn early(&self, error: &std::io::Error, said: String) -> RemoteError {
        RemoteError::Protocol {
            remote: self.remote.clone(),
            what: format!("the connection ended early ({error})"),
            said,
        }
    }
}

/// Returns the lines of stderr without the frame that ssh draws around a warning, on one line.
fn without_banner(stderr: &[u8]) -> String {
    let lines = text::lines(stderr);
    let kept = lines
        .into_iter()
        .filter(|line| !line.starts_with("@@@") && !line.starts_with("@ "));
    kept.collect::<Vec<_>>().join("; ")
}

/// Returns the transport's stderr on one line.
fn said(stderr: &[u8]) -> String {
    text::lines(stderr).join("; ")
}
