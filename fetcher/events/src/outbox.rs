//! The outbox: a file of events, one JSON object a line, that is only appended to, and one older file behind it.
//!
//! An event is on the disk before [`Outbox::append`] returns. Two processes may append: a lock keeps their lines apart.
//! Once the file is full it becomes the older one, in place of the one before: of the last events at least half of
//! [`LARGEST`] are there.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use crate::event::Event;

/// The directory of the outbox of the host's own apps. Another user than these apps' reads it, who may not enter their
/// state.
pub const HOST: &str = "/var/lib/pp-outbox";

/// The directory of the state of the host's own apps.
const STATE: &str = "/var/lib/pp-fetcher";

/// The outbox's directory below another state's. A name that no app can have.
const BELOW: &str = "outbox.d";

/// The most bytes of both files together.
pub const LARGEST: u64 = 2 * 1024 * 1024;

/// The longest line that is read, in bytes.
const LONGEST_LINE: usize = 16 * 1024;

/// How often, and how far apart, the lock is tried for: whoever holds it must not hold up a deploy.
const TRIES: (u32, Duration) = (40, Duration::from_millis(25));

/// The outbox in one directory.
#[derive(Debug, Clone)]
pub struct Outbox {
    directory: PathBuf,
}

impl Outbox {
    /// Names the outbox in `directory`. Opens nothing.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    /// Names the outbox of the apps whose state is below `state`.
    #[must_use]
    pub fn of(state: &Path) -> Self {
        match state == Path::new(STATE) {
            true => Self::new(Path::new(HOST)),
            false => Self::new(&state.join(BELOW)),
        }
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file that grows.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.directory.join("events.jsonl")
    }

    fn older(&self) -> PathBuf {
        self.directory.join("events.1.jsonl")
    }

    /// Appends events, except those whose id is there already, and syncs them to the disk.
    ///
    /// # Errors
    /// The error of the operating system, or another process holds the lock for a whole second.
    pub fn append(&self, events: &[Event]) -> io::Result<()> {
        let _lock = self.lock()?;
        let known: HashSet<String> = self.read()?.into_iter().map(|event| event.id).collect();
        let mut lines = Vec::new();
        for event in events.iter().filter(|event| !known.contains(&event.id)) {
            serde_json::to_writer(&mut lines, event)?;
            lines.push(b'\n');
        }
        if lines.is_empty() {
            return Ok(());
        }
        let length = fs::symlink_metadata(self.file()).map_or(0, |found| found.len());
        let is_new = length == 0;
        if length > 0 && length + lines.len() as u64 > LARGEST / 2 {
            fs::rename(self.file(), self.older())?;
        }
        let mut file = plain(
            OpenOptions::new().read(true).append(true).create(true),
            &self.file(),
        )?;
        // A crash or a full disk may have cut the last line short: the new line must not be appended to it.
        if ends_in_the_middle(&mut file)? {
            lines.insert(0, b'\n');
        }
        file.write_all(&lines)?;
        file.sync_data()?;
        if is_new || length > LARGEST / 4 {
            File::open(&self.directory)?.sync_all()?;
        }
        Ok(())
    }

    /// Reads every event that is there, the oldest first, each once. What is no event is skipped.
    ///
    /// # Errors
    /// The error of the operating system; absent files are an empty outbox.
    pub fn read(&self) -> io::Result<Vec<Event>> {
        // The newer file first: what moves from it to the older one meanwhile is then seen twice, and not lost.
        let newer = lines_of(&self.file())?;
        let mut all = lines_of(&self.older())?;
        all.extend(newer);
        let mut seen = HashSet::new();
        all.retain(|event| seen.insert(event.id.clone()));
        Ok(all)
    }

    fn lock(&self) -> io::Result<Flock<File>> {
        let path = self.directory.join("lock");
        let mut options = OpenOptions::new();
        let mut file = plain(options.write(true).create(true).truncate(false), &path)?;
        for _ in 0..TRIES.0 {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(held) => return Ok(held),
                Err((back, nix::errno::Errno::EWOULDBLOCK)) => file = back,
                Err((_, errno)) => return Err(errno.into()),
            }
            sleep(TRIES.1);
        }
        let what = format!("{}: another process holds the lock", path.display());
        Err(io::Error::new(ErrorKind::WouldBlock, what))
    }
}

/// Opens a regular file, and neither follows a link nor waits for the other end of a FIFO.
fn plain(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = options.mode(0o640).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        let what = format!("{}: is no regular file", path.display());
        return Err(io::Error::new(ErrorKind::InvalidData, what));
    }
    Ok(file)
}

/// Reads the events of one file, of whose end at most half of [`LARGEST`] is read.
fn lines_of(path: &Path) -> io::Result<Vec<Event>> {
    let mut file = match plain(OpenOptions::new().read(true), path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let most = LARGEST / 2 + LONGEST_LINE as u64;
    let before = file.metadata()?.len().saturating_sub(most);
    file.seek(SeekFrom::Start(before))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    let lines = bytes.split(|byte| *byte == b'\n');
    let short = lines.filter(|line| line.len() <= LONGEST_LINE);
    Ok(short
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect())
}

/// Whether the last line of a file lacks its line end: a crash or a full disk has cut it short.
///
/// # Errors
/// The error of the operating system.
pub fn ends_in_the_middle(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::event::{Kind, SCHEMA};

    fn event(id: &str) -> Event {
        Event {
            schema: SCHEMA,
            id: id.to_owned(),
            at: Timestamp::UNIX_EPOCH,
            host: "web1".into(),
            app: Some("todo".into()),
            event: Kind::Failed,
            code: Some("build".into()),
            revision: None,
            previous: None,
            live: None,
            author: None,
            subject: None,
            attempt: None,
            ms: None,
            by: None,
            reason: Some("x".repeat(1000)),
            until: None,
        }
    }

    fn ids(outbox: &Outbox) -> Vec<String> {
        outbox
            .read()
            .unwrap()
            .into_iter()
            .map(|event| event.id)
            .collect()
    }

    #[test]
    fn an_event_is_there_once_and_a_torn_line_costs_only_itself() {
        let directory = tempfile::tempdir().unwrap();
        let outbox = Outbox::new(directory.path());
        assert_eq!(ids(&outbox), [""; 0]);
        outbox.append(&[event("a"), event("b")]).unwrap();
        outbox.append(&[event("b"), event("c")]).unwrap();
        let mut file = OpenOptions::new().append(true).open(outbox.file()).unwrap();
        file.write_all(b"{\"schema\":1,\"id\":\"torn").unwrap();
        outbox.append(&[event("d")]).unwrap();
        assert_eq!(ids(&outbox), ["a", "b", "c", "d"]);
    }

    #[test]
    fn the_outbox_is_bounded_and_keeps_the_latest() {
        let directory = tempfile::tempdir().unwrap();
        let outbox = Outbox::new(directory.path());
        for at in 0..40 {
            let many: Vec<_> = (0..100).map(|n| event(&format!("{at}-{n}"))).collect();
            outbox.append(&many).unwrap();
        }
        let all = ids(&outbox);
        assert_eq!(all.last().unwrap(), "39-99");
        assert!(all.len() > 500 && all.len() < 2000, "{}", all.len());
        let bytes: u64 = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(bytes <= LARGEST, "{bytes}");
    }

    #[test]
    fn links_fifos_and_giants_are_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let secret = directory.path().join("secret");
        fs::write(&secret, serde_json::to_string(&event("x")).unwrap()).unwrap();
        let outbox = Outbox::new(directory.path());
        std::os::unix::fs::symlink(&secret, outbox.file()).unwrap();
        assert!(outbox.read().is_err());
        assert!(outbox.append(&[event("a")]).is_err());
        fs::remove_file(outbox.file()).unwrap();
        nix::unistd::mkfifo(&outbox.file(), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(outbox.read().is_err());
        fs::remove_file(outbox.file()).unwrap();
        File::create(outbox.file())
            .unwrap()
            .set_len(20 << 30)
            .unwrap();
        assert_eq!(ids(&outbox), [""; 0]);
    }

    #[test]
    fn whoever_holds_the_lock_for_good_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let outbox = Outbox::new(directory.path());
        let held = outbox.lock().unwrap();
        assert_eq!(
            outbox.append(&[event("a")]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        drop(held);
        outbox.append(&[event("a")]).unwrap();
    }
}
