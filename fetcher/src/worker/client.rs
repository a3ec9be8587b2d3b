//! Asking the worker. Every answer is taken for a hostile one: bounded, checked, or proven.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use git2::Oid;

use super::WORD;
use super::child::{Running, Task};
use super::error::WorkerError;
use super::protocol::{self, Answer, Kind, MOST_TEXT, Progress, Request, Trouble};
use super::serve::Role;
use crate::config::tree::TreeRules;
use crate::git::fetch::{self, Held, Store};
use crate::git::receive::{NotTaken, Pack};
use crate::git::text;
use crate::proof::{self, Id};

/// To start, to be contained and to open a mirror.
const OPENING: Duration = Duration::from_secs(60);

/// For a question about what is in the mirror.
const QUESTION: Duration = Duration::from_secs(120);

/// For one pack in place of many.
const TIDYING: Duration = Duration::from_secs(900);

/// For a checkout: its own budget, and the sync of a slow disk.
const CHECKOUT: Duration = Duration::from_secs(900);

/// Most commits that are named to the server.
const MOST_HAVES: usize = 1024;

/// A worker that has said that it is ready.
#[derive(Debug)]
pub struct Client {
    running: Running,
    lacking: Option<String>,
}

impl Client {
    /// Starts `program` as a worker in `role`.
    ///
    /// # Errors
    /// [`WorkerError::Broken`] if the mirror is damaged.
    pub fn start(program: &Path, role: &Role) -> Result<Self, WorkerError> {
        let arguments = role.arguments();
        let mut all = vec![OsStr::new(WORD)];
        all.extend(arguments.iter().map(|argument| argument.as_os_str()));
        let mut client = Self {
            running: Running::start(program, &all)?,
            lacking: None,
        };
        let task = Task::new("opening the mirror", OPENING);
        match client.answer(task, &mut |_| {})? {
            Answer::Ready(lacking) => client.lacking = lacking.map(|text| cleaned(&text)),
            other => return Err(client.unexpected(&other, task)),
        }
        Ok(client)
    }

    /// What of the containment this kernel cannot enforce.
    #[must_use]
    pub fn lacking(&self) -> Option<&str> {
        self.lacking.as_deref()
    }

    /// Its process, for tests that look for what is left of it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.running.id()
    }

    /// The content of an object, proven by its name.
    ///
    /// # Errors
    /// [`WorkerError`].
    pub fn object(&mut self, id: Id, kind: proof::Kind) -> Result<Vec<u8>, WorkerError> {
        let task = Task::new("reading an object", QUESTION);
        let bytes = self.bytes(&Request::Object(id.to_string()), task)?;
        if id.names(kind, &bytes) {
            return Ok(bytes);
        }
        self.running.end();
        let id = id.to_string();
        Err(WorkerError::Forged { id })
    }

    /// The commits from `to` back to `from`; none if there is no such chain. Not proven yet.
    ///
    /// # Errors
    /// [`WorkerError`].
    pub fn chain(&mut self, from: Id, to: Id) -> Result<Vec<Id>, WorkerError> {
        let task = Task::new("comparing two revisions", QUESTION);
        let bytes = self.bytes(&Request::Chain(from.to_string(), to.to_string()), task)?;
        Ok(bytes
            .chunks_exact(Id::LENGTH)
            .filter_map(Id::from_bytes)
            .collect())
    }

    /// Has what is live kept, and the mirror tidied.
    ///
    /// # Errors
    /// [`WorkerError`].
    pub fn keep(&mut self, live: Id) -> Result<(), WorkerError> {
        self.done(
            &Request::Keep(live.to_string()),
            Task::new("tidying the mirror", TIDYING),
            &mut |_| {},
        )
    }

    /// Has the files of `revision` written, with the submodules at these paths and as the `rules` have
    /// it, and tells `tick` how many of how many.
    ///
    /// # Errors
    /// [`WorkerError::Tree`] if the tree is refused.
    pub fn check_out(
        &mut self,
        revision: Id,
        submodules: &BTreeSet<PathBuf>,
        rules: &TreeRules,
        tick: &mut dyn FnMut(Progress),
    ) -> Result<(), WorkerError> {
        let task = Task::new("writing the files", CHECKOUT);
        let request = Request::CheckOut(revision.to_string(), submodules.clone(), rules.clone());
        self.done(&request, task, tick)
    }

    /// Ends it and waits for that: nobody writes any more where it could.
    pub fn end(mut self) {
        self.running.end();
    }

    fn done(
        &mut self,
        request: &Request,
        task: Task,
        tick: &mut dyn FnMut(Progress),
    ) -> Result<(), WorkerError> {
        match self.ask(request, task, tick)? {
            Answer::Done => Ok(()),
            other => Err(self.unexpected(&other, task)),
        }
    }

    fn bytes(&mut self, request: &Request, task: Task) -> Result<Vec<u8>, WorkerError> {
        match self.ask(request, task, &mut |_| {})? {
            Answer::Bytes => {}
            other => return Err(self.unexpected(&other, task)),
        }
        match self.running.hear(task)? {
            (Kind::Bytes, bytes) => Ok(bytes),
            _ => Err(self.running.nonsense("something else than bytes", task)),
        }
    }

    fn ask(
        &mut self,
        request: &Request,
        task: Task,
        tick: &mut dyn FnMut(Progress),
    ) -> Result<Answer, WorkerError> {
        self.say(request, task)?;
        self.answer(task, tick)
    }

    fn say(&mut self, request: &Request, task: Task) -> Result<(), WorkerError> {
        match protocol::json(Kind::Json, request) {
            Ok(frame) => self.running.say(&frame, task),
            Err(error) => Err(WorkerError::Failed(error.to_string())),
        }
    }

    /// The answer, with the progress before it; a failure is an error.
    fn answer(
        &mut self,
        task: Task,
        tick: &mut dyn FnMut(Progress),
    ) -> Result<Answer, WorkerError> {
        loop {
            let (kind, text) = self.running.hear(task)?;
            if let Some(answer) = self.read(kind, &text, task, tick)? {
                return Ok(answer);
            }
        }
    }

    /// The answer in a frame; none if it is progress.
    fn read(
        &mut self,
        kind: Kind,
        text: &[u8],
        task: Task,
        tick: &mut dyn FnMut(Progress),
    ) -> Result<Option<Answer>, WorkerError> {
        let read = match kind {
            Kind::Progress => serde_json::from_slice(text).map(|now| {
                tick(now);
                None
            }),
            Kind::Json => serde_json::from_slice(text).map(Some),
            Kind::Bytes | Kind::BrokenOff => {
                return Err(self.running.nonsense("bytes nobody asked for", task));
            }
        };
        match read {
            Ok(Some(Answer::Failed(trouble, why))) => {
                let why = cleaned(&why);
                Err(match trouble {
                    Trouble::Broken => WorkerError::Broken(why),
                    Trouble::Tree => WorkerError::Tree(why),
                    Trouble::Pack => WorkerError::Pack(why),
                    Trouble::NoCommit => WorkerError::NoCommit(why),
                    Trouble::Other => WorkerError::Failed(why),
                })
            }
            Ok(other) => Ok(other),
            Err(_) => Err(self.running.nonsense("what is no answer", task)),
        }
    }

    fn unexpected(&mut self, answer: &Answer, task: Task) -> WorkerError {
        let what = format!("something else than was asked ({answer:?})");
        self.running.nonsense(what, task)
    }

    fn id_of(&mut self, text: &str, task: Task) -> Result<Oid, WorkerError> {
        match Id::parse(text.as_bytes()).and_then(|id| Oid::from_bytes(id.as_bytes()).ok()) {
            Some(id) => Ok(id),
            None => Err(self.running.nonsense("what is no object's name", task)),
        }
    }

    /// Hands a pack over, piece by piece; the worker's answer, should it come before the end.
    fn hand_over(
        &mut self,
        pack: &mut dyn Pack,
        task: Task,
        tick: &mut dyn FnMut(u64, Progress),
    ) -> Result<Option<Answer>, NotTaken<WorkerError>> {
        let mut bytes = 0;
        loop {
            let Ok(chunk) = pack.next() else {
                // It must not take what has come for all.
                let frame = protocol::frame(Kind::BrokenOff, &[]);
                let _ = self.running.say(&frame, task);
                return Err(NotTaken::BrokenOff);
            };
            // An empty piece would be the end.
            let frame = match chunk {
                Some([]) => continue,
                Some(chunk) => protocol::frame(Kind::Bytes, chunk),
                None => protocol::frame(Kind::Bytes, &[]),
            };
            let over = chunk.is_none();
            bytes += chunk.map_or(0, <[u8]>::len) as u64;
            self.running.say(&frame, task)?;
            self.running.glance(task)?;
            while let Some((kind, text)) = self.running.heard_already(task)? {
                let answer = self.read(kind, &text, task, &mut |now| tick(bytes, now))?;
                if answer.is_some() {
                    return Ok(answer);
                }
            }
            if over {
                let answer = self.answer(task, &mut |now| tick(bytes, now))?;
                return Ok(Some(answer));
            }
        }
    }
}

impl Store for Client {
    type Error = WorkerError;

    fn haves(&mut self, id: Oid, pin: &str) -> Result<Option<Held>, WorkerError> {
        let task = Task::new("looking into the mirror", QUESTION);
        match self.ask(
            &Request::Haves(id.to_string(), pin.to_owned()),
            task,
            &mut |_| {},
        )? {
            Answer::Here => Ok(None),
            Answer::Haves(commits, boundary)
                if commits.len() <= MOST_HAVES && boundary.len() <= MOST_HAVES =>
            {
                let mut ids = |all: Vec<String>| {
                    let ids = all.iter().map(|text| self.id_of(text, task));
                    ids.collect::<Result<Vec<_>, _>>()
                };
                Ok(Some(Held {
                    commits: ids(commits)?,
                    boundary: ids(boundary)?,
                }))
            }
            other => Err(self.unexpected(&other, task)),
        }
    }

    fn receive(
        &mut self,
        id: Oid,
        pack: &mut dyn Pack,
        progress: &mut dyn FnMut(fetch::Progress),
    ) -> Result<fetch::Progress, NotTaken<WorkerError>> {
        let time = pack.deadline().map_or(CHECKOUT, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        });
        let task = Task::new("indexing what came", time);
        let boundary = pack.boundary().iter().map(Oid::to_string).collect();
        self.say(&Request::Receive(id.to_string(), boundary), task)?;
        let mut seen = fetch::Progress::default();
        let mut tick = |bytes: u64, now: Progress| {
            let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
            seen = fetch::Progress {
                bytes,
                total: count(now.of),
                indexed: count(now.done),
            };
            progress(seen);
        };
        let answer = self.hand_over(pack, task, &mut tick);
        match answer.map_err(not_taken)? {
            Some(Answer::Received(objects)) => Ok(fetch::Progress {
                total: usize::try_from(objects).unwrap_or(usize::MAX),
                ..seen
            }),
            Some(other) => Err(self.unexpected(&other, task).into()),
            None => Err(self.running.nonsense("nothing", task).into()),
        }
    }

    fn keep_as(&mut self, id: Oid, pin: &str) -> Result<Oid, WorkerError> {
        let task = Task::new("reading what came", QUESTION);
        match self.ask(
            &Request::KeepAs(id.to_string(), pin.to_owned()),
            task,
            &mut |_| {},
        )? {
            Answer::Commit(text) => self.id_of(&text, task),
            other => Err(self.unexpected(&other, task)),
        }
    }
}

fn not_taken(why: NotTaken<WorkerError>) -> NotTaken<WorkerError> {
    match why {
        NotTaken::Failed(WorkerError::Pack(why)) => NotTaken::Refused(why),
        NotTaken::Failed(WorkerError::TimedOut { .. }) => NotTaken::Late,
        other => other,
    }
}

/// Text of the worker's, fit for a terminal: what is on lines of its own stays so.
fn cleaned(text: &str) -> String {
    let short: String = text.chars().take(MOST_TEXT).collect();
    text::lines(short.as_bytes()).join("\n  ")
}
