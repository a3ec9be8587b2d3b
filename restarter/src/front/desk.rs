//! Which orders are under way, and who waits for which. Pure: what to send is handed back.
//!
//! While a unit is being acted on, everybody else who wants the same joins **one** follow-up
//! order: it begins after their request arrived, so it does for all of them what they asked for.

use pp_protocol::{Report, Verb};
use std::time::Duration;
use tokio::sync::oneshot;

use crate::pair::{Order, Word};

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was carried out, or tried.
    Finished(Report),
    /// The unit's limit allows it after this time.
    Busy(Duration),
}

/// A request's place: the number of its order, and where the answer will come.
pub type Ticket = (u64, oneshot::Receiver<Answer>);

#[derive(Debug)]
struct Batch {
    order: Order,
    waiting: Vec<oneshot::Sender<Answer>>,
}

#[derive(Debug, Default)]
struct Unit {
    running: Option<Batch>,
    /// Those that come next, one for each verb.
    next: [Option<Batch>; Verb::ALL.len()],
}

/// All orders of the front.
#[derive(Debug)]
pub struct Desk {
    units: Vec<Unit>,
    last: u64,
}

impl Desk {
    /// For so many units.
    #[must_use]
    pub fn new(units: usize) -> Self {
        Self {
            units: std::iter::repeat_with(Unit::default).take(units).collect(),
            last: 0,
        }
    }

    /// Takes a request: the order to send now, if any, and the request's ticket. `None` for a unit
    /// that is not there.
    pub fn ask(&mut self, index: usize, verb: Verb) -> Option<(Option<Order>, Ticket)> {
        let number = u32::try_from(index).ok()?;
        let unit = self.units.get_mut(index)?;
        let mut send = None;
        let place = match verb {
            _ if unit.running.is_none() => &mut unit.running,
            verb => unit.next.get_mut(verb as usize)?,
        };
        let batch = place.get_or_insert_with(|| {
            self.last += 1;
            let order = Order {
                id: self.last,
                unit: number,
                verb,
            };
            send = Some(order);
            Batch {
                order,
                waiting: Vec::new(),
            }
        });
        let (answer, ticket) = oneshot::channel();
        batch.waiting.push(answer);
        let id = batch.order.id;
        let running = unit
            .running
            .as_ref()
            .is_some_and(|running| running.order.id == id);
        Some((send.filter(|_| running), (id, ticket)))
    }

    /// Takes the monitor's word on an order: tells all who wait for it, and hands back the
    /// follow-up that can be sent now.
    pub fn answered(&mut self, word: Word) -> Option<Order> {
        let (id, answer) = match word {
            Word::Finished(id, report) => (id, Answer::Finished(report)),
            Word::Busy(id, after) => (id, Answer::Busy(after)),
            Word::Drain | Word::Current => return None,
        };
        let is_it = |batch: &mut Batch| batch.order.id == id;
        let (unit, batch) = self
            .units
            .iter_mut()
            .find_map(|unit| unit.running.take_if(is_it).map(|batch| (unit, batch)))?;
        for waiting in batch.waiting {
            // Whoever has left meanwhile is not told; what was begun was not stopped for it.
            let _ = waiting.send(answer.clone());
        }
        // A restart first: a reload after it finds the new process.
        let order = [Verb::Restart, Verb::TryRestart, Verb::Reload];
        let mut next = order.into_iter();
        unit.running = next.find_map(|verb| unit.next.get_mut(verb as usize)?.take());
        unit.running.as_ref().map(|batch| batch.order)
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.units.iter().all(|unit| unit.running.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(id: u64) -> Word {
        Word::Busy(id, Duration::from_secs(id))
    }

    #[test]
    fn rule_17_requests_for_a_running_unit_join_one_follow_up() {
        let mut desk = Desk::new(2);
        let (sent, (first, mut answer)) = desk.ask(0, Verb::Restart).unwrap();
        assert_eq!(sent.map(|order| (order.id, order.unit)), Some((first, 0)));
        let joined: Vec<Ticket> = (0..200)
            .map(|_| {
                let (sent, ticket) = desk.ask(0, Verb::Restart).unwrap();
                assert_eq!(
                    sent, None,
                    "nothing is sent while the unit is being acted on"
                );
                ticket
            })
            .collect();
        assert!(
            joined.iter().all(|(id, _)| *id == first + 1),
            "one follow-up for all"
        );
        let (sent, _) = desk.ask(1, Verb::Restart).unwrap();
        assert!(sent.is_some(), "another unit does not wait");

        let follow_up = desk.answered(busy(first)).unwrap();
        assert_eq!(
            answer.try_recv(),
            Ok(Answer::Busy(Duration::from_secs(first)))
        );
        assert_eq!(follow_up.id, first + 1);
        assert_eq!(desk.answered(busy(follow_up.id)), None);
        for (_, mut answer) in joined {
            assert_eq!(
                answer.try_recv(),
                Ok(Answer::Busy(Duration::from_secs(follow_up.id)))
            );
        }
    }

    #[test]
    fn a_reload_does_not_join_a_restart_and_both_come_after_what_runs() {
        let mut desk = Desk::new(1);
        let (_, (first, _)) = desk.ask(0, Verb::Reload).unwrap();
        let (_, (reload, _)) = desk.ask(0, Verb::Reload).unwrap();
        let (_, (restart, _)) = desk.ask(0, Verb::Restart).unwrap();
        assert_eq!(
            desk.answered(busy(first)).map(|o| (o.id, o.verb)),
            Some((restart, Verb::Restart))
        );
        assert_eq!(
            desk.answered(busy(restart)).map(|o| (o.id, o.verb)),
            Some((reload, Verb::Reload))
        );
        assert!(!desk.is_idle());
        assert_eq!(desk.answered(busy(reload)), None);
        assert!(desk.is_idle());
    }

    #[test]
    fn rule_16_whoever_leaves_cancels_nothing() {
        let mut desk = Desk::new(1);
        let (_, (first, answer)) = desk.ask(0, Verb::Restart).unwrap();
        drop(answer);
        let (_, (next, answer)) = desk.ask(0, Verb::Restart).unwrap();
        drop(answer);
        assert!(!desk.is_idle());
        assert_eq!(desk.answered(busy(first)).map(|o| o.id), Some(next));
        assert_eq!(desk.answered(busy(77)), None, "a number of nobody");
    }
}
