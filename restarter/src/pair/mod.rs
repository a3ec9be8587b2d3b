//! What the two processes say to each other, and nothing else: fixed-size messages over a socket
//! pair, numbers in little-endian. No client's byte is in any of them.
//!
//! The front sends an [`Order`]: a number of its own, a verb, and a unit by its index. The monitor
//! sends [`MonitorReply`]s: what became of an order, or that it is time to stop. Before the first of
//! them the front gets the policy ([`handover`]), so that both number the units alike.

pub mod handover;
mod of_front;

use std::time::Duration;

use pp_protocol::{Report, Verb};

/// Bytes of an [`Order`].
pub const ORDER: usize = 13;

/// What the front asks before it accepts a connection: is its policy still the one on disk? The answer is
/// [`MonitorReply::Current`] or [`MonitorReply::Drain`].
pub const IS_CURRENT: [u8; ORDER] = [u8::MAX - 2; ORDER];

/// Bytes of a [`MonitorReply`].
pub const REPLY: usize = 113;

/// Longest `sub` and `result` that fit.
const STATE: usize = 24;

const VERBS: [Verb; 3] = Verb::ALL;

/// What the front sends in place of an [`Order`] when it leaves in order: idle, or told to drain. The end of
/// the pair without it is a crash. No order reads like it, as there is no such verb.
pub const LEAVE: [u8; ORDER] = [u8::MAX - 1; ORDER];

/// What the front asks the monitor to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// The front's number for it; comes back in the answer.
    pub id: u64,
    /// The unit's index in the policy.
    pub unit: u32,
    /// What to do to it.
    pub verb: Verb,
}

/// What the monitor tells the front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MonitorReply {
    /// The order was carried out, or tried.
    Finished(u64, Report),
    /// The order is within the unit's limit and is being carried out; [`Self::Finished`] follows.
    Accepted(u64),
    /// The order was not carried out: the unit's limit allows it after this time.
    Busy(u64, Duration),
    /// Accept nothing more, finish what is under way, then exit.
    Drain,
    /// The policy is the one on disk: accept a connection.
    Current,
}

impl Order {
    /// From bytes; `None` if the verb is none.
    #[must_use]
    pub fn decode(bytes: &[u8; ORDER]) -> Option<Self> {
        let mut rest = In(bytes);
        Some(Self {
            id: u64::from_le_bytes(rest.take()?),
            unit: u32::from_le_bytes(rest.take()?),
            verb: rest.number(&VERBS)?,
        })
    }
}

impl MonitorReply {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; REPLY] {
        let mut out = Out(Vec::with_capacity(REPLY));
        match self {
            Self::Drain => out.put(&[0]),
            Self::Current => out.put(&[3]),
            Self::Accepted(id) => {
                out.put(&[4]);
                out.put(&id.to_le_bytes());
            }
            Self::Busy(id, after) => {
                out.put(&[1]);
                out.put(&id.to_le_bytes());
                out.put(&millis(*after).to_le_bytes());
            }
            Self::Finished(id, report) => {
                out.put(&[2]);
                out.put(&id.to_le_bytes());
                out.put(&report.elapsed_ms.to_le_bytes());
                let refusal = report.refusal.map_or(0, |refusal| refusal as u8 + 1);
                out.put(&[report.job as u8, refusal, report.active as u8]);
                out.put(&[u8::from(report.needs_daemon_reload)]);
                out.put(&report.main_pid.to_le_bytes());
                out.put(&report.invocation_before);
                out.put(&report.invocation);
                out.word(&report.sub);
                out.word(&report.result);
            }
        }
        out.fixed()
    }
}

/// A time in whole milliseconds, never rounded down to nothing.
#[must_use]
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}

struct Out(Vec<u8>);

impl Out {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Graphic ASCII only, cut to [`STATE`] bytes, filled up with zeros.
    fn word(&mut self, text: &str) {
        let mut field = [0; STATE];
        let good = text.bytes().filter(u8::is_ascii_graphic);
        field.iter_mut().zip(good).for_each(|(to, from)| *to = from);
        self.put(&field);
    }

    fn fixed<const N: usize>(mut self) -> [u8; N] {
        self.0.resize(N, 0);
        self.0.try_into().unwrap_or([0; N])
    }
}

struct In<'a>(&'a [u8]);

impl In<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn number<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let [place] = self.take()?;
        all.get(usize::from(place)).copied()
    }
}
