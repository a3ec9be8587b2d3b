//! A conversation with a remote: connect once, list, fetch over the same connection.

use std::process::Command;

use super::error::RemoteError;
use super::failure::{Failure, classify};
use super::listing::{Listed, Wanted};
use super::options::RemoteOptions;
use super::pipe::{Cut, Pipe};
use super::url::RepositoryUrl;
use super::wire::{self, Greeting, Wire, WireError};
use super::{hostkey, local, text};

/// An open conversation. Dropping it ends the transport's whole process group.
pub struct Remote {
    pub(super) wire: Wire<Pipe>,
    pub(super) greeting: Greeting,
    pub(super) ends: Ends,
}

/// Both ends of a conversation, for its error messages.
pub(super) struct Ends {
    /// The address as it may be shown.
    pub(super) remote: String,
    pub(super) options: RemoteOptions,
    ssh: bool,
}

impl Remote {
    /// Starts the transport and reads the server's greeting.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn connect(url: &RepositoryUrl, options: &RemoteOptions) -> Result<Self, RemoteError> {
        let ends = Ends {
            remote: url.to_string(),
            options: options.clone(),
            ssh: matches!(url, RepositoryUrl::Ssh { .. }),
        };
        let command = command(url, options)?;
        let pipe = Pipe::spawn(&command, options.deadline, options.budget);
        let pipe = pipe.map_err(|source| RemoteError::Program {
            remote: ends.remote.clone(),
            program: command.get_program().into(),
            package: if ends.ssh { "openssh-client" } else { "git" },
            source,
        })?;
        let mut wire = Wire::new(pipe);
        match Greeting::read(&mut wire) {
            Ok(greeting) => Ok(Self {
                wire,
                greeting,
                ends,
            }),
            Err(error) => Err(ends.explain(wire.stream(), error)),
        }
    }

    /// The remote's refs that `wanted` may mean. One round trip in version 2; nothing in version 0,
    /// where the server has sent them already, and where this can be done only once.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn list(&mut self, wanted: &Wanted) -> Result<Listed, RemoteError> {
        let prefix = wanted.prefix();
        let (mut refs, mut others) = match self.greeting.version {
            wire::Version::V2 => (self.refs(&[&prefix])?, Vec::new()),
            // All of it comes whether it is wanted or not.
            wire::Version::V0 => {
                let all = self.refs(&[&prefix, "HEAD", "refs/heads/", "refs/tags/"])?;
                all.into_iter().partition(|r| wanted.may_mean(&r.name))
            }
        };
        refs.retain(|r| wanted.may_mean(&r.name));
        if refs.is_empty() && self.greeting.version == wire::Version::V2 {
            // Only for the message: a branch that is gone was perhaps renamed.
            others = self.refs(&["HEAD", "refs/heads/", "refs/tags/"])?;
        }
        Ok(Listed { refs, others })
    }

    /// Which protocol the server speaks.
    #[must_use]
    pub fn version(&self) -> wire::Version {
        self.greeting.version
    }

    /// Number of the transport's process group, for tests that look for what is left of it.
    pub fn process_group(&mut self) -> u32 {
        self.wire.stream().group()
    }

    fn refs(&mut self, prefixes: &[&str]) -> Result<Vec<wire::refs::RemoteRef>, RemoteError> {
        let refs = wire::refs::list(&mut self.wire, &mut self.greeting, prefixes);
        refs.map_err(|error| self.failed(error))
    }

    /// The error a person sees, from what the wire, the pipe and the transport's stderr say.
    pub(super) fn failed(&mut self, error: WireError) -> RemoteError {
        self.ends.explain(self.wire.stream(), error)
    }
}

impl Ends {
    fn explain(&self, pipe: &mut Pipe, error: WireError) -> RemoteError {
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
                said: said(&pipe.last_words().stderr),
            },
            WireError::Io(error) => match pipe.cut() {
                Some(Cut::Deadline) => RemoteError::TimedOut {
                    remote,
                    deadline: self.options.deadline,
                    said: said(&pipe.last_words().stderr),
                },
                Some(Cut::Budget) => RemoteError::TooLarge {
                    remote,
                    budget: self.options.budget,
                },
                Some(Cut::Stopped) => RemoteError::Stopped { remote },
                None => self.ended(pipe, &error),
            },
        }
    }

    /// The transport ended by itself, too early.
    fn ended(&self, pipe: &mut Pipe, error: &std::io::Error) -> RemoteError {
        let words = pipe.last_words();
        let remote = self.remote.clone();
        let said = said(&words.stderr);
        match classify(self.ssh, &words.stderr, words.code) {
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
            Failure::Denied => RemoteError::Denied { remote, said },
            Failure::Unresolved => RemoteError::Unresolved { remote, said },
            Failure::Unreachable => RemoteError::Unreachable { remote, said },
            Failure::NoRepository => RemoteError::NoRepository { remote, said },
            Failure::NotOwned => RemoteError::NotOwned { remote },
            Failure::Other if !said.is_empty() => RemoteError::Server { remote, said },
            Failure::Other => RemoteError::Protocol {
                remote,
                what: format!("the connection ended early ({error})"),
                said,
            },
        }
    }
}

/// What the transport said, on one line.
fn said(stderr: &[u8]) -> String {
    text::lines(stderr).join("; ")
}

fn command(url: &RepositoryUrl, options: &RemoteOptions) -> Result<Command, RemoteError> {
    match url {
        RepositoryUrl::Ssh {
            user,
            host,
            port,
            path,
        } => Ok(options.ssh.command(user.as_deref(), host, *port, path)?),
        RepositoryUrl::File { path } => Ok(local::command(&options.git, path)),
        RepositoryUrl::Https { .. } => Err(RemoteError::Unsupported {
            remote: url.to_string(),
        }),
    }
}
