//! One run: takes what is new in the outbox, and tells the targets.
//!
//! What a target is to be told is on the disk before the event counts as taken, and is taken off there only when the
//! target has answered. A run that is killed in between tells the same thing under the same name once more: targets that
//! know names (webhook, matrix, forge, most mail) take it for the same.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use pp_events::{Event, Outbox};

use crate::config::{Config, Target, TargetKind};
use crate::delivery::{Ending, after_try, next};
use crate::journal::{self, Line};
use crate::message::Message;
use crate::store::{Memory, News, Store, TargetMemory};
use crate::targets::Fault;
use crate::{clean, passes, rules};

/// The shortest time between two heartbeats, but for what the timer is late or early.
const BEAT: SignedDuration = SignedDuration::from_secs(50);

/// What a run works with; the rest is on the disk.
pub(crate) struct Run<'a> {
    pub(crate) config: &'a Config,
    pub(crate) store: &'a Store,
    /// Where pp-fetcher notes that a pass has ended.
    pub(crate) passes: PathBuf,
    pub(crate) now: &'a dyn Fn() -> Timestamp,
    /// Tells a target.
    pub(crate) tell: &'a dyn Fn(&Target, &Message) -> Result<(), Fault>,
    /// Says something to the administrator.
    pub(crate) say: &'a dyn Fn(&str),
}

impl Run<'_> {
    /// Does all that is due.
    ///
    /// # Errors
    /// A sentence: what is remembered cannot be read or written. What went before is told already.
    pub(crate) fn run(&self) -> Result<(), String> {
        self.store.sweep();
        let before = self.store.load()?;
        let mut memory = before.clone();
        self.take(&mut memory);
        for target in &self.config.target {
            let of_target = memory.targets.entry(target.name.clone()).or_default();
            if !matches!(target.kind, TargetKind::Forge | TargetKind::Heartbeat) {
                rules::due(of_target, (self.now)());
            }
        }
        // Before anything is told that could not be noted afterwards, for want of room perhaps.
        let due = |of_target: &TargetMemory| next(&of_target.queue, (self.now)()).is_some();
        if memory != before || memory.targets.values().any(due) {
            self.store.save(&memory)?;
        }
        for target in &self.config.target {
            self.deliver(target, &mut memory)?;
        }
        for target in &self.config.target {
            if target.kind == TargetKind::Heartbeat {
                self.beat(target, &mut memory)?;
            }
        }
        Ok(())
    }

    /// Takes the events that were not taken before, of each outbox that can be read.
    fn take(&self, memory: &mut Memory) {
        for directory in &self.config.outboxes {
            let events = match Outbox::new(directory).read() {
                Ok(events) => events,
                Err(error) => {
                    (self.say)(&format!("<3>{}: {error}", directory.display()));
                    continue;
                }
            };
            let name = directory.display().to_string();
            let taken: Option<HashSet<String>> = memory
                .taken
                .get(&name)
                .map(|taken| taken.iter().cloned().collect());
            let there: HashSet<&str> = events.iter().map(|event| event.id.as_str()).collect();
            let new: Vec<Event> = events
                .iter()
                .filter(|event| {
                    taken
                        .as_ref()
                        .is_none_or(|taken| !taken.contains(&event.id))
                })
                .cloned()
                .filter_map(clean::bounded)
                .collect();
            // What the outbox held when it was read first is old news.
            if taken.is_some() {
                new.iter().for_each(|event| self.take_one(memory, event));
            }
            memory.take(&name, new.into_iter().map(|event| event.id), &there);
        }
        let configured = |name: &String| {
            let mut targets = self.config.target.iter();
            targets.any(|target| target.name == *name)
        };
        memory.targets.retain(|name, _| configured(name));
    }

    fn take_one(&self, memory: &mut Memory, event: &Event) {
        let now = (self.now)();
        let concerned = self.config.target.iter();
        for target in concerned.filter(|target| target.concerns(event.app.as_deref())) {
            let of_target = memory.targets.entry(target.name.clone()).or_default();
            let wanted = target.wants(event.event);
            match target.kind {
                TargetKind::Forge if wanted => rules::take_for_forge(of_target, event, now),
                TargetKind::Forge | TargetKind::Heartbeat => {}
                _ => rules::take(of_target, event, wanted, now),
            }
        }
    }

    /// Tells one target what waits for it, in order, until one try fails.
    fn deliver(&self, target: &Target, memory: &mut Memory) -> Result<(), String> {
        loop {
            let now = (self.now)();
            let of_target = memory.targets.entry(target.name.clone()).or_default();
            let Some(at) = next(&of_target.queue, now) else {
                return Ok(());
            };
            let mut delivery = of_target.queue.remove(at);
            let message = Message::new(&delivery.id, &delivery.news);
            let ending = after_try(&mut delivery, (self.tell)(target, &message), (self.now)());
            let of_target = memory.targets.entry(target.name.clone()).or_default();
            let goes_on = match &ending {
                Ending::Again(_) => {
                    let goes_on = delivery.steps_aside;
                    of_target.queue.insert(at, delivery);
                    goes_on
                }
                _ => true,
            };
            self.write_down(target, &message, &ending);
            self.store.save(memory)?;
            if !goes_on {
                return Ok(());
            }
        }
    }

    fn write_down(&self, target: &Target, message: &Message, ending: &Ending) {
        let line = Line {
            at: (self.now)(),
            target: target.name.clone(),
            id: message.id.clone(),
            title: message.title.clone(),
            outcome: ending.as_str().to_owned(),
            why: ending.why().map(str::to_owned),
        };
        if let Err(error) = journal::append(self.store.directory(), &line) {
            (self.say)(&format!("<3>the log cannot be written: {error}"));
        }
        let (name, title) = (&target.name, &message.title);
        match ending {
            Ending::Told => {}
            Ending::Again(why) => (self.say)(&format!(
                "<4>{name} was not told, tried again later: {title}: {why}"
            )),
            Ending::GivenUp(why) => (self.say)(&format!(
                "<3>{name} WAS NOT TOLD within a day, given up: {title}: {why}"
            )),
            Ending::Refused(why) => (self.say)(&format!(
                "<3>{name} WAS NOT TOLD, it does not take it: {title}: {why}"
            )),
        }
    }

    /// Asks the address of a heartbeat, if every app that it watches has ended a pass well since the last time.
    fn beat(&self, target: &Target, memory: &mut Memory) -> Result<(), String> {
        let found = passes::read(&self.passes);
        let now = (self.now)();
        let of_target = memory.targets.entry(target.name.clone()).or_default();
        let lately = |at: Timestamp| now.duration_since(at).abs() < BEAT;
        if of_target.beat.is_some_and(lately) {
            return Ok(());
        }
        let Some(beats) = passes::beats(&found, target.apps.as_deref(), &of_target.beats) else {
            return Ok(());
        };
        let nothing = Message::new("beat", &News::Digest(Vec::new(), 0));
        match (self.tell)(target, &nothing) {
            Ok(()) => {
                of_target.beats = beats;
                of_target.beat = Some(now);
                self.store.save(memory)
            }
            Err(fault) => {
                (self.say)(&format!("<4>{}: {}", target.name, fault.why));
                Ok(())
            }
        }
    }
}

/// How many deliveries wait for each target, for `log`.
pub(crate) fn waiting(memory: &Memory) -> BTreeMap<&String, (usize, usize)> {
    let count = |of_target: &TargetMemory| (of_target.queue.len(), of_target.held_back.len());
    memory
        .targets
        .iter()
        .map(|(name, of)| (name, count(of)))
        .collect()
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
