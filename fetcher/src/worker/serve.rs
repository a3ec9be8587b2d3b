//! The worker's side: contained first, then one answer to each request, until nothing more comes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Stdin, Stdout, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use git2::Oid;

use super::protocol::{self, Answer, Kind, MOST_BYTES, MOST_TEXT, Progress, Request, Trouble};
use super::sandbox::{self, Touches};
use crate::checkout::{self, Budget, CheckoutError};
use crate::config::tree::TreeRules;
use crate::git::mirror::MirrorError;
use crate::git::receive::{BrokenOff, NotTaken, Pack};
use crate::git::{Mirror, repack};
use crate::shown::ask;

/// Progress is told this often at most.
const PAUSE: Duration = Duration::from_millis(100);

/// What this process is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Fetching into a mirror, and reading what is in it.
    Mirror(PathBuf),
    /// Writing the files of a revision.
    CheckOut {
        /// The mirror, to read.
        mirror: PathBuf,
        /// An empty directory, to write into.
        into: PathBuf,
        /// Another release, to copy from.
        live: Option<PathBuf>,
    },
}

impl Role {
    /// What the command line says, after the word that makes a worker.
    #[must_use]
    pub fn parse(arguments: &[OsString]) -> Option<Self> {
        let path = |at: usize| arguments.get(at).map(PathBuf::from);
        match arguments.first()?.to_str()? {
            "mirror" if arguments.len() == 2 => Some(Self::Mirror(path(1)?)),
            "checkout" if matches!(arguments.len(), 3 | 4) => Some(Self::CheckOut {
                mirror: path(1)?,
                into: path(2)?,
                live: path(3),
            }),
            _ => None,
        }
    }

    /// The command line that says so.
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        match self {
            Self::Mirror(path) => vec!["mirror".into(), path.into()],
            Self::CheckOut { mirror, into, live } => {
                let mut all = vec!["checkout".into(), mirror.into(), into.into()];
                all.extend(live.iter().map(OsString::from));
                all
            }
        }
    }

    /// What it may touch.
    #[must_use]
    pub fn touches(&self) -> Touches {
        match self {
            Self::Mirror(path) => Touches {
                writes: vec![path.clone()],
                reads: Vec::new(),
                moves: true,
            },
            Self::CheckOut { mirror, into, live } => Touches {
                writes: vec![into.clone()],
                reads: std::iter::once(mirror).chain(live).cloned().collect(),
                moves: false,
            },
        }
    }
}

/// Is a worker, as the arguments say, until standard input ends.
#[must_use]
pub fn main(arguments: &[OsString]) -> ExitCode {
    #[cfg(feature = "selftest")]
    if let Some((first, rest)) = arguments.split_first()
        && first == "selftest"
    {
        return super::selftest::main(rest);
    }
    let Some(role) = Role::parse(arguments) else {
        ask("this is for pp-fetcher itself to run\n");
        return ExitCode::from(2);
    };
    // A mirror is the state's, for its user alone to write. A release's modes are exact, and cannot be mended in
    // here later.
    let masked = match role {
        Role::Mirror(_) => 0o027,
        Role::CheckOut { .. } => 0,
    };
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(masked));
    let lacking = match sandbox::enter(&role.touches()) {
        Ok(lacking) => lacking,
        Err(error) => {
            ask(&format!("nothing was looked at: {error}\n"));
            return ExitCode::from(3);
        }
    };
    let worker = Worker {
        role,
        from: io::stdin(),
        to: Mutex::new((io::stdout(), Instant::now())),
    };
    match worker.run(lacking) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ask(&format!("{error}\n"));
            ExitCode::FAILURE
        }
    }
}

struct Worker {
    role: Role,
    from: Stdin,
    /// Where answers go, and when progress was told last. Several threads tell it.
    to: Mutex<(Stdout, Instant)>,
}

/// An answer that is a failure.
type Refusal = (Trouble, String);

impl Worker {
    fn run(&self, lacking: Option<String>) -> io::Result<()> {
        let mirror = match &self.role {
            Role::Mirror(path) => Mirror::open(path),
            Role::CheckOut { mirror, .. } => Mirror::open_to_read(mirror),
        };
        let mut mirror = match mirror {
            Ok(mirror) => Some(mirror),
            Err(error) => {
                let (trouble, why) = mirrors(&error);
                return self.answer(&Answer::Failed(trouble, shortened(why)));
            }
        };
        self.answer(&Answer::Ready(lacking))?;
        let mut text = Vec::new();
        loop {
            let kind = protocol::read(&mut &self.from, &mut text)?;
            match kind {
                None => return Ok(()),
                Some(Kind::Json) => {}
                // The rest of a pack that was given up before its end.
                Some(_) => continue,
            }
            let request = serde_json::from_slice(&text)?;
            let Some(open) = mirror.take() else {
                return Ok(());
            };
            let (open, done) = match request {
                // It takes the mirror and gives it back opened anew.
                Request::Keep(id) => keep(open, &id),
                other => {
                    let done = self.one(&open, other);
                    (Some(open), done)
                }
            };
            mirror = open;
            match done {
                Ok(Done::Said(answer)) => self.answer(&answer)?,
                Ok(Done::Object(bytes)) => {
                    self.answer(&Answer::Bytes)?;
                    self.send(&protocol::frame(Kind::Bytes, &bytes))?;
                }
                Err((trouble, why)) => {
                    self.answer(&Answer::Failed(trouble, shortened(why)))?;
                }
            }
        }
    }

    fn one(&self, mirror: &Mirror, request: Request) -> Result<Done, Refusal> {
        let said = |answer| Ok(Done::Said(answer));
        match request {
            Request::Haves(id, pin) => {
                match mirror.lacks(oid(&id)?, &pin).map_err(|e| mirrors(&e))? {
                    None => said(Answer::Here),
                    Some(held) => {
                        let text = |ids: &[Oid]| ids.iter().map(Oid::to_string).collect();
                        said(Answer::Haves(text(&held.commits), text(&held.boundary)))
                    }
                }
            }
            Request::Receive(id, boundary) => {
                let boundary = boundary.iter().map(|id| oid(id));
                let boundary = boundary.collect::<Result<_, _>>()?;
                self.receive(mirror, oid(&id)?, boundary)
            }
            Request::KeepAs(id, pin) => {
                let commit = mirror.keep_as(oid(&id)?, &pin).map_err(|e| mirrors(&e))?;
                said(Answer::Commit(commit.to_string()))
            }
            Request::Object(id) => {
                let id = oid(&id)?;
                let bytes = mirror.object(id, MOST_BYTES).map_err(|e| mirrors(&e))?;
                Ok(Done::Object(bytes))
            }
            Request::Chain(from, to) => {
                let chain = mirror.chain(oid(&from)?, oid(&to)?);
                let chain = chain.map_err(|e| mirrors(&e))?.unwrap_or_default();
                let bytes: Vec<u8> = chain.iter().flat_map(|id| id.as_bytes().to_vec()).collect();
                if bytes.len() > MOST_BYTES {
                    let why = "the two revisions are too far apart to be compared".to_owned();
                    return Err((Trouble::Other, why));
                }
                Ok(Done::Object(bytes))
            }
            Request::CheckOut(id, submodules, rules) => {
                self.check_out(mirror, oid(&id)?, submodules, rules)
            }
            Request::Keep(_) => Err((Trouble::Other, "it is not asked so".to_owned())),
        }
    }

    fn receive(&self, mirror: &Mirror, id: Oid, boundary: Vec<Oid>) -> Result<Done, Refusal> {
        let mut pack = OffStdin {
            boundary,
            from: &self.from,
            chunk: Vec::new(),
            over: false,
        };
        let received = mirror.receive(id, &mut pack, &mut |now| {
            self.tell(Progress {
                bytes: now.bytes,
                done: now.indexed as u64,
                of: now.total as u64,
            });
        });
        match received {
            Ok(seen) => Ok(Done::Said(Answer::Received(seen.total as u64))),
            Err(NotTaken::BrokenOff | NotTaken::Late) => {
                Err((Trouble::Pack, "it broke off".to_owned()))
            }
            Err(NotTaken::Refused(why)) => Err((Trouble::Pack, why)),
            Err(NotTaken::Failed(error)) => Err(mirrors(&error)),
        }
    }

    fn check_out(
        &self,
        mirror: &Mirror,
        id: Oid,
        submodules: BTreeSet<PathBuf>,
        rules: TreeRules,
    ) -> Result<Done, Refusal> {
        let Role::CheckOut { into, live, .. } = &self.role else {
            return Err((Trouble::Other, "there is nowhere to write to".to_owned()));
        };
        let progress = |now: checkout::Progress| {
            self.tell(Progress {
                bytes: 0,
                done: now.files,
                of: now.of,
            });
        };
        let budget = Budget {
            submodules,
            rules,
            ..Budget::default()
        };
        match checkout::check_out(mirror, id, live.as_deref(), into, &budget, &progress) {
            Ok(_) => Ok(Done::Said(Answer::Done)),
            Err(error @ CheckoutError::Refused { .. }) => Err((Trouble::Tree, error.to_string())),
            Err(error) => Err((Trouble::Other, error.to_string())),
        }
    }

    /// Tells how far it has come, unless it has just done so.
    fn tell(&self, now: Progress) {
        let Ok(mut to) = self.to.lock() else { return };
        if to.1.elapsed() < PAUSE && now.done != now.of {
            return;
        }
        to.1 = Instant::now();
        if let Ok(frame) = protocol::json(Kind::Progress, &now) {
            // Whoever does not listen any more ends us.
            let _ = protocol::write(&mut to.0, &frame);
        }
    }

    fn answer(&self, answer: &Answer) -> io::Result<()> {
        self.send(&protocol::json(Kind::Json, answer)?)
    }

    fn send(&self, frame: &[u8]) -> io::Result<()> {
        let mut to = self
            .to
            .lock()
            .map_err(|e| io::Error::other(e.to_string()))?;
        to.0.write_all(frame)?;
        to.0.flush()
    }
}

/// What came of a request.
enum Done {
    Said(Answer),
    Object(Vec<u8>),
}

fn keep(mirror: Mirror, id: &str) -> (Option<Mirror>, Result<Done, Refusal>) {
    let pinned = oid(id).and_then(|id| mirror.pin("live", id).map_err(|e| mirrors(&e)));
    if let Err(refusal) = pinned {
        return (Some(mirror), Err(refusal));
    }
    match mirror.repack(repack::MANY) {
        Ok(mirror) => (Some(mirror), Ok(Done::Said(Answer::Done))),
        Err(error) => (None, Err(mirrors(&error))),
    }
}

/// A pack as we hand it over.
struct OffStdin<'a> {
    from: &'a Stdin,
    chunk: Vec<u8>,
    over: bool,
    boundary: Vec<Oid>,
}

impl Pack for OffStdin<'_> {
    fn next(&mut self) -> Result<Option<&[u8]>, BrokenOff> {
        if self.over {
            return Ok(None);
        }
        let read = protocol::read(&mut self.from, &mut self.chunk);
        match read {
            Ok(Some(Kind::Bytes)) if self.chunk.is_empty() => {
                self.over = true;
                Ok(None)
            }
            Ok(Some(Kind::Bytes)) => Ok(Some(&self.chunk)),
            _ => Err(BrokenOff),
        }
    }

    /// Our parent's to watch.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn boundary(&self) -> Vec<Oid> {
        self.boundary.clone()
    }
}

fn oid(text: &str) -> Result<Oid, Refusal> {
    Oid::from_str(text).map_err(|error| (Trouble::Other, error.message().to_owned()))
}

fn mirrors(error: &MirrorError) -> Refusal {
    let trouble = match error {
        MirrorError::NoCommit { kind } => return (Trouble::NoCommit, (*kind).to_owned()),
        MirrorError::Broken { .. } => Trouble::Broken,
        _ => Trouble::Other,
    };
    (trouble, error.to_string())
}

fn shortened(mut text: String) -> String {
    let end = (0..=MOST_TEXT.min(text.len()))
        .rev()
        .find(|&n| text.is_char_boundary(n));
    text.truncate(end.unwrap_or_default());
    text
}
