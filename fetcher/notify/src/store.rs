//! What is remembered from run to run: which events were taken, what each target is still to be told, and what it was
//! told. One file, written whole or not at all, before and after each thing that cannot be undone.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use pp_events::Event;
use serde::{Deserialize, Serialize};

/// Version of the format. Another version is refused, not interpreted.
const SCHEMA: u32 = 1;

/// The most bytes of the file that are read.
const LARGEST: u64 = 64 * 1024 * 1024;

/// How many ids of events are remembered beyond those that the outbox holds.
const MOST_IDS: usize = 5000;

/// Everything that is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
    schema: u32,
    /// The ids of the events that were taken, the latest last, of each outbox that was read once. What an outbox held at
    /// its first reading is old news, which nobody is told.
    pub(crate) taken: BTreeMap<String, Vec<String>>,
    /// Each target, by its name.
    pub(crate) targets: BTreeMap<String, TargetMemory>,
}

/// What is remembered of one target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TargetMemory {
    /// What it is to be told, the oldest first.
    pub(crate) queue: Vec<Delivery>,
    /// What it was told to be wrong, by the rules' key, and not told to be over.
    pub(crate) problems: BTreeMap<String, Problem>,
    /// When it was told something, of the last hour.
    pub(crate) told: Vec<Timestamp>,
    /// What it was not told because of the limit, the oldest first; a digest tells it.
    pub(crate) held_back: Vec<Event>,
    /// How much more was not told than is remembered.
    pub(crate) more_held_back: u64,
    /// heartbeat: the end of the pass for which the address was last asked, for each app.
    #[serde(default)]
    pub(crate) beats: BTreeMap<String, Timestamp>,
    /// heartbeat: when the address was last asked.
    #[serde(default)]
    pub(crate) beat: Option<Timestamp>,
}

/// Something wrong that a target was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// The event as it was told first.
    pub(crate) event: Event,
    /// When the target was told last.
    pub(crate) told: Timestamp,
    /// How often it was reminded.
    #[serde(default)]
    pub(crate) reminders: u32,
}

/// What a target is to be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Delivery {
    /// A name of its own: the same however often it is tried.
    pub(crate) id: String,
    /// What is told.
    pub(crate) news: News,
    /// Since when it waits.
    pub(crate) since: Timestamp,
    /// How often it was tried.
    pub(crate) tries: u32,
    /// Not before this moment.
    pub(crate) not_before: Timestamp,
    /// Whether later ones go ahead of it: the target answers, and does not take this one.
    #[serde(default)]
    pub(crate) steps_aside: bool,
}

impl Delivery {
    /// News that wait to be told from now on.
    pub(crate) fn new(id: String, news: News, now: Timestamp) -> Self {
        Self {
            id,
            news,
            since: now,
            tries: 0,
            not_before: now,
            steps_aside: false,
        }
    }
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum News {
    /// An event.
    Event(Event),
    /// What was told a day ago is still so.
    Reminder(Event),
    /// What the limit has held back: the latest events, and how many there were.
    Digest(Vec<Event>, u64),
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            taken: BTreeMap::new(),
            targets: BTreeMap::new(),
        }
    }
}

impl Memory {
    /// Remembers that events of an outbox were taken; `there` are the ids that it holds.
    pub(crate) fn take(
        &mut self,
        outbox: &str,
        new: impl IntoIterator<Item = String>,
        there: &HashSet<&str>,
    ) {
        let taken = self.taken.entry(outbox.to_owned()).or_default();
        taken.extend(new);
        let beyond = taken
            .iter()
            .filter(|id| !there.contains(id.as_str()))
            .count();
        let mut excess = beyond.saturating_sub(MOST_IDS);
        taken.retain(|id| {
            let drop = excess > 0 && !there.contains(id.as_str());
            excess -= usize::from(drop);
            !drop
        });
    }
}

/// The directory of what is remembered, locked for one process.
#[derive(Debug)]
pub(crate) struct Store {
    directory: PathBuf,
    _lock: Flock<File>,
}

impl Store {
    /// Locks the directory; `None` if another run has it.
    ///
    /// # Errors
    /// A sentence: the directory cannot be used.
    pub(crate) fn open(directory: &Path) -> Result<Option<Self>, String> {
        let path = directory.join("lock");
        let opened = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        let file = opened.map_err(|error| format!("{}: {error}", path.display()))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Self {
                directory: directory.to_owned(),
                _lock: lock,
            })),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(format!("{}: {errno}", path.display())),
        }
    }

    /// Where what became of each delivery is written.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Reads what is remembered.
    ///
    /// # Errors
    /// A sentence: what cannot be read is not taken for nothing, as everything would be told again.
    pub(crate) fn load(&self) -> Result<Memory, String> {
        let path = self.file();
        let wrong = |what: String| {
            format!(
                "{}: {what}\n  nothing is told until it can be read: put back a copy, or move it away, and what the outbox holds now is taken for told",
                path.display()
            )
        };
        let mut bytes = Vec::new();
        match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Memory::default()),
            opened => opened.and_then(|file| file.take(LARGEST).read_to_end(&mut bytes)),
        }
        .map_err(|error| wrong(error.to_string()))?;
        let memory: Memory =
            serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if memory.schema != SCHEMA {
            return Err(wrong(format!(
                "written by another version (schema {})",
                memory.schema
            )));
        }
        Ok(memory)
    }

    /// Writes what is remembered: whole, synced, in place of the file before.
    ///
    /// # Errors
    /// A sentence; the file before is then still there.
    pub(crate) fn save(&self, memory: &Memory) -> Result<(), String> {
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::Builder::new()
                .prefix(".memory-")
                .tempfile_in(&self.directory)?;
            let text = serde_json::to_vec(memory)?;
            if text.len() as u64 >= LARGEST {
                // What could not be read again is not written.
                return Err(std::io::Error::other("there is too much to remember"));
            }
            file.write_all(&text)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(self.file()).map_err(|error| error.error)?;
            File::open(&self.directory)?.sync_all()
        };
        write().map_err(|error| format!("{}: {error}", self.file().display()))
    }

    /// Removes temporary files that a crash has left.
    pub(crate) fn sweep(&self) {
        let Ok(entries) = std::fs::read_dir(&self.directory) else {
            return;
        };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(".memory-") {
                // What cannot be removed now does no harm.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    fn file(&self) -> PathBuf {
        self.directory.join("memory.json")
    }
}
