//! One run: takes what is new in the outbox, and tells the targets.
//!
//! What a target is to be told is on the disk before the event counts as taken, and is taken off there only when the
//! target has answered. A run that is killed in between tells the same thing under the same name once more: targets that
//! know names (webhook, matrix, forge, most mail) take it for the same.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use jiff::Timestamp;
use pp_events::{Event, Outbox};

use crate::config::{Config, Target, TargetKind};
use crate::delivery::{Ending, after_try, is_due};
use crate::journal::{self, Line};
use crate::message::Message;
use crate::store::{Memory, News, Store, TargetMemory};
use crate::targets::Fault;
use crate::{passes, rules};

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
            rules::due(of_target, (self.now)());
        }
        if memory != before {
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

    /// Takes the events that were not taken before.
    fn take(&self, memory: &mut Memory) {
        let events = self.outboxes();
        let there: HashSet<String> = events.iter().map(|event| event.id.clone()).collect();
        let taken: HashSet<String> = memory.taken.iter().cloned().collect();
        let new: Vec<&Event> = events
            .iter()
            .filter(|event| !taken.contains(&event.id))
            .collect();
        if memory.begun {
            for event in &new {
                for target in &self.config.target {
                    if target.wants(event.event, event.app.as_deref()) {
                        let of_target = memory.targets.entry(target.name.clone()).or_default();
                        rules::take(of_target, event, (self.now)());
                    }
                }
            }
        }
        memory.begun = true;
        memory.take(new.into_iter().map(|event| event.id.clone()), &there);
        let configured =
            |name: &String| self.config.target.iter().any(|target| target.name == *name);
        memory.targets.retain(|name, _| configured(name));
    }

    fn outboxes(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for directory in &self.config.outboxes {
            match Outbox::new(directory).read() {
                Ok(read) => events.extend(read),
                Err(error) => (self.say)(&format!("<3>{}: {error}", directory.display())),
            }
        }
        events
    }

    /// Tells one target what waits for it, in order, until one try fails.
    fn deliver(&self, target: &Target, memory: &mut Memory) -> Result<(), String> {
        loop {
            let now = (self.now)();
            let first = memory
                .targets
                .get(&target.name)
                .and_then(|of_target| of_target.queue.first());
            let Some(mut delivery) = first.filter(|first| is_due(first, now)).cloned() else {
                return Ok(());
            };
            let message = Message::new(&delivery.id, &delivery.news);
            let ending = after_try(&mut delivery, (self.tell)(target, &message), (self.now)());
            let of_target = memory.targets.entry(target.name.clone()).or_default();
            of_target.queue.remove(0);
            let goes_on = match &ending {
                Ending::Again(_) => {
                    of_target.queue.insert(0, delivery);
                    false
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
        let of_target = memory.targets.entry(target.name.clone()).or_default();
        let Some(beats) = passes::beats(&found, target.apps.as_deref(), &of_target.beats) else {
            return Ok(());
        };
        let nothing = Message::new("beat", &News::Digest(Vec::new(), 0));
        match (self.tell)(target, &nothing) {
            Ok(()) => {
                of_target.beats = beats;
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
