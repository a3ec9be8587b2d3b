//! `history.jsonl`: every attempt of an app, one JSON object a line; the file is only appended to.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use nix::fcntl::OFlag;
use pp_events::ends_in_the_middle;

use super::attempt::EndedAttempt;
use super::open;
use crate::crash;

/// Most bytes of a history that are read: enough for some ten thousand attempts.
pub(crate) const MOST: u64 = 8 * 1024 * 1024;

/// The history file of one app.
#[derive(Debug, Clone)]
pub struct History {
    base: PathBuf,
    below: PathBuf,
}

impl History {
    /// Names the history in the file `below` the directory `base`. Opens nothing.
    #[must_use]
    pub fn new(base: PathBuf, below: PathBuf) -> Self {
        Self { base, below }
    }

    /// Appends one ended attempt, durably.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn append(&self, ended: &EndedAttempt) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(ended)?;
        line.push(b'\n');
        let flags = OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_CREAT;
        let mut file = open::open(&self.base, &self.below, flags)?;
        // A crash or a full disk may have cut the last line short: the new line must not be appended to it.
        if ends_in_the_middle(&mut file)? {
            line.insert(0, b'\n');
        }
        // One write, so that a crash leaves a whole line or a torn last line; reading skips a torn line.
        file.write_all(&line)?;
        crash::point("after", "history");
        file.sync_data()
    }

    /// Reads every attempt, the oldest first. An attempt that was resumed after a crash, or whose way back
    /// failed and was tried again, has several lines; the last of them counts. Torn lines are skipped. Where
    /// the state has lost a release, `deploy::previous` asks the history whether the release was good. If the file is
    /// larger than [`MOST`], only its end is read.
    ///
    /// # Errors
    /// The error of the operating system; an absent file is an empty history.
    pub fn read(&self) -> std::io::Result<Vec<EndedAttempt>> {
        let (end, before) = match open::end(&self.base, &self.below, MOST) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut attempts: Vec<EndedAttempt> = Vec::new();
        // If the beginning of the file was left out, the first line read is the rest of a longer line.
        let torn = usize::from(before > 0);
        for line in BufReader::new(end).split(b'\n').skip(torn) {
            let Ok(ended) = serde_json::from_slice::<EndedAttempt>(&line?) else {
                continue;
            };
            // A way back may end after later attempts have failed, so the earlier line need not be the last
            // one.
            match attempts
                .iter_mut()
                .rev()
                .find(|earlier| earlier.attempt.number == ended.attempt.number)
            {
                Some(earlier) => *earlier = ended,
                None => attempts.push(ended),
            }
        }
        Ok(attempts)
    }
}

#[cfg(test)]
mod tests {
    use super::super::attempt::{Attempt, PhaseTime};
    use super::super::outcome::Outcome;
    use super::*;
    use crate::revision::Revision;
    use jiff::Timestamp;

    #[test]
    fn a_torn_last_line_costs_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        let history = History::new(dir.path().to_owned(), "history.jsonl".into());
        assert_eq!(history.read().unwrap(), []);
        let attempt = Attempt {
            number: 1,
            started_at: Timestamp::UNIX_EPOCH,
            revision: Revision::parse(&"a".repeat(40)).unwrap(),
            previous: None,
            author: "Ada".into(),
            subject: "first".into(),
            signed_by: None,
            release: "x".into(),
            phases: vec![PhaseTime {
                phase: "fetch".into(),
                ms: 12,
                failed: false,
            }],
            by: None,
            code: None,
            step: None,
            previous_release: None,
            going_back: None,
            tag: None,
            ill_before: None,
            surroundings: None,
        };
        let attempt = attempt.end(Outcome::RolledBack, Some("answered 500".into()));
        history.append(&attempt).unwrap();
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(dir.path().join("history.jsonl"))
            .unwrap();
        file.write_all(b"{\"attempt\":2,\"star").unwrap();
        assert_eq!(history.read().unwrap(), vec![attempt.clone()]);
        let mut next = attempt.clone();
        next.attempt.number = 3;
        history.append(&next).unwrap();
        assert_eq!(history.read().unwrap(), [attempt, next]);
    }

    #[test]
    fn a_line_from_before_there_were_signatures_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let history = History::new(dir.path().to_owned(), "history.jsonl".into());
        let id = "a".repeat(40);
        let line = format!(
            r#"{{"attempt":1,"started_at":"2026-01-01T00:00:00Z","revision":"{id}","previous":null,"author":"Ada","subject":"x","outcome":"good","reason":null,"release":"x","phases":[]}}"#
        );
        std::fs::write(dir.path().join("history.jsonl"), line + "\n").unwrap();
        assert_eq!(
            history.read().unwrap().pop().unwrap().attempt.signed_by,
            None
        );
    }
}
