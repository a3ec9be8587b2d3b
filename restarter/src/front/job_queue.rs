//! The orders that are under way, and the requests that wait for each. This file does no input or output: its
//! functions return the orders to send.
//!
//! While a unit is being acted on, all further requests for the same verb and unit join **one** follow-up
//! order. That order begins after their arrival, so it does what each of them asks for.

use pp_protocol::{Report, Verb};
use std::time::Duration;
use tokio::sync::oneshot;

use crate::pair::{MonitorReply, Order};

/// The result of an order, for the requests that wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The order was carried out, or at least tried, with this result.
    Finished(Report),
    /// The order was not carried out; the caller may ask again after this time.
    Busy(Duration),
}

/// A request's place in the queue: the number of its order, and where the monitor's replies to that order
/// will come.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// The number of the order, for the log.
    pub order: u64,
    /// Receives a value when the monitor has accepted the order; closed without a value if the monitor
    /// refused the order.
    pub accepted: oneshot::Receiver<()>,
    /// Receives the result of the order.
    pub answer: oneshot::Receiver<Answer>,
}

/// The sending ends of the channels of one [`Ticket`].
#[derive(Debug)]
struct Waiter {
    accepted: Option<oneshot::Sender<()>>,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
struct Batch {
    order: Order,
    waiting: Vec<Waiter>,
}

#[derive(Debug, Default)]
struct Unit {
    running: Option<Batch>,
    /// The follow-up orders, one for each verb, which are sent after `running` has ended.
    next: [Option<Batch>; Verb::ALL.len()],
}

/// All orders of the front.
#[derive(Debug)]
pub(crate) struct JobQueue {
    units: Vec<Unit>,
    last: u64,
}

impl JobQueue {
    /// Creates an empty queue for a policy of so many units.
    #[must_use]
    pub(crate) fn new(units: usize) -> Self {
        Self {
            units: std::iter::repeat_with(Unit::default).take(units).collect(),
            last: 0,
        }
    }

    /// Takes a request to do `verb` to the unit with the index `index`. Returns the order to send now, if any,
    /// and the request's ticket. Returns `None` if there is no such unit.
    pub(crate) fn ask(&mut self, index: usize, verb: Verb) -> Option<(Option<Order>, Ticket)> {
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
        let (accept, accepted) = oneshot::channel();
        let (send_answer, answer) = oneshot::channel();
        batch.waiting.push(Waiter {
            accepted: Some(accept),
            answer: send_answer,
        });
        let id = batch.order.id;
        let running = unit
            .running
            .as_ref()
            .is_some_and(|running| running.order.id == id);
        let ticket = Ticket {
            order: id,
            accepted,
            answer,
        };
        Some((send.filter(|_| running), ticket))
    }

    /// Takes the monitor's reply to an order: passes it on to all requests that wait for that order, and returns
    /// the follow-up order to send now, if any.
    pub(crate) fn take_reply(&mut self, reply: MonitorReply) -> Option<Order> {
        let (id, answer) = match reply {
            MonitorReply::Finished(id, report) => (id, Answer::Finished(report)),
            MonitorReply::Busy(id, after) => (id, Answer::Busy(after)),
            MonitorReply::Accepted(id) => {
                self.tell_accepted(id);
                return None;
            }
            MonitorReply::Drain | MonitorReply::Current => return None,
        };
        let is_it = |batch: &mut Batch| batch.order.id == id;
        let (unit, batch) = self
            .units
            .iter_mut()
            .find_map(|unit| unit.running.take_if(is_it).map(|batch| (unit, batch)))?;
        for waiting in batch.waiting {
            // A caller that has disconnected meanwhile gets no answer; its order was carried out all the same.
            let _ = waiting.answer.send(answer.clone());
        }
        // A restart comes first, so that a reload after it reaches the new process.
        let order = [Verb::Restart, Verb::TryRestart, Verb::Reload];
        let mut next = order.into_iter();
        unit.running = next.find_map(|verb| unit.next.get_mut(verb as usize)?.take());
        unit.running.as_ref().map(|batch| batch.order)
    }

    /// Notifies all requests that wait for the order of this number that the monitor has accepted the order.
    fn tell_accepted(&mut self, id: u64) {
        let running = self
            .units
            .iter_mut()
            .filter_map(|unit| unit.running.as_mut());
        for batch in running.filter(|batch| batch.order.id == id) {
            for accepted in batch.waiting.iter_mut().filter_map(|w| w.accepted.take()) {
                let _ = accepted.send(());
            }
        }
    }

    /// Returns whether no order is under way.
    #[must_use]
    pub(crate) fn is_idle(&self) -> bool {
        self.units.iter().all(|unit| unit.running.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(id: u64) -> MonitorReply {
        MonitorReply::Busy(id, Duration::from_secs(id))
    }

    #[test]
    fn rule_17_requests_for_a_running_unit_join_one_follow_up() {
        let mut job_queue = JobQueue::new(2);
        let (sent, mut ticket) = job_queue.ask(0, Verb::Restart).unwrap();
        let first = ticket.order;
        assert_eq!(sent.map(|order| (order.id, order.unit)), Some((first, 0)));
        let joined: Vec<Ticket> = (0..200)
            .map(|_| {
                let (sent, ticket) = job_queue.ask(0, Verb::Restart).unwrap();
                assert_eq!(
                    sent, None,
                    "nothing is sent while the unit is being acted on"
                );
                ticket
            })
            .collect();
        assert!(
            joined.iter().all(|t| t.order == first + 1),
            "one follow-up for all"
        );
        let (sent, _) = job_queue.ask(1, Verb::Restart).unwrap();
        assert!(sent.is_some(), "another unit does not wait");

        let follow_up = job_queue.take_reply(busy(first)).unwrap();
        assert_eq!(
            ticket.answer.try_recv(),
            Ok(Answer::Busy(Duration::from_secs(first)))
        );
        assert_eq!(follow_up.id, first + 1);
        assert_eq!(job_queue.take_reply(busy(follow_up.id)), None);
        for Ticket { mut answer, .. } in joined {
            assert_eq!(
                answer.try_recv(),
                Ok(Answer::Busy(Duration::from_secs(follow_up.id)))
            );
        }
    }

    #[test]
    fn a_reload_does_not_join_a_restart_and_both_come_after_what_runs() {
        let mut job_queue = JobQueue::new(1);
        let (_, Ticket { order: first, .. }) = job_queue.ask(0, Verb::Reload).unwrap();
        let (_, Ticket { order: reload, .. }) = job_queue.ask(0, Verb::Reload).unwrap();
        let (_, Ticket { order: restart, .. }) = job_queue.ask(0, Verb::Restart).unwrap();
        assert_eq!(
            job_queue.take_reply(busy(first)).map(|o| (o.id, o.verb)),
            Some((restart, Verb::Restart))
        );
        assert_eq!(
            job_queue.take_reply(busy(restart)).map(|o| (o.id, o.verb)),
            Some((reload, Verb::Reload))
        );
        assert!(!job_queue.is_idle());
        assert_eq!(job_queue.take_reply(busy(reload)), None);
        assert!(job_queue.is_idle());
    }

    #[test]
    fn rule_16_whoever_leaves_cancels_nothing() {
        let mut job_queue = JobQueue::new(1);
        let (
            _,
            Ticket {
                order: first,
                answer,
                ..
            },
        ) = job_queue.ask(0, Verb::Restart).unwrap();
        drop(answer);
        let (
            _,
            Ticket {
                order: next,
                answer,
                ..
            },
        ) = job_queue.ask(0, Verb::Restart).unwrap();
        drop(answer);
        assert!(!job_queue.is_idle());
        assert_eq!(job_queue.take_reply(busy(first)).map(|o| o.id), Some(next));
        assert_eq!(job_queue.take_reply(busy(77)), None, "a number of nobody");
    }
}
